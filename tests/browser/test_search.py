"""Finding what there was: all tasks by text and filter, the line in an output, and views that are kept."""

import re
from pathlib import Path

from playwright.async_api import Locator, Page, expect

from tests.browser.signing_in import signed_in
from tests.browser.test_board import card, pending
from tests.browser.test_output import find, output, row
from tests.support.browser import open_browser
from tests.support.history import add_history
from tests.support.server_process import open_server


def results(page: Page) -> Locator:
    """What was found."""
    return page.get_by_role("list", name="Results").get_by_role("listitem")


async def search_for(page: Page, text: str) -> None:
    """Types into the field of the search page."""
    await page.get_by_role("searchbox", name="Text").fill(text)


async def test_a_task_of_long_ago_is_found_and_its_line_has_a_link_for_others(tmp_path: Path):
    data = tmp_path / "data"
    async with open_browser() as browser:
        async with open_server(data) as server:
            desktop = (await server.desktop())["id"]
            found = await server.run(
                "seq 1 3000; echo needle in it; seq 3001 6000; exit 4", title="Nightly straw 100%_"
            )
            await server.ended(found["id"])
            key = server.http.headers["x-api-key"]
        await add_history(data, desktop, 300)
        async with open_server(data, key=key) as server:
            link = await server.another_link()
            await pending(server, "echo hay", labels=["hay"], title="A promptless straw")
            await pending(server, "Say hay", labels=["hay"], type="prompt")
            async with signed_in(browser, link) as page:
                await page.keyboard.press("g")
                await page.keyboard.press("s")
                await expect(page.get_by_role("searchbox", name="Text")).to_be_focused()
                await expect(page.get_by_text("303 tasks")).to_be_visible()
                # Further ones come when somebody scrolls there.
                await results(page).last.scroll_into_view_if_needed()
                await expect(results(page).nth(60)).to_be_attached()

                await search_for(page, "STRAW")
                await expect(results(page)).to_have_count(2)
                await search_for(page, "straw 100%_")  # is no pattern
                await expect(results(page)).to_have_count(1)
                await search_for(page, found["id"])
                await expect(results(page)).to_have_count(1)
                await search_for(page, "no task has this")
                await expect(page.get_by_text("Nothing matches")).to_be_visible()
                await page.get_by_role("button", name="Clear the search").click()
                await expect(page.get_by_text("303 tasks")).to_be_visible()

                # Filters narrow further, and all of it is in the address.
                await (
                    page.get_by_role("textbox", name="Label")
                    .or_(page.get_by_role("combobox", name="Label"))
                    .fill("hay")
                )
                await page.keyboard.press("Enter")
                await expect(results(page)).to_have_count(2)
                await page.get_by_role("combobox", name="Type").select_option("prompt")
                await expect(results(page)).to_have_count(1)
                await expect(results(page)).to_contain_text("Say hay")
                await page.get_by_role("button", name="Failed").click()
                await expect(page.get_by_text("Nothing matches")).to_be_visible()
                for name in ("type=prompt", "label=hay", "status=failed"):
                    assert name in page.url
                await page.goto(f"{server.url}/search?status=failed&since=24h")
                await expect(page.get_by_role("button", name="Failed")).to_have_attribute("aria-pressed", "true")
                await expect(page.get_by_role("combobox", name="Time")).to_have_value("24h")
                await expect(results(page)).to_have_count(1)
                await expect(results(page)).to_contain_text("exit 4")

                # A task that is made, and one that ends, come by themselves.
                await page.goto(f"{server.url}/search?q=by+itself")
                await expect(page.get_by_text("Nothing matches")).to_be_visible()
                await server.run("echo by itself")
                await expect(results(page)).to_have_count(1)
                await expect(results(page).get_by_role("img", name="Done")).to_be_visible()

                await page.goto(f"{server.url}/search?status=failed")
                await results(page).get_by_role("link").click()
                await expect(page.get_by_role("heading", name="Nightly straw 100%_")).to_be_visible()
                await expect(row(page, "6000").last).to_be_visible()
                answer = await find(page, "needle")
                await expect(answer).to_have_text(re.compile("^1 of 1 line"))
                await output(page).get_by_text("3001", exact=True).first.click()
                await expect(page).to_have_url(re.compile("#L3001$"))
                shared = page.url
                await page.go_back()
                other = await page.context.new_page()
                await other.goto(shared)
                await expect(row(other, "needle in it")).to_be_visible()
                await expect(output(other).locator(".is-marked")).to_contain_text("needle in it")


async def test_views_are_kept_by_name_renamed_and_removed(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await pending(server, "echo nightly", labels=["nightly"])
        await pending(server, "echo other")
        async with signed_in(browser, server.link) as page:

            async def choose(item: str) -> None:
                await page.get_by_role("button", name="Saved views").click()
                await page.get_by_role("menuitem", name=item).click()

            async def name_it(name: str) -> None:
                await page.get_by_role("textbox", name="Name").fill(name)
                await page.get_by_role("button", name="Save", exact=True).click()

            await page.get_by_role("button", name="Saved views").click()
            await expect(page.get_by_role("menuitem", name="Save this filter")).to_have_attribute(
                "title", re.compile("Filter the board first")
            )
            await page.keyboard.press("Escape")
            await page.get_by_label("Filter by label").select_option("nightly")
            await choose("Save this filter")
            await name_it("<b>Nächte</b>")
            await expect(page.get_by_role("button", name="Saved views")).to_have_text("<b>Nächte</b>")
            await choose("Rename this view")
            await expect(page.get_by_role("textbox", name="Name")).to_have_value("<b>Nächte</b>")
            await name_it("Nights")
            await choose("Everything")
            await expect(card(page, "Pending", "echo other")).to_be_visible()
            other = await page.context.new_page()
            await other.goto(server.url)
            await other.get_by_role("button", name="Saved views").click()
            await other.get_by_role("menuitem", name="Nights").click()
            await expect(card(other, "Pending", "echo nightly")).to_be_visible()
            await expect(card(other, "Pending", "echo other")).to_be_hidden()
            await choose("Nights")
            await expect(card(page, "Pending", "echo other")).to_be_hidden()
            await choose("Remove this view")
            await expect(page.get_by_role("button", name="Saved views")).to_have_text("Views")
            await page.reload()
            await page.get_by_role("button", name="Saved views").click()
            await expect(page.get_by_role("menuitem", name="Nights")).to_have_count(0)
