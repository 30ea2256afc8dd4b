"""The strip of a task's moments: each says more of itself to whoever points, types, touches or listens."""

import re
from pathlib import Path

from playwright.async_api import Page, expect

from tests.browser.axe import violations
from tests.browser.signing_in import signed_in
from tests.support.browser import PHONE, open_browser
from tests.support.server_process import ServerProcess, open_server

FEEDBACK = "Say which folders grew, and since when."


async def rejected(server: ServerProcess) -> str:
    """The path of a task whose last moment has a detail."""
    task = await server.run("echo report", requiresApproval=True)
    await server.ended(task["id"])
    body = {"decision": "reject", "feedback": FEEDBACK}
    (await server.http.post(f"/api/mission-control/tasks/{task['id']}/review", json=body)).raise_for_status()
    return f"/tasks/{task['id']}"


def moment(page: Page, name: str):
    """One of the strip."""
    return page.get_by_role("toolbar", name="Timeline").get_by_role("button", name=name)


def details(page: Page):
    """What is shown of a moment now."""
    return page.get_by_role("tooltip")


async def test_a_moment_is_read_by_pointing_at_it_and_the_pointer_may_go_over_to_its_details(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        path = await rejected(server)
        async with signed_in(browser, server.link) as page:
            await page.goto(server.url + path)
            await moment(page, "Rejected").hover()
            await expect(details(page)).to_contain_text(FEEDBACK)
            await expect(details(page)).to_contain_text(re.compile(r"\d+ \w{3} \d{4}, \d\d:\d\d:\d\d"))
            await details(page).get_by_text(FEEDBACK).hover()
            await expect(details(page)).to_be_visible()
            await page.keyboard.press("Escape")
            await expect(details(page)).to_be_hidden()
            await moment(page, "Created").hover()
            await expect(details(page)).not_to_contain_text(FEEDBACK)
            await page.get_by_role("heading", name="echo report").hover()
            await expect(details(page)).to_be_hidden()


async def test_the_strip_is_one_stop_of_tab_and_arrows_go_through_its_moments(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        path = await rejected(server)
        async with signed_in(browser, server.link) as page:
            await page.goto(server.url + path)
            await expect(moment(page, "Rejected")).to_have_accessible_description(re.compile(FEEDBACK))
            await page.get_by_role("button", name="Use again").focus()
            await page.keyboard.press("Tab")
            await expect(moment(page, "Rejected")).to_be_focused()
            await expect(details(page)).to_contain_text(FEEDBACK)
            assert not await violations(page)
            await page.keyboard.press("Home")
            await expect(moment(page, "Created")).to_be_focused()
            await expect(details(page)).not_to_contain_text(FEEDBACK)
            await page.keyboard.press("ArrowRight")
            await expect(moment(page, "Run by")).to_be_focused()
            await page.keyboard.press("Escape")
            await expect(details(page)).to_be_hidden()
            await expect(moment(page, "Run by")).to_be_focused()
            await page.keyboard.press("Enter")
            await expect(details(page)).to_be_visible()
            await page.keyboard.press("Tab")
            await expect(details(page)).to_be_hidden()
            await expect(page.get_by_role("toolbar", name="Timeline").locator(":focus")).to_have_count(0)


async def test_a_finger_opens_a_moment_and_closes_it_beside_it(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        path = await rejected(server)
        async with signed_in(browser, server.link, size=PHONE, touch=True) as page:
            await page.goto(server.url + path)
            await page.get_by_role("button", name="Details").tap()
            await moment(page, "Rejected").tap()
            await expect(details(page).get_by_text(FEEDBACK)).to_be_in_viewport(ratio=1)
            await page.get_by_role("heading", name="echo report").tap()
            await expect(details(page)).to_be_hidden()


async def test_a_timeline_that_could_not_be_read_says_so_and_is_tried_again(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        path = await rejected(server)
        async with signed_in(browser, server.link, provoked=("Failed to load resource", "answered 503")) as page:
            await page.route("**/events", lambda route: route.fulfill(status=503, json={"code": "busy"}))
            await page.goto(server.url + path)
            await expect(page.get_by_text("Could not read the timeline")).to_be_visible()
            await page.unroute("**/events")
            await page.get_by_role("button", name="Try again").click()
            await expect(moment(page, "Rejected")).to_be_visible()
            await expect(page.get_by_text("Could not read the timeline")).to_have_count(0)
