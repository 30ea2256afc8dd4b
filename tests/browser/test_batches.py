"""Batches: one task for many desktops, how all of them stand, and what failed once more."""

import re
from pathlib import Path

from playwright.async_api import Locator, Page, expect

from tests.browser.screenshots import all_run, make_fleet
from tests.browser.signing_in import signed_in
from tests.browser.test_new_task import field, new_task
from tests.support.browser import open_browser
from tests.support.server_process import open_server


def rows(page: Page) -> Locator:
    """The tasks that the page lists."""
    return page.get_by_role("list", name="Tasks", exact=True).get_by_role("listitem")


async def test_a_batch_shows_how_each_desktop_stands_and_makes_only_what_failed_anew(tmp_path: Path):
    first, gate = tmp_path / "first", tmp_path / "gate"
    # One desktop is the first; the others fail until somebody has opened the gate.
    content = f"ln -s x {first} 2>/dev/null || [ -e {gate} ] || {{ echo too late >&2; exit 3; }}"
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await make_fleet(server)
        async with signed_in(browser, server.link) as page:
            dialog = await new_task(page, content=content)
            picker = dialog.get_by_role("combobox", name="Desktop")
            await picker.click()
            listed = dialog.get_by_role("listbox", name="Desktops")
            await listed.get_by_role("option", name="All labelled build").click()
            await picker.click()
            await listed.get_by_role("option", name="gpu-01").locator("[data-several]").click()
            await picker.press("Escape")
            await dialog.get_by_role("button", name=re.compile("^More")).click()
            await field(dialog, "Title").fill("Be the first")
            await dialog.get_by_role("button", name=re.compile("^Create and run")).click()
            await expect(page.get_by_text("3 tasks started")).to_be_visible()
            await page.keyboard.press("g")
            await page.keyboard.press("t")
            await page.get_by_role("list", name="Batches").get_by_role("link", name="Be the first").click()
            await expect(page.get_by_text("3 tasks on 3 desktops")).to_be_visible()
            main = page.get_by_role("main")
            await expect(main.get_by_role("link", name="1 done")).to_be_visible()
            await expect(main.get_by_role("link", name="2 failed")).to_be_visible()
            for name in ("build-01", "build-02", "gpu-01"):
                there = main.get_by_role("listitem").filter(has=page.get_by_role("link", name=name))
                await expect(there).to_contain_text(re.compile("1 (done|failed)"))
            await main.get_by_role("link", name="2 failed").click()
            await expect(rows(page)).to_have_count(2)
            await expect(rows(page).first).to_contain_text("exit 3")

            retry = page.get_by_role("button", name="Retry failed")
            await retry.click()
            await expect(page.get_by_text("2 tasks made anew, pending")).to_be_visible()
            await expect(main.get_by_role("link", name="2 pending")).to_be_visible()
            await retry.click()
            await expect(page.get_by_text("What failed was retried already")).to_be_visible()
            # What cannot be started is named with its reason; the rest starts.
            gate.touch()
            (stopped, _) = (await server.http.get("/api/mission-control/tasks?status=pending")).json()
            desktop = (await server.http.post(f"/api/desktops/{stopped['desktopId']}/stop")).json()
            await page.get_by_role("button", name="Run all").click()
            passed_over = f"Passed over, since the desktop is not running: Be the first on {desktop['name']}"
            await expect(page.get_by_text(passed_over)).to_be_visible()
            await expect(main.get_by_role("link", name="1 pending")).to_be_visible()
            await server.http.post(f"/api/desktops/{desktop['id']}/start")
            await all_run(server, [desktop["id"]])
            await page.get_by_role("button", name="Run all").click()
            await expect(main.get_by_role("link", name="3 done")).to_be_visible()
            await page.get_by_role("combobox", name="Status of the tasks").select_option("done")
            await expect(rows(page)).to_have_count(3)
            await page.get_by_role("combobox", name="Desktop of the tasks").select_option("gpu-01")
            await expect(rows(page)).to_have_count(1)
            await rows(page).get_by_role("link").click()
            await expect(page.get_by_role("heading", name="Be the first")).to_be_visible()
            await page.go_back()

            # The same once more goes to the same desktops, whatever is listed.
            await page.get_by_role("combobox", name="Status of the tasks").select_option("cancelled")
            await expect(page.get_by_text("No task of this batch matches.")).to_be_visible()
            await page.get_by_role("button", name="Use again").click()
            chosen = dialog.get_by_role("list", name="Chosen desktops").get_by_role("listitem")
            await expect(chosen).to_have_text(["build-01", "build-02", "gpu-01"])
            await expect(field(dialog, "Command")).to_have_value(content)
            await page.keyboard.press("Escape")
            await page.get_by_role("link", name="On the board").click()
            await expect(page.get_by_role("region", name=re.compile("^Done")).get_by_role("listitem")).to_have_count(3)
            await expect(page.get_by_role("link", name="One batch")).to_be_visible()
        tasks = (await server.http.get("/api/mission-control/tasks")).json()
        assert sorted(task["status"] for task in tasks) == ["done"] * 3 + ["failed"] * 2
