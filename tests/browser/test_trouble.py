"""Trouble that is not the page's own: a slow line, code that does not come, an upgrade, a browser that forbids."""

from __future__ import annotations

import re
from pathlib import Path

import anyio
from playwright.async_api import Page, Route, expect

from tests.browser.signing_in import signed_in
from tests.browser.test_board import card, column, pending
from tests.browser.test_new_task import field, more, new_task, set_secret
from tests.browser.test_real_time import live
from tests.support.browser import LOST, open_browser, open_page
from tests.support.server_process import open_server

SLOW_3G = {"offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
DENIED = """() => {
  Object.defineProperty(Notification, 'permission', { get: () => 'denied' });
  Notification.requestPermission = () => Promise.resolve('denied');
}"""


async def slow(page: Page) -> None:
    """From now on, everything comes as over a bad mobile line, and nothing from a cache."""
    session = await page.context.new_cdp_session(page)
    await session.send("Network.enable")
    await session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    await session.send("Network.emulateNetworkConditions", SLOW_3G)


async def test_over_a_bad_mobile_line_the_page_says_what_it_does_and_the_board_is_usable(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        for n in range(30):
            await pending(server, f"echo number {n}")
        async with open_page(browser) as (page, _):
            await slow(page)
            seen = anyio.Event()

            async def late(route: Route) -> None:
                await seen.wait()
                await route.continue_()

            await page.route("**/api/mission-control/tasks?*", late)
            await page.goto(server.link, wait_until="commit", timeout=60_000)
            # Its name at once, its frame next, and that the tasks are still on their way.
            await expect(page.get_by_text("Mission Control").first).to_be_visible(timeout=60_000)
            await expect(page.get_by_role("navigation", name="Main")).to_be_visible(timeout=60_000)
            await expect(page.get_by_role("status").filter(has_text="Reading what there is")).to_be_attached()
            await expect(column(page, "Pending").get_by_role("list")).to_have_attribute("aria-busy", "true")
            await expect(page.get_by_text("Nothing waits")).to_have_count(0)
            seen.set()
            await expect(card(page, "Pending", "echo number 29")).to_be_visible(timeout=60_000)
            await expect(page.locator("[aria-busy='true']")).to_have_count(0)
            await live(page)
            run = card(page, "Pending", "echo number 29").get_by_role("button", name="Run")
            await run.click()
            await expect(card(page, "Done", "echo number 29")).to_be_visible(timeout=60_000)
            await page.get_by_label("Filter by text").fill("number 7")
            await expect(column(page, "Pending").get_by_role("listitem")).to_have_count(1)
            dialog = await new_task(page, content="echo over a bad line")
            await dialog.get_by_role("button", name="Create", exact=True).click()
            await expect(dialog).to_be_hidden(timeout=60_000)
            await page.get_by_label("Filter by text").fill("")
            await expect(card(page, "Pending", "echo over a bad line")).to_be_visible(timeout=60_000)
            await page.get_by_role("link", name="Search").first.click()
            await expect(page.get_by_role("searchbox", name="Text")).to_be_visible(timeout=60_000)


async def test_a_part_of_the_dashboard_that_does_not_come_is_said_and_can_be_tried_again(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        refused: list[str] = []

        async def refuse(route: Route) -> None:
            refused.append(route.request.url)
            await route.abort("connectionreset")

        async with open_page(browser) as (page, complaints):
            parts = re.compile(r"/assets/(SearchPage|NewTaskDialog)-.*\.js")
            await page.route(parts, refuse)
            await page.goto(server.link)
            await live(page)
            create = page.get_by_role("button", name="New Task").first
            await create.click()
            missing = page.get_by_role("alert").filter(has_text="A part of the dashboard could not be loaded")
            await expect(missing).to_be_visible()
            await missing.get_by_role("button", name="Close").click()
            await create.click()
            await expect(missing).to_be_visible()
            await expect(missing.get_by_role("button", name="Reload")).to_be_visible()

            # A screen says it in its place; the rest goes on.
            await page.get_by_role("link", name="Search").first.click()
            await expect(page.get_by_text("This screen could not be loaded")).to_be_visible()
            await page.get_by_role("link", name="Board").first.click()
            task = await server.run("echo meanwhile")
            await server.ended(task["id"])
            await expect(card(page, "Done", "echo meanwhile")).to_be_visible()
            await page.get_by_role("link", name="Search").first.click()
            assert refused
            await page.unroute(parts)
            await page.get_by_role("button", name="Reload").first.click()
            await expect(page.get_by_role("searchbox", name="Text")).to_be_visible()
            await create.click()
            await expect(page.get_by_role("dialog", name="New task")).to_be_visible()
            complaints.forget("ERR_CONNECTION_RESET", "Failed to load resource")


async def test_activity_that_did_not_come_is_there_with_the_next_press(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        async with open_page(browser) as (page, complaints):
            part = re.compile(r"/assets/Activity-.*\.js")
            await page.route(part, lambda route: route.abort("connectionreset"))
            await page.goto(server.link)
            await live(page)
            show = page.get_by_role("button", name="Show activity")
            await show.click()
            missing = page.get_by_role("alert").filter(has_text="A part of the dashboard could not be loaded")
            await expect(missing).to_be_visible()
            await expect(show).to_have_attribute("aria-expanded", "false")
            await page.unroute(part)
            await show.click()
            await expect(page.get_by_role("complementary", name="Activity")).to_be_visible()
            complaints.forget("ERR_CONNECTION_RESET", "Failed to load resource")


async def test_an_activity_that_the_server_cannot_read_takes_nothing_else_away(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await pending(server, "echo usable")
        async with open_page(browser) as (page, complaints):
            reads = "**/api/mission-control/activity?*"
            trouble = {
                "code": "internal_error",
                "status": 500,
                "title": "Internal error",
                "detail": "The disk is gone.",
            }
            await page.route(reads, lambda route: route.fulfill(status=500, json=trouble))
            await page.goto(server.link)
            await live(page)
            await page.keyboard.press("]")
            panel = page.get_by_role("complementary", name="Activity")
            await expect(panel).to_contain_text("The disk is gone.")
            await card(page, "Pending", "echo usable").get_by_role("button", name="Run").click()
            await expect(card(page, "Done", "echo usable")).to_be_visible()
            await expect(panel).to_contain_text("echo usable done")
            await page.unroute(reads)
            await panel.get_by_role("button", name="Try again").click()
            await expect(panel).not_to_contain_text("The disk is gone.")
            await expect(panel.get_by_role("listitem").first).to_contain_text("added")
            complaints.forget("Failed to load resource", "answered 500")


async def test_an_upgraded_server_is_said_and_the_page_is_not_reloaded_by_itself(tmp_path: Path):
    data, newer = tmp_path / "data", tmp_path / "newer"
    newer.mkdir()
    (newer / "sitecustomize.py").write_text("import mission_control\nmission_control.__version__ = '99.0.0'\n")
    async with open_browser() as browser:
        async with open_server(data) as server:
            await server.desktop()
            port, key = int(server.url.rpartition(":")[2]), server.http.headers["x-api-key"]
            async with signed_in(browser, server.link, provoked=LOST) as page:
                await page.evaluate("window.sameDocument = true")
                dialog = await new_task(page, content="echo half written")
                await server.stop()
                await expect(page.get_by_text("Connection lost")).to_be_visible()
                # The same version again is no news.
                async with open_server(data, port=port, key=key) as again:
                    await live(page)
                    await expect(page.get_by_text("The server has a new version.")).to_have_count(0)
                    await again.stop()
                await expect(page.get_by_text("Connection lost")).to_be_visible()
                async with open_server(data, port=port, key=key, environment={"PYTHONPATH": str(newer)}):
                    await expect(page.get_by_text("The server has a new version.")).to_be_visible(timeout=30_000)
                    assert await page.evaluate("window.sameDocument"), "not by itself"
                    await expect(field(dialog, "Command")).to_have_value("echo half written")
                    await page.keyboard.press("Escape")
                    await page.get_by_role("button", name="Reload").click()
                    await live(page)
                    assert await page.evaluate("window.sameDocument") is None
                    await expect(page.get_by_text("The server has a new version.")).to_have_count(0)
                    dialog = await new_task(page)
                    await expect(field(dialog, "Command")).to_have_value("echo half written")
                    await page.goto(f"{server.url}/settings")
                    await expect(page.get_by_text("99.0.0")).to_be_visible()


async def test_a_second_tab_follows_the_same_log_and_disturbs_nothing(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await pending(server, "echo chosen")
        async with signed_in(browser, server.link) as page:
            await expect(card(page, "Pending", "echo chosen")).to_be_visible()
            await page.keyboard.press("j")
            await page.keyboard.press("x")
            dialog = await new_task(page, content="echo typed in the first tab")
            other = await page.context.new_page()
            await other.goto(f"{server.url}/?q=chosen")
            await live(other)
            theirs = await new_task(other)
            await expect(field(theirs, "Command")).to_have_value("echo typed in the first tab")
            await other.keyboard.press("Escape")
            await card(other, "Pending", "echo chosen").get_by_role("button", name="Run").click()
            await expect(card(other, "Done", "echo chosen")).to_be_visible()
            await other.close()
            await expect(field(dialog, "Command")).to_be_focused()
            await expect(field(dialog, "Command")).to_have_value("echo typed in the first tab")
            await page.keyboard.press("Escape")
            await expect(card(page, "Done", "echo chosen")).to_be_visible()
            await expect(page.get_by_role("toolbar", name="Selected tasks")).to_be_visible()
            assert page.url == f"{server.url}/"


async def test_notifications_that_the_browser_forbids_are_off_and_the_settings_say_where_to_allow_them(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        async with signed_in(browser, server.link) as page:
            await page.goto(f"{server.url}/settings")
            switch = page.get_by_role("switch", name="Notifications")
            await expect(switch).to_be_enabled()
            # Asked, and refused.
            await page.evaluate(f"({DENIED})()")
            await switch.click()
            await expect(switch).not_to_be_checked()
            await expect(switch).to_be_disabled()
            await expect(switch).to_have_accessible_description(re.compile("was told not to show any from here"))
            # Refused long ago.
            await page.add_init_script(f"({DENIED})()")
            await page.reload()
            await expect(switch).to_be_disabled()
            await expect(switch).not_to_be_checked()
            await expect(switch).to_have_accessible_description(re.compile("Change it .* then reload"))
            await expect(page.get_by_text("The tab's title and icon count what waits")).to_be_visible()


async def test_an_approval_and_secrets_that_could_not_be_read_say_so_and_are_tried_again(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await set_secret(server, "DEPLOY_TOKEN", "sesame-open")
        task = await server.ended((await server.run("echo over"))["id"])
        async with signed_in(browser, server.link, provoked=("Failed to load resource", "answered 503")) as page:

            async def busy(route: Route) -> None:
                await route.fulfill(status=503, json={"code": "busy", "title": "Busy", "detail": "Not now."})

            async def try_again(path: str) -> None:
                await expect(page.get_by_text("Not now.")).to_be_visible()
                await expect(page.get_by_text(re.compile("None yet|No such approval"))).to_have_count(0)
                await page.unroute(path)
                await page.get_by_role("button", name="Try again").click()

            await page.route("**/secrets", busy)
            await more(await new_task(page))
            await try_again("**/secrets")
            await expect(page.get_by_role("checkbox", name="DEPLOY_TOKEN")).to_be_visible()
            await server.http.delete(f"/api/mission-control/tasks/{task['id']}")  # so that the board does not know it
            path = f"**/tasks/{task['id']}"
            await page.route(path, busy)
            await page.goto(f"{server.url}/approvals/{task['id']}")
            await try_again(path)
            await expect(page.get_by_text("waits for no decision any more")).to_be_visible()
