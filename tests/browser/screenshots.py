"""Photographs every screen of a small fleet with a week behind it: `python -m tests.browser.screenshots FOLDER`."""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

from playwright.async_api import Browser

from mission_control.domain.values import Actor
from tests.browser.signing_in import signed_in
from tests.support.browser import DESKTOP, PHONE, open_browser
from tests.support.past import SECOND_US, open_past
from tests.support.server_process import ServerProcess, open_server
from tests.support.waiting import until

BUILD = """for i in $(seq 1 400); do
  printf '\\033[32m✓\\033[0m compiled module %03d\\n' $i
  [ $((i % 90)) = 0 ] && echo "warning: module $i is deprecated" >&2
  sleep 0.05
done"""


FLEET = {"build-01": ("build", "linux"), "build-02": ("build", "linux"), "gpu-01": ("gpu",)}
PEOPLE = (Actor(id="key_mia", name="Mia"), Actor(id="key_jonas", name="Jonas"), Actor(id="key_ci", name="CI"))
USUAL = (
    ("npm ci && npm test", 48_000, 9),
    ("make -j8 release", 310_000, 14),
    ("pytest -n 4 tests/api", 95_000, 6),
    ("rsync -a --delete dist/ web-01:/srv/www/", 7_000, 40),
    ("apt-get update && apt-get -y upgrade", 64_000, 25),
    ("docker build -t registry.example/app .", 150_000, 11),
)
"""Commands of a week: content, usual milliseconds, and one of how many fails."""


async def make_fleet(server: ServerProcess) -> list[str]:
    """Desktops beside the demo's, on the demo's SSH server, and one that is away; the ids of those that run."""
    demo = await server.desktop()
    key = (server.data_dir / "demo" / "client_key").read_text()
    reached = {name: demo["ssh"][name] for name in ("host", "port", "username", "hostKeyFingerprint")}
    ids = [demo["id"]]
    for name, labels in FLEET.items():
        ssh = reached | {"auth": {"kind": "key", "privateKey": key}}
        # They share one account, so each outpost needs a folder of its own.
        outpost = {"directory": str(server.data_dir / "demo" / f"outpost-{name}")}
        body = {"name": name, "labels": labels, "ssh": ssh, "outpost": outpost}
        ids.append((await server.http.post("/api/desktops", json=body)).raise_for_status().json()["id"])
    away = reached | {"port": 1, "auth": {"kind": "key", "privateKey": key}}
    await server.http.post("/api/desktops", json={"name": "old-mac", "labels": ["mac"], "ssh": away})
    await all_run(server, ids)
    return ids


async def all_run(server: ServerProcess, ids: list[str]) -> None:
    """Wait until these desktops can be used."""

    async def look() -> bool:
        desktops = {one["id"]: one["status"] for one in (await server.http.get("/api/desktops")).json()}
        return all(desktops[id] == "running" for id in ids)

    await until(look, "the fleet")


async def write_past(data_dir: Path, desktops: list[str]) -> None:
    """A week of work, more by day than by night, the same at each run."""
    dice = random.Random(7)
    async with open_past(data_dir) as past:
        first = time.time_ns() // 1000 - 7 * 24 * 3600 * SECOND_US
        for hour in range(7 * 24 - 1):
            is_day = 7 <= time.gmtime(first / SECOND_US + hour * 3600).tm_hour <= 19
            past.clock.now_us = first + hour * 3600 * SECOND_US
            for _ in range(dice.randint(3, 9) if is_day else dice.randint(0, 2)):
                content, usual_ms, fails = dice.choice(USUAL)
                where = desktops if dice.random() < 0.05 else [dice.choice(desktops)]
                tasks = await past.started(
                    where, content, dice.choice(PEOPLE), labels=("nightly",) if not is_day else ()
                )
                code = 1 if dice.randrange(fails) == 0 else 0
                await past.end(tasks, exit_code=code, duration_ms=int(usual_ms * dice.uniform(0.4, 1.6)))


async def give_work(server: ServerProcess) -> dict[str, str]:
    """A board in the middle of a day; the ids of the things that get a picture of their own."""
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
    desktops = [one["id"] for one in (await server.http.get("/api/desktops")).json() if one["status"] == "running"]
    task = {"type": "command", "content": "case $((RANDOM % 3)) in 0) exit 2;; 1) sleep 600;; *) uptime;; esac"}
    body = {"task": task | {"title": "Check the fleet", "labels": ["fleet"]}, "desktopIds": desktops, "run": True}
    ids["batch"] = (await server.http.post("/api/mission-control/batches", json=body)).raise_for_status().json()["id"]
    ids["desktop"] = desktop
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
        "desktop": f"/desktops/{ids['desktop']}",
        "overview": "/overview",
        "overview-week": "/overview?span=7d",
        "batches": "/batches",
        "batch": f"/batches/{ids['batch']}",
        "search": "/search?status=failed&order=ended",
        "nothing-found": "/search?q=no-task-has-this",
        "settings": "/settings",
        "api": "/reference#createTask",
    }
    for suffix, size in (("", DESKTOP), ("-phone", PHONE)):
        link = await server.another_link()
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
        data = Path(data_dir) / "data"
        async with open_server(data) as server:
            desktops = await make_fleet(server)
        await write_past(data, desktops)
        async with open_server(data) as server, open_browser() as browser:
            await all_run(server, desktops)
            ids = await give_work(server)
            for scheme in ("light", "dark"):
                await photograph(browser, server, folder, ids, scheme)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
