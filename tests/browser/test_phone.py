"""A task on a phone: what one opened it for is on the screen, and nothing lies over it."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.axe import violations
from tests.browser.signing_in import signed_in
from tests.support.browser import open_browser
from tests.support.server_process import ServerProcess, open_server

PHONE = (360, 740)
ASIDE = (740, 360)
LINES = "for i in $(seq 1000); do echo line $i; done"


async def show(page: Page, server: ServerProcess, task: Mapping[str, object]) -> None:
    """Open a task's page."""
    await page.goto(f"{server.url}/tasks/{task['id']}")


async def assert_above(upper: Locator, lower: Locator) -> None:
    """The whole of one is on the screen, and ends before the other begins."""
    await expect(upper).to_be_in_viewport(ratio=1)
    above, below = await upper.bounding_box(), await lower.bounding_box()
    assert above and below and above["y"] + above["height"] <= below["y"], (above, below)


async def test_a_task_shows_its_newest_lines_its_status_and_what_can_be_done_at_once(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        over = await server.ended((await server.run(f"{LINES}; echo at the end; exit 3"))["id"])
        going = await server.run(f"{LINES}; echo up to here; sleep 60")
        async with signed_in(browser, server.link, size=PHONE, touch=True) as page:
            output = page.get_by_role("region", name="Output")
            for task, status, newest, action in (
                (over, "Failed", "at the end", "Retry"),
                (going, "Running", "up to here", "Cancel"),
            ):
                await show(page, server, task)
                await assert_above(
                    output.get_by_text(newest, exact=True), page.get_by_role("button", name=action, exact=True)
                )
                await expect(page.get_by_role("main").get_by_text(status, exact=True).first).to_be_in_viewport(ratio=1)
                await expect(page.get_by_role("heading", level=2)).to_be_in_viewport(ratio=1)
                await expect(page.get_by_role("toolbar", name="Timeline")).to_have_count(0)
                assert not await violations(page)


async def test_a_prompt_in_review_is_read_and_decided_on_one_screen(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        task = await server.run("Run `seq 300` and tell me what it says. Then say what you did.", "prompt",
                                requiresApproval=True)  # fmt: skip
        await server.ended(task["id"])
        async with signed_in(browser, server.link, size=PHONE, touch=True) as page:
            await show(page, server, task)
            await assert_above(page.get_by_role("region", name="Output"), page.get_by_role("button", name="Approve"))
            assert not await violations(page)


async def test_what_a_task_is_about_is_unfolded_on_demand(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        task = await server.ended((await server.run(LINES, title="Count", labels=["nightly"]))["id"])
        async with signed_in(browser, server.link, size=PHONE, touch=True) as page:
            await show(page, server, task)
            await expect(page.get_by_text("line 1000", exact=True)).to_be_in_viewport()
            await expect(page.get_by_text(LINES)).to_have_count(0)
            await page.get_by_role("button", name="Details").click()
            for said in (page.get_by_text(LINES), page.get_by_text("nightly"), page.get_by_role("link", name="Demo")):
                await expect(said).to_be_in_viewport()
            await expect(page.get_by_role("toolbar", name="Timeline")).to_be_visible()
            assert not await violations(page)
            await page.get_by_role("button", name="Details").click()
            await expect(page.get_by_text(LINES)).to_have_count(0)


async def test_tools_of_the_output_that_have_no_room_are_in_its_menu(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        task = await server.ended((await server.run(f"echo {'wide ' * 60}end"))["id"])
        async with signed_in(browser, server.link, size=PHONE, touch=True) as page:
            await show(page, server, task)
            menu = page.get_by_role("button", name="More output tools")
            await menu.click()
            await page.get_by_role("menuitem", name="Wrap lines").click()
            row = page.locator(".output-row:visible").first
            await expect(row).to_be_in_viewport(ratio=1)
            await menu.click()
            async with page.expect_download() as download:
                await page.get_by_role("menuitem", name="Download raw output").click()
            assert (await download.value).suggested_filename == f"{task['id']}.log"


@pytest.mark.parametrize("end", ["done", "failed"])
async def test_a_phone_on_its_side_shows_the_end_too(end: str, tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        task = await server.ended((await server.run(f"{LINES}{'; exit 1' if end == 'failed' else ''}"))["id"])
        async with signed_in(browser, server.link, size=ASIDE, touch=True) as page:
            await show(page, server, task)
            await expect(page.get_by_text("line 1000", exact=True)).to_be_in_viewport(ratio=1)


async def test_the_overview_is_no_wider_than_the_screen_whatever_fails(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        await server.ended((await server.run(f"false {'with-many-arguments ' * 12}"))["id"])
        async with signed_in(browser, server.link, size=PHONE, touch=True) as page:
            await page.goto(f"{server.url}/overview")
            failing = page.get_by_role("region", name="Fails most often")
            await expect(failing.get_by_role("listitem")).to_have_count(1)
            box = await failing.bounding_box()
            assert box and box["x"] + box["width"] <= PHONE[0], box


async def test_the_search_shows_what_was_found_first_and_its_filters_on_demand(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        for number in range(8):
            await server.ended((await server.run(f"exit {number}"))["id"])
        async with signed_in(browser, server.link, size=PHONE, touch=True) as page:
            await page.goto(f"{server.url}/search?status=failed")
            results = page.get_by_role("list", name="Results").get_by_role("listitem")
            await expect(results).to_have_count(7)
            filters = page.get_by_role("button", name="Filters (1)")
            await assert_above(filters, results.first)
            box = await results.first.bounding_box()
            assert box and box["y"] < PHONE[1] / 4, box
            status = page.get_by_role("button", name="Done", exact=True)
            await expect(status).to_be_hidden()
            await filters.tap()
            assert not await violations(page)
            await status.tap()
            await expect(results).to_have_count(8)
            await page.get_by_role("combobox", name="Type").select_option("command")
            filters = page.get_by_role("button", name="Filters (2)")
            await expect(filters).to_have_attribute("aria-expanded", "true")
            await filters.tap()
            await expect(status).to_be_hidden()
            await expect(results).to_have_count(8)
