"""What is looked at in an output is in the address of its page: a link shows it to somebody else, and Back works."""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from playwright.async_api import Locator, Page, expect

from tests.browser.signing_in import signed_in
from tests.browser.test_output import LINES, MANY, find, output, recorded, row, show
from tests.support.browser import open_browser
from tests.support.server_process import open_server


def bar(page: Page) -> Locator:
    """What is looked for."""
    return page.get_by_label("Find in output")


def answer(page: Page) -> Locator:
    """What the find bar says about it."""
    return page.locator("search output")


def said(page: Page) -> dict[str, list[str]]:
    """What the address says."""
    return parse_qs(urlsplit(page.url).query)


async def at_home(page: Page) -> None:
    """Wait until nothing in the address says what is looked at."""
    await expect(page).to_have_url(re.compile(r"/tasks/\w+$"))


async def test_a_link_looks_for_the_same_in_the_same_way_and_leaves_the_focus_alone(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        await recorded(server, MANY)
        async with signed_in(browser, server.link) as page:
            await page.get_by_role("link", name="awk").first.click()
            await expect(row(page, f"line {LINES}")).to_be_visible()
            await at_home(page)
            before = await page.evaluate("history.length")
            await output(page).focus()
            await page.keyboard.press("Control+f")
            await bar(page).press_sequentially("^LINE (7|8|50123)\\b", delay=20)
            await page.get_by_role("button", name="Regular expression").click()
            await expect(answer(page)).to_have_text("1 of 3 lines")
            await page.get_by_role("button", name="Match case").click()
            await expect(answer(page)).to_have_text("Not found")
            await bar(page).fill("^line (7|8|50123)\\b")
            await page.get_by_role("button", name="Only lines that match").click()
            await page.get_by_label("Lines around each match").select_option("0")
            rows = output(page).locator(".output-row:visible .output-text")
            await expect(rows).to_have_text(["line 7", "line 8", "line 50123 with an ERROR"])
            assert said(page) == {
                "find": ["^line (7|8|50123)\\b"], "regex": ["1"], "case": ["1"], "context": ["0"],
            }  # fmt: skip

            # Somebody else opens it.
            other = await page.context.new_page()
            await other.goto(page.url)
            await expect(output(other).locator(".output-row:visible .output-text")).to_have_text(
                ["line 7", "line 8", "line 50123 with an ERROR"]
            )
            await expect(bar(other)).to_have_value("^line (7|8|50123)\\b")
            await expect(answer(other)).to_have_text("1 of 3 lines")
            for name in ("Regular expression", "Match case", "Only lines that match"):
                await expect(other.get_by_role("button", name=name)).to_have_attribute("aria-pressed", "true")
            await expect(other.get_by_label("Lines around each match")).to_have_value("0")
            assert await other.evaluate("document.activeElement === document.body")

            # What was typed made no steps; and closing it leaves nothing behind.
            assert await page.evaluate("history.length") == before
            await page.keyboard.press("Escape")
            await at_home(page)
            await page.go_back()
            await expect(page).to_have_url(f"{server.url}/")


async def test_back_to_a_task_looks_for_what_was_looked_for_there_and_other_pages_for_nothing(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        first, second = [await recorded(server, f"seq -f 'line %g' {count}") for count in (300, 301)]
        async with signed_in(browser, server.link) as page:
            await page.get_by_role("link", name="line %g' 300").first.click()
            await expect(row(page, "line 300")).to_be_visible()
            await expect(await find(page, "line 123")).to_have_text("1 of 1 line")
            await expect(page).to_have_url(f"{server.url}/tasks/{first['id']}?find=line+123")
            await page.get_by_role("link", name="Board").first.click()
            await expect(page).to_have_url(f"{server.url}/")
            await page.get_by_role("link", name="line %g' 301").first.click()
            await expect(row(page, "line 301")).to_be_visible()
            await expect(page).to_have_url(f"{server.url}/tasks/{second['id']}")
            await expect(bar(page)).to_have_count(0)
            await page.keyboard.press("u")  # back to the board, and to the task before it
            await expect(page).to_have_url(f"{server.url}/")
            await page.go_back()
            await expect(answer(page)).to_have_text("1 of 1 line")
            await expect(row(page, "line 123")).to_be_in_viewport()
            # A link to the same task that says less shows less; Back shows it again.
            await page.get_by_role("button", name="Activity").first.click()
            await page.get_by_role("log", name="Events").get_by_role("link", name="line %g' 300").first.click()
            await expect(page).to_have_url(f"{server.url}/tasks/{first['id']}")
            await expect(bar(page)).to_have_count(0)
            await page.go_back()
            await expect(bar(page)).to_have_value("line 123")
            await expect(answer(page)).to_have_text("1 of 1 line")


async def test_a_link_to_a_line_and_a_find_stays_at_the_line_and_goes_on_from_there(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        task = await recorded(server, MANY)
        async with signed_in(browser, server.link) as page:
            await show(page, server, task, "?find=with+an+error#L120000")
            await expect(row(page, "line 120000")).to_be_in_viewport()
            await expect(answer(page)).to_have_text("4 lines")
            await expect(row(page, "line 120000")).to_be_in_viewport()
            # Other lines are marked beside what is looked for.
            await output(page).get_by_text("120003", exact=True).click()
            await expect(page).to_have_url(f"{server.url}/tasks/{task['id']}?find=with+an+error#L120003")
            await bar(page).press("Enter")
            await expect(answer(page)).to_have_text("4 of 4 lines")
            await expect(row(page, "line 150123 with an ERROR")).to_be_in_viewport()
            await bar(page).press("Escape")
            await expect(page).to_have_url(f"{server.url}/tasks/{task['id']}#L120003")


async def test_a_link_shows_the_same_stream(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        content = "for i in $(seq 1 300); do echo out $i; [ $((i % 100)) = 0 ] && echo err $i >&2; sleep 0.001; done"
        task = await recorded(server, content)
        async with signed_in(browser, server.link) as page:
            await show(page, server, task, "?find=300")
            await expect(answer(page)).to_have_text("1 of 2 lines")
            await page.get_by_role("radio", name="stderr").click()
            await expect(answer(page)).to_have_text("1 of 1 line")
            assert said(page) == {"find": ["300"], "stream": ["stderr"]}
            await page.reload()
            rows = output(page).locator(".output-row:visible .output-text")
            await expect(rows).to_have_text(["err 100", "err 200", "err 300"])
            await expect(page.get_by_role("radio", name="stderr")).to_be_checked()
            await expect(answer(page)).to_have_text("1 of 1 line")
            await page.get_by_role("radio", name="Both").click()
            await expect(row(page, "out 300")).to_be_visible()
            assert said(page) == {"find": ["300"]}


async def test_a_text_that_is_too_long_for_an_address_is_found_and_not_put_there(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        task = await recorded(server, f"echo {'x' * 300}; echo {'y' * 200}")
        async with signed_in(browser, server.link) as page:
            await show(page, server, task)
            await expect(await find(page, "y" * 200)).to_have_text("1 of 1 line")
            assert said(page) == {"find": ["y" * 200]}
            await expect(await find(page, "x" * 201)).to_have_text("1 of 1 line")
            await at_home(page)
            await expect(bar(page)).to_have_value("x" * 201)


async def test_an_output_beside_other_things_leaves_the_address_alone(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        task = await server.run("echo out; echo err >&2; sleep 0.01", requiresApproval=True)
        async with signed_in(browser, server.link) as page:
            await page.goto(f"{server.url}/approvals/{task['id']}?find=nothing&stream=stderr")
            await expect(row(page, "out")).to_be_visible()
            await expect(bar(page)).to_have_count(0)
            address = page.url
            await expect(await find(page, "err")).to_have_text("1 of 1 line")
            await page.get_by_role("radio", name="stderr").click()
            await expect(row(page, "out")).to_have_count(0)
            await expect(page).to_have_url(address)


async def test_the_raw_answer_to_a_prompt_has_an_address(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        task = await server.ended((await server.run("Give me a system report", "prompt"))["id"])
        async with signed_in(browser, server.link) as page:
            await show(page, server, task)
            await page.get_by_role("radio", name="Raw").click()
            await expect(await find(page, "data: [DONE]")).to_have_text("1 of 1 line")
            assert said(page) == {"view": ["raw"], "find": ["data: [DONE]"]}
            await page.reload()
            await expect(answer(page)).to_have_text("1 of 1 line")
            await expect(row(page, "data: [DONE]")).to_be_in_viewport()
            await page.get_by_role("radio", name="Transcript").click()
            await at_home(page)
