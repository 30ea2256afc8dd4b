"""Photographs the dashboard of a demo that has some work: `python -m tests.browser.screenshots FOLDER`."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal

from playwright.async_api import Browser

from tests.browser.signing_in import signed_in
from tests.support.browser import DESKTOP, PHONE, open_browser
from tests.support.server_process import ServerProcess, open_server

BUILD = """for i in $(seq 1 400); do
  printf '\\033[32m✓\\033[0m compiled module %03d\\n' $i
  [ $((i % 90)) = 0 ] && echo "warning: module $i is deprecated" >&2
  sleep 0.05
done"""


async def give_work(server: ServerProcess) -> dict[str, str]:
    """A board in the middle of a day; the ids of the tasks that get a picture of their own."""
    ids: dict[str, str] = {}

    async def run(name: str, content: str, type: str = "command", **facts: Any) -> None:
        ids[name] = (await server.run(content, type, **facts))["id"]

    desktop = (await server.desktop())["id"]
    for content, facts in (
        ("Read the open issues and suggest what to fix first", {"type": "prompt", "requiresApproval": True}),
        ("npm run deploy -- --env staging", {"type": "command", "labels": ["deploy"], "requiresApproval": True}),
    ):
        body = {"content": content, "desktopId": desktop, **facts}
        (await server.http.post("/api/mission-control/tasks", json=body)).raise_for_status()
    await run("lint", "echo 'All checks passed!'", title="Lint")
    await run("tests", "echo 'FAILED tests/test_login.py::test_expired_token' >&2; exit 1", title="Unit tests")
    await run("disk", "df -h / && du -sh . 2>/dev/null")
    for name in ("lint", "tests", "disk"):
        await server.ended(ids[name])
    await run("report", "Give me a system report", "prompt", requiresApproval=True)
    await run("summary", "Summarise the files", "prompt", requiresApproval=True)
    await server.ended(ids["report"])
    await server.ended(ids["summary"])
    await run("build", BUILD, title="Build everything", labels=["ci"])
    await run("watch", "while sleep 1; do date; done", title="Watch the clock")
    stopped = await server.run("sleep 1000", title="Long soak")
    await server.http.post(f"/api/mission-control/tasks/{stopped['id']}/cancel?wait=20")
    return ids


async def photograph(
    browser: Browser, server: ServerProcess, folder: Path, ids: dict[str, str], scheme: Literal["light", "dark"]
) -> None:
    """Every screen in one theme, wide and on a phone."""
    screens = {
        "board": "/",
        "command": f"/tasks/{ids['build']}",
        "prompt": f"/tasks/{ids['report']}",
        "approvals": "/approvals",
        "desktops": "/desktops",
        "settings": "/settings",
    }
    for suffix, size in (("", DESKTOP), ("-phone", PHONE)):
        link = (await server.local("POST", "/api/auth/links")).json()["url"]
        async with signed_in(browser, link, size=size, scheme=scheme) as page:
            for name, path in screens.items():
                await page.goto(server.url + path)
                await page.get_by_role("button", name="New Task").first.wait_for()
                await page.wait_for_timeout(700)  # what slides in has arrived
                await page.screenshot(path=folder / f"{name}-{scheme}{suffix}.png")


async def main(folder: Path) -> None:
    """Write all pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mission-control-") as data_dir:
        async with open_server(Path(data_dir) / "data") as server, open_browser() as browser:
            ids = await give_work(server)
            for scheme in ("light", "dark"):
                await photograph(browser, server, folder, ids, scheme)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
