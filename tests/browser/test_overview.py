"""The overview: figures that agree with the log, and each leads to the list behind it."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from playwright.async_api import Page, expect

from tests.browser.signing_in import signed_in
from tests.support.browser import open_browser
from tests.support.past import SECOND_US, open_past
from tests.support.server_process import open_server

HOUR_US = 3600 * SECOND_US


async def write_days(data: Path) -> None:
    """Two desktops, a little work three days ago, and more of today."""
    async with open_past(data) as past:
        desktops = [await past.desktop("build-01"), await past.desktop("build-02")]
        now = time.time_ns() // 1000
        for hours, many, content, code in (
            (75, 3, "make old", 0),
            (74, 2, "make old --broken", 2),
            (5, 4, "npm ci && npm test", 0),
            (4, 3, "docker build .", 1),
            (3, 2, "docker build . --push", 1),  # not the same as what it begins with
            (3, 1, "rsync dist/ web:", 0),
        ):
            past.clock.now_us = now - hours * HOUR_US
            tasks = [(await past.started([desktops[n % 2]], content))[0] for n in range(many)]
            await past.end(tasks, exit_code=code, duration_ms=90_000)
        past.clock.now_us = now - HOUR_US // 2
        await past.started([desktops[0]], "sleep 1000", run=False)


async def shown_overview(page: Page, url: str) -> dict[str, Any]:
    """Opens it; what the page was told."""
    async with page.expect_response(re.compile("/api/mission-control/overview")) as answered:
        await page.goto(url)
    return await (await answered.value).json()


async def expect_list_of(page: Page, many: int) -> None:
    """The page that one is led to lists so many tasks; then back."""
    await expect(page).to_have_url(re.compile("/search"))
    rows = page.get_by_role("list", name="Results").get_by_role("listitem")
    if many:
        await expect(rows).to_have_count(many)
        await expect(page.get_by_text(f"{many} task{'' if many == 1 else 's'}", exact=True)).to_be_visible()
    else:
        await expect(page.get_by_text("Nothing matches")).to_be_visible()
    await page.go_back()
    await expect(page.get_by_role("list", name="Figures")).to_be_visible()


async def test_every_figure_is_the_servers_and_leads_to_the_list_behind_it(tmp_path: Path):
    data = tmp_path / "data"
    async with open_server(data) as server:
        await server.desktop()
        key = server.http.headers["x-api-key"]
    await write_days(data)
    async with open_server(data, key=key) as server, open_browser() as browser:
        await server.desktop()
        waiting = await server.run("echo look at it", requiresApproval=True)
        await server.ended(waiting["id"])
        running = await server.run("sleep 1000")
        async with signed_in(browser, await server.another_link()) as page:
            for span, done, failed in (("24h", 5, 5), ("7d", 8, 7)):
                told = await shown_overview(page, f"{server.url}/overview?span={span}")
                ended = [sum(hour[outcome] for hour in told["throughput"]) for outcome in ("done", "failed")]
                assert ended == [done, failed]
                main = page.get_by_role("main")
                tiles = page.get_by_role("list", name="Figures").get_by_role("listitem")
                for name, value, note in (
                    ("Running", "1", "1 pending"),
                    ("In review", "1", "the oldest for"),
                    ("Ended well", f"{round(100 * done / (done + failed))}", ""),
                    ("Desktops running", "1 of 3", "see why"),
                ):
                    tile = tiles.filter(has=page.get_by_role("link", name=name, exact=True))
                    await expect(tile).to_contain_text(value)
                    await expect(tile).to_contain_text(note)
                outcomes = page.get_by_role("list", name="Outcomes")
                for name, many in (("Done", done), ("Failed", failed), ("Cancelled", 0)):
                    link = outcomes.get_by_role("link", name=name)
                    await expect(link).to_have_text(re.compile(rf"{name}\s*{many}$"))
                    await link.click()
                    await expect_list_of(page, many)
                # Each bar is the sum of its hours, and lists just what ended in them.
                bars = page.get_by_role("toolbar", name=re.compile("^Bars")).get_by_role("link")
                counted = 0
                for label in await bars.evaluate_all("all => all.map(bar => bar.getAttribute('aria-label'))"):
                    many = sum(int(number) for number in re.findall(r"(\d+) (?:done|failed)", label))
                    counted += many
                    if many:
                        await page.get_by_role("link", name=label, exact=True).press("Enter")
                        await expect_list_of(page, many)
                assert counted == done + failed
                failing = main.get_by_role("region", name="Fails most often").get_by_role("listitem")
                await expect(failing).to_have_count(len(told["failing"]))
                await expect(failing.first).to_contain_text("docker build .")
                await expect(failing.first).to_contain_text(re.compile(r"\b3\b"))
                await failing.first.get_by_role("link", name="docker build .", exact=True).click()
                await expect_list_of(page, 3)
                await failing.first.get_by_role("link", name=re.compile("the newest failure of")).click()
                await expect(page).to_have_url(re.compile(f"/tasks/{told['failing'][0]['taskId']}"))
                await page.go_back()
                await expect(main.get_by_text(f"{done} tasks that ended well")).to_be_visible()
                durations = main.get_by_role("region", name="How long they take")
                # The link of the heading lies over its rows.
                await durations.get_by_text("9 of 10", exact=True).click(force=True)
                await expect_list_of(page, done)

            for status, many in told["counts"].items():
                await main.get_by_role("link", name=f"{many} {status}").last.click()
                await expect_list_of(page, many)
            await tiles.get_by_role("link", name="In review").click()
            await expect(page.get_by_role("heading", name="echo look at it")).to_be_visible()
            await page.go_back()
            await tiles.get_by_role("link", name="Desktops running").click()
            await expect(page.get_by_text("3 desktops, 1 running")).to_be_visible()
            await page.go_back()

            # What ends meanwhile is counted without a reload.
            await server.http.post(f"/api/mission-control/tasks/{running['id']}/cancel?wait=20")
            await expect(page.get_by_role("list", name="Outcomes").get_by_role("link", name="Cancelled")).to_have_text(
                re.compile(r"Cancelled\s*1$")
            )
            await expect(tiles.filter(has=page.get_by_role("link", name="Running", exact=True))).to_contain_text("0")
