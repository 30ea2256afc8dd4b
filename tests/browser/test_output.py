"""The output of a command in a browser: any size, from its end or from anywhere, and never anything but text."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import anyio
import pytest
from playwright.async_api import Locator, Page, Route, expect

from mission_control.domain.events import TaskOutputGap
from mission_control.domain.output import OutputCutter, StreamPosition
from mission_control.domain.tasks import RunEnd
from mission_control.log.event_log import RunRow
from mission_control.runs.recorder import output_event
from tests.browser.axe import violations
from tests.browser.signing_in import signed_in
from tests.support.browser import DESKTOP, LOST, PHONE, open_browser
from tests.support.past import open_past
from tests.support.server_process import ServerProcess, open_server
from tests.support.waiting import until

LINES = 200_000
MANY = 'awk \'BEGIN { for (i = 1; i <= 200000; i++) print "line " i (i % 50000 == 123 ? " with an ERROR" : "") }\''


def output(page: Page) -> Locator:
    """The rows."""
    return page.get_by_role("region", name="Output")


def row(page: Page, text: str) -> Locator:
    """What one line shows, which is exactly this."""
    return output(page).get_by_text(text, exact=True)


async def show(page: Page, server: ServerProcess, task: Mapping[str, object], hash: str = "") -> None:
    """Open a task's page."""
    await page.goto(f"{server.url}/tasks/{task['id']}{hash}")


async def recorded(server: ServerProcess, content: str) -> dict[str, object]:
    """A command that has run to its end."""
    return await server.ended((await server.run(content))["id"])


async def copied(page: Page) -> str:
    """What is copied of the selection, also when it has to be fetched first."""
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.evaluate("navigator.clipboard.writeText('nothing yet')")
    await page.keyboard.press("Control+c")

    async def look() -> str | None:
        text: str = await page.evaluate("navigator.clipboard.readText()")
        return text if text != "nothing yet" else None

    found = await until(look, "the clipboard")
    assert found is not None
    return found


async def in_the_middle(page: Page) -> str:
    """The text of the row in the middle of the view."""
    box = await output(page).bounding_box()
    assert box is not None
    middle = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
    return str(await page.evaluate("([x, y]) => document.elementFromPoint(x, y)?.textContent", middle))


async def find(page: Page, text: str) -> Locator:
    """Type a text into the find bar; what the bar says about it."""
    await output(page).focus()
    await page.keyboard.press("Control+f")
    await page.get_by_label("Find in output").fill(text)
    return page.locator("search output")


async def test_a_long_output_opens_at_its_end_and_is_read_from_anywhere(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        task = await recorded(server, MANY)
        async with signed_in(browser, server.link) as page:
            asked: list[str] = []
            page.on("request", lambda request: asked.append(request.url) if "/output" in request.url else None)
            await show(page, server, task)
            await expect(row(page, f"line {LINES}")).to_be_visible()
            await expect(page.get_by_text("200,000 lines")).to_be_visible()
            assert not any(url.endswith("/output") for url in asked), "never all of it"
            await output(page).hover()
            await page.mouse.wheel(0, -4000)
            await expect(row(page, f"line {LINES - 230}")).to_be_visible()
            await output(page).focus()
            await page.keyboard.press("Home")
            await expect(row(page, "line 1")).to_be_visible()
            assert len(asked) < 20, asked
            await page.keyboard.press("End")
            await expect(row(page, f"line {LINES}")).to_be_visible()
            # A link to lines shows and marks them; clicking numbers makes one.
            await page.evaluate("location.hash = '#L123400-L123402'")
            for number in (123_400, 123_402):
                await expect(row(page, f"line {number}")).to_be_visible()
            assert await output(page).locator(".is-marked").count() == 3
            await output(page).get_by_text("123405", exact=True).click()
            await output(page).get_by_text("123407", exact=True).click(modifiers=["Shift"])
            await expect(page).to_have_url(re.compile(r"#L123405-L123407$"))


async def test_a_link_to_a_task_asks_for_its_lines_at_once_and_for_nothing_twice(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        task = await recorded(server, "seq -f 'line %g' 300")
        async with signed_in(browser, server.link) as page:
            paths: list[str] = []
            page.on("request", lambda request: paths.append(request.url.removeprefix(server.url)))
            await show(page, server, task)
            await expect(row(page, "line 300")).to_be_visible()
            own = f"/api/mission-control/tasks/{task['id']}"
            await until(lambda: "/api/mission-control/settings" in paths, "what the page asks for when it is idle")
            for path in ("/api/auth/me", own, f"{own}/output/lines?tail=200"):
                assert paths.index(path) < paths.index("/api/mission-control/settings"), f"{path} is asked for early"
            assert paths.count("/api/auth/me") == paths.count(own) == 1, paths


async def test_a_task_whose_first_requests_fail_shows_its_lines_all_the_same(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        task = await recorded(server, "seq -f 'line %g' 300")
        async with signed_in(browser, server.link, provoked=LOST) as page:
            failed: set[str] = set()

            async def fail_once(route: Route) -> None:
                if route.request.url in failed:
                    await route.continue_()
                else:
                    failed.add(route.request.url)
                    await route.abort("connectionreset")

            for path in ("", "/output/lines?tail=200"):
                await page.route(f"{server.url}/api/mission-control/tasks/{task['id']}{path}", fail_once)
            await show(page, server, task)
            await expect(row(page, "line 300")).to_be_visible()
            assert len(failed) == 2, failed


async def test_while_the_code_of_a_task_is_on_its_way_the_frame_is_there(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        task = await recorded(server, "seq -f 'line %g' 300")
        async with signed_in(browser, server.link) as page:
            seen = anyio.Event()

            async def late(route: Route) -> None:
                await seen.wait()
                await route.continue_()

            await page.route("**/assets/TaskPage-*.js", late)
            await page.goto(f"{server.url}/tasks/{task['id']}", wait_until="commit")
            await expect(page.get_by_role("navigation", name="Main")).to_be_visible()
            await expect(page.get_by_role("button", name="New Task")).to_be_visible()
            seen.set()
            await expect(row(page, "line 300")).to_be_visible()


async def test_find_searches_all_of_it_and_shows_the_matching_lines_alone(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        task = await recorded(server, MANY)
        async with signed_in(browser, server.link, provoked=("422",)) as page:
            await show(page, server, task)
            await expect(row(page, f"line {LINES}")).to_be_visible()
            answer = await find(page, "with an error")
            await expect(answer).to_have_text("1 of 4 lines")
            found = row(page, "line 123 with an ERROR")
            await expect(found).to_be_visible()
            colour = "e => getComputedStyle(e, '::highlight(output-current)').backgroundColor"
            assert await found.evaluate(colour) == "rgb(255, 159, 67)"
            await page.keyboard.press("Enter")
            await expect(answer).to_have_text("2 of 4 lines")
            await expect(row(page, "line 50123 with an ERROR")).to_be_visible()
            await page.keyboard.press("Shift+Enter")
            await page.keyboard.press("Shift+Enter")
            await expect(row(page, "line 150123 with an ERROR")).to_be_visible()
            await page.get_by_role("button", name="Match case").click()
            await expect(answer).to_have_text("Not found")
            await page.get_by_role("button", name="Match case").click()
            await page.get_by_label("Find in output").fill("^line (7|8)$")
            await page.get_by_role("button", name="Regular expression").click()
            await expect(answer).to_have_text("1 of 2 lines")
            await page.get_by_label("Find in output").fill("(")
            await expect(answer).to_contain_text("not a regular expression")
            await page.get_by_label("Find in output").fill("ERROR")
            await page.get_by_role("button", name="Only lines that match").click()
            await page.get_by_label("Lines around each match").select_option("0")
            await expect(row(page, "line 150123 with an ERROR")).to_be_visible()
            await expect(output(page).locator(".output-row:visible")).to_have_count(4)
            await page.keyboard.press("Escape")
            await expect(output(page).locator(".output-row:visible").nth(10)).to_be_visible()


LOOKS = """rows => Object.fromEntries(rows.map(row => [row.querySelector('.output-number').textContent,
  [...row.querySelector('.output-text').childNodes].map(node => [node.nodeName, node.textContent, node.className ?? '',
    node.title ?? '', node.style?.cssText ?? '', node.href ?? ''])]))"""
"""What the lines on the screen show, and how."""


async def test_lines_look_the_same_wherever_one_came_from(tmp_path: Path):
    kinds = (
        "plain", "", "\\033[1;31mbold\\033[0m then not", "\\033[48;2;9;8;7mfree\\033[0m", "a \\001 control",
        "\\033[4munder\\033[0m", "\\033[2mdim\\033[0m", "\\033[7minverse\\033[0m", "\\033[36mblue\\033[0m",
        "\\033[3mslanted\\033[0m", "\\033]8;;https://example.com/\\007link\\033]8;;\\007 and \\033[32mgreen\\033[0m",
    )  # fmt: skip
    body = " ".join(f"printf '{kind}\\n';" for kind in kinds)
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        task = await recorded(server, f"for i in $(seq 100); do {body} done")
        async with signed_in(browser, server.link) as page:
            rows = output(page).locator(".output-row:visible:not(.is-missing)")

            async def looks_at(line: int) -> dict[str, object]:
                await page.evaluate(f"location.hash = '#L{line}'")
                await expect(output(page).locator(".is-marked:visible .output-number")).to_have_text(f"{line:5}")
                await expect(output(page).locator(".is-missing:visible")).to_have_count(0)
                shown: dict[str, object] = await rows.evaluate_all(LOOKS)
                return shown

            await show(page, server, task, "#L500")
            fresh = await looks_at(500)
            for line in range(100, 450, 37):
                await looks_at(line)
                again = await looks_at(500)
                both = fresh.keys() & again.keys()
                assert len(both) > len(kinds)
                assert {at: again[at] for at in both} == {at: fresh[at] for at in both}


async def test_what_is_copied_over_many_pages_is_what_was_printed(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        task = await recorded(server, MANY)
        async with signed_in(browser, server.link) as page:
            await show(page, server, task, "#L50001")
            await row(page, "line 50001").click(position={"x": 1, "y": 5})
            await page.evaluate("location.hash = '#L53000'")
            last = row(page, "line 53000")
            size = await last.bounding_box()
            assert size is not None
            await last.click(modifiers=["Shift"], position={"x": size["width"] - 1, "y": 5})
            expected = "\n".join(
                f"line {i}" + (" with an ERROR" if i % 50_000 == 123 else "") for i in range(50_001, 53_001)
            )
            assert await copied(page) == expected


async def test_each_stream_is_shown_alone_in_order(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        content = "for i in $(seq 1 300); do echo out $i; [ $((i % 100)) = 0 ] && echo err $i >&2; sleep 0.001; done"
        task = await recorded(server, content)
        async with signed_in(browser, server.link) as page:
            await show(page, server, task)
            await expect(page.get_by_text("303 lines")).to_be_visible()
            await page.get_by_role("radio", name="stderr").click()
            rows = output(page).locator(".output-row:visible .output-text")
            await expect(rows).to_have_text(["err 100", "err 200", "err 300"])
            await page.get_by_role("radio", name="stdout").click()
            await expect(row(page, "out 300")).to_be_visible()
            await page.get_by_role("radio", name="stdout").press("Tab")
            await output(page).focus()
            await page.keyboard.press("Control+a")
            assert await copied(page) == "\n".join(f"out {i}" for i in range(1, 301))


async def test_the_end_is_followed_until_one_looks_elsewhere_and_again_on_demand(tmp_path: Path):
    gates = [tmp_path / "first", tmp_path / "second"]
    wait = "until [ -e {} ]; do sleep 0.02; done"
    content = f"seq 1 500; {wait.format(gates[0])}; seq 501 1000; {wait.format(gates[1])}; seq 1001 1500"
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        task = await server.run(content)
        async with signed_in(browser, server.link) as page:
            await show(page, server, task)
            await expect(row(page, "500").last).to_be_visible()
            gates[0].touch()
            await expect(row(page, "1000").last).to_be_visible()
            await output(page).hover()
            await page.mouse.wheel(0, -2000)
            await expect(row(page, "1000")).to_have_count(0)
            await expect(row(page, "880").last).to_be_visible()
            gates[1].touch()
            await expect(page.get_by_role("button", name=re.compile("500 new lines"))).to_be_visible()
            await expect(row(page, "880").last).to_be_visible()
            await page.keyboard.press("Shift+G")
            await expect(row(page, "1500").last).to_be_visible()
            await page.keyboard.press("f")  # a view that becomes larger is not scrolled
            await expect(page.get_by_role("button", name="Leave full screen")).to_be_visible()
            await expect(row(page, "1470").last).to_be_visible()
            await expect(page.get_by_role("button", name="To the end")).to_have_count(0)
            await page.keyboard.press("f")
            await expect(page.get_by_text("Process exited 0")).to_be_visible()


async def test_a_server_that_is_killed_under_an_open_page_leaves_it_with_the_text_of_the_log(tmp_path: Path):
    gate, data_dir = tmp_path / "gate", tmp_path / "data"
    content = f"i=0; until [ -e {gate} ]; do i=$((i+1)); echo line $i; echo warning $i >&2; sleep 0.01; done; echo end"
    async with open_browser() as browser:
        async with open_server(data_dir) as server:
            await server.desktop()
            task = await server.run(content)
            port, key = int(server.url.rpartition(":")[2]), server.http.headers["x-api-key"]
            async with signed_in(browser, server.link, provoked=LOST) as page:
                await show(page, server, task)
                await expect(output(page).get_by_text(re.compile("^line \\d\\d+$")).last).to_be_visible()
                server.kill()
                await expect(page.get_by_text(re.compile("Connection lost")).first).to_be_visible()
                async with open_server(data_dir, port=port, key=key) as again:
                    await expect(page.get_by_text(re.compile("Connection lost"))).to_have_count(0, timeout=30_000)
                    gate.touch()
                    ended = await again.ended(str(task["id"]))
                    assert ended["status"] == "done", ended
                    await expect(row(page, "end")).to_be_visible()
                    await output(page).focus()
                    await page.keyboard.press("Control+a")
                    shown = await copied(page)
                    assert shown + "\n" == await again.output(str(task["id"]))


async def test_output_goes_on_being_followed_while_the_window_changes_its_size(tmp_path: Path):
    gate = tmp_path / "gate"
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        content = f"seq 500; i=500; until [ -e {gate} ]; do i=$((i+1)); echo $i; sleep 0.01; done; echo end"
        task = await server.run(content)
        async with signed_in(browser, server.link) as page:
            await show(page, server, task)
            for height in (1100, 400) * 8:
                await page.set_viewport_size({"width": 900, "height": height})
                await page.evaluate("() => new Promise(resolve => requestAnimationFrame(() => setTimeout(resolve)))")
            gate.touch()
            await server.ended(str(task["id"]))
            await expect(row(page, "end")).to_be_visible()
            await expect(page.get_by_role("button", name=re.compile("new line"))).to_have_count(0)


async def test_one_line_of_ten_megabytes_is_cut_on_the_screen_and_shown_whole_on_demand(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        task = await recorded(server, "head -c 10000000 /dev/zero | tr '\\0' x; echo; echo after it")
        async with signed_in(browser, server.link) as page:
            await show(page, server, task)
            await expect(row(page, "after it")).to_be_visible()
            more = output(page).get_by_role("button", name=re.compile("45,536 more characters, show all"))
            await expect(more.first).to_be_attached()
            cut = output(page).locator(".output-row").filter(has=page.get_by_role("button")).first
            number = await cut.get_by_role("link").inner_text()
            whole = output(page).locator(".output-row").filter(has=page.get_by_role("link", name=number, exact=True))
            await whole.get_by_role("button").evaluate("element => element.click()")
            await expect(whole.get_by_role("button")).to_have_count(0)
            await output(page).focus()
            await page.keyboard.press("Control+a")
            assert await copied(page) == "x" * 10_000_000 + "\nafter it"


async def test_how_lines_look_is_the_same_in_the_next_output(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        first, second = await recorded(server, "echo one"), await recorded(server, "printf '%0900d\\n' 0")
        async with signed_in(browser, server.link) as page:
            await show(page, server, first)
            await page.get_by_role("button", name="Wrap lines").click()
            await page.get_by_role("button", name="Times: off").click()
            await expect(page.get_by_role("button", name="Times: since start")).to_be_visible()
            await show(page, server, second)
            await expect(page.get_by_role("button", name="Wrap lines")).to_have_attribute("aria-pressed", "true")
            line = output(page).locator(".output-row:visible")
            await expect(line).to_contain_text(re.compile(r"\+0:00\.\d{3}"))
            size = await line.bounding_box()
            assert size is not None
            assert size["height"] > 3 * 18


SIGNS = """rows => rows.map(row =>
  /^"(.)"/.exec(getComputedStyle(row.querySelector('.output-number'), '::before').content)?.[1] ?? '')"""
"""What is drawn before the lines' numbers."""


async def test_parts_of_a_long_line_are_no_lines(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        whole = await recorded(server, "echo before it; head -c 100000 /dev/zero | tr '\\0' x")
        cut = await recorded(server, "head -c 131072 /dev/zero | tr '\\0' x; echo; echo; echo after it")
        async with signed_in(browser, server.link) as page:
            await show(page, server, cut)
            await expect(page.get_by_text("5 lines and parts of lines")).to_be_visible()
            rows = output(page).locator(".output-row:visible")
            # Two of 64 KiB, what is left of it, which is its end, an empty line, and the last one.
            await expect(rows.locator(".output-number")).to_have_text([f"{number:5}" for number in range(1, 6)])
            assert await rows.evaluate_all(SIGNS) == ["", "↳", "↳", "", ""]
            await output(page).focus()
            await page.keyboard.press("Control+a")
            assert await copied(page) == "x" * 131_072 + "\n\nafter it"
            await show(page, server, whole)
            await expect(page.get_by_text("3 lines and parts of lines")).to_be_visible()
            assert await rows.evaluate_all(SIGNS) == ["", "", "↳"]


async def test_a_page_with_a_line_of_ten_megabytes_answers_while_its_lines_wrap(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        content = "echo before it; head -c 10000000 /dev/zero | tr '\\0' x; echo; echo after it"
        task = await recorded(server, content)
        async with signed_in(browser, server.link) as page:
            await show(page, server, task)
            await expect(row(page, "after it")).to_be_in_viewport()
            await output(page).focus()
            await page.keyboard.press("w")
            await expect(page.get_by_role("button", name="Wrap lines")).to_have_attribute("aria-pressed", "true")
            await expect(row(page, "after it")).to_be_in_viewport()
            assert "xxx" in await in_the_middle(page)
            await page.keyboard.press("Home")
            await expect(row(page, "before it")).to_be_in_viewport()
            await page.keyboard.press("PageDown")
            await expect(row(page, "before it")).not_to_be_in_viewport()
            assert "xxx" in await in_the_middle(page)
            await page.keyboard.press("End")
            await expect(row(page, "after it")).to_be_in_viewport()


async def test_output_that_would_do_harm_is_text(tmp_path: Path):
    hostile = (
        "<script>window.hurt = true</script><img src=x onerror='window.hurt = true'>"
        "\x1b]52;c;aHVydA==\x07\x1b]8;;javascript:window.hurt=true\x07click me\x1b]8;;\x07"
        " abc\u202edcba\x1b[2J\x1b[999;999H\x07"
    )
    source = tmp_path / "hostile"
    source.write_text(f"{hostile}\n\x1b]8;;https://example.com/?q=<b>\x07the web\x1b]8;;\x07\n")
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        task = await recorded(server, f"cat {source}")
        async with signed_in(browser, server.link) as page:  # which complains of what the page's policy had to stop
            await show(page, server, task)
            await expect(output(page).get_by_text("<script>window.hurt = true</script>")).to_be_visible()
            text = await output(page).locator(".output-row:visible .output-text").first.text_content()
            assert text == (
                "<script>window.hurt = true</script><img src=x onerror='window.hurt = true'>"
                "click me abc\u21c6dcba\u2407"
            )
            assert await page.evaluate("window.hurt") is None
            links = output(page).locator("a.output-link")
            await expect(links).to_have_count(1)
            await expect(links).to_have_attribute("href", "https://example.com/?q=%3Cb%3E")
            await expect(links).to_have_attribute("title", "https://example.com/?q=%3Cb%3E")
            await expect(links).to_have_attribute("rel", re.compile("noopener"))
            await expect(output(page).locator("script, img")).to_have_count(0)


async def test_a_run_that_prints_nothing_says_for_how_long(tmp_path: Path):
    gate = tmp_path / "gate"
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        task = await server.run(f"printf 'Password: '; until [ -e {gate} ]; do sleep 0.02; done; echo; exit 1")
        async with signed_in(browser, server.link) as page:
            await show(page, server, task)
            await expect(output(page).get_by_text("Password:")).to_be_visible()
            await expect(page.get_by_text(re.compile(r"Last line \d+ s ago"))).to_be_visible()
            gate.touch()
            await expect(page.get_by_text("Process exited 1")).to_be_visible()
            with anyio.fail_after(10):
                assert (await server.ended(str(task["id"])))["exitCode"] == 1


COLOURFUL = (
    "for i in $(seq 30 37) $(seq 90 97); do printf '\\033[%sm colour %s \\033[7m inverse \\033[0m\\n' $i $i; done;"
    " printf '\\033[38;5;44mfree colour\\033[0m \\033[2mdim\\033[0m\\n';"
    " printf '\\033]8;;https://example.com\\007a link\\033]8;;\\007\\n';"
    " echo error: on stderr >&2; exit 1"
)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_in_output_with_everything_open(
    scheme: Literal["light", "dark"], size: tuple[int, int], tmp_path: Path
):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        task = await recorded(server, COLOURFUL)
        async with signed_in(browser, server.link, size=size, scheme=scheme) as page:
            await show(page, server, task, "#L3-L5")
            await expect(output(page).locator(".is-marked").first).to_be_visible()
            await page.keyboard.press("t")
            answer = await find(page, "colour")
            await expect(answer).to_have_text("1 of 17 lines")
            await page.get_by_role("button", name="Only lines that match").click()
            await expect(page.get_by_label("Lines around each match")).to_be_visible()
            assert not await violations(page)
            await page.get_by_role("button", name="More output tools" if size == PHONE else "Copy output").click()
            await page.get_by_role("menuitem", name="Copy as curl").wait_for()
            assert not await violations(page)


async def write_a_run_with_a_hole(data: Path) -> str:
    """Lines 1 and 2, a hole of 93 bytes, and lines 3 and 4; the task's id."""
    async with open_past(data) as past:
        (task,) = await past.started([await past.desktop("build-01")], "make")
        await past.control.tasks.enter_phase(task.id, "streaming")
        cutter = OutputCutter()

        async def write(data: bytes) -> None:
            written = [output_event(task.id, piece) for piece in cutter.feed("stdout", data, 1)]
            await past.control.tasks.record(task, written, RunRow(task.id, cutter.position))

        await write(b"one\ntwo\n")
        gap = TaskOutputGap(task_id=task.id, start=8, to=101, reason="A disk damaged them", streams={"stdout": 101})
        cutter.jump({"stdout": StreamPosition(101, 0)})
        await past.control.tasks.record(task, [gap], RunRow(task.id, cutter.position))
        await write(b"three\nfour\n")
        await past.control.tasks.finish(task.id, RunEnd(exit_code=0, duration_ms=2_000))
        return task.id


async def test_a_hole_in_an_output_is_marked_where_bytes_are_missing(tmp_path: Path):
    data = tmp_path / "data"
    task = {"id": await write_a_run_with_a_hole(data)}
    async with open_server(data, demo=False) as server, open_browser() as browser:
        async with signed_in(browser, await server.another_link()) as page:
            await show(page, server, task)
            await expect(row(page, "four")).to_be_visible()
            await expect(page.get_by_text("93 bytes of this output were lost")).to_contain_text("A disk damaged them")
            after = output(page).locator(".is-after-loss")
            await expect(after).to_have_count(1)
            await expect(after).to_contain_text("three")
            await expect(after.get_by_role("link")).to_have_attribute("title", "93 bytes lost before this line")
            await page.get_by_role("link", name="before line 3").click()
            await expect(output(page).locator(".is-marked")).to_contain_text("three")


async def test_output_that_an_admin_removed_is_gone_from_the_open_page_and_says_so(tmp_path: Path):
    async with open_server(tmp_path / "data") as server, open_browser() as browser:
        await server.desktop()
        secret = await recorded(server, "echo the secret plan")
        prompt = await server.ended((await server.run("Give me a system report", "prompt"))["id"])
        async with signed_in(browser, server.link) as page:
            other = await page.context.new_page()
            await show(other, server, prompt)
            await expect(other.get_by_role("region", name="Plan").first).to_be_visible()
            await show(page, server, secret)
            await expect(row(page, "the secret plan")).to_be_visible()
            for task in (secret, prompt):
                (await server.http.delete(f"/api/mission-control/tasks/{task['id']}/output")).raise_for_status()
            removed = page.get_by_text("The recorded output of this run was removed.")
            await expect(removed).to_be_visible()
            await expect(row(page, "the secret plan")).to_have_count(0)
            await page.reload()
            await expect(removed).to_be_visible()
            await expect(row(page, "the secret plan")).to_have_count(0)
            await expect(page.get_by_role("article").get_by_text("Output removed")).to_be_attached()
            await expect(other.get_by_role("region", name="Plan")).to_have_count(0)
            await show(page, server, prompt)
            await expect(removed).to_have_text(re.compile("removed. Its final answer stays with the task"))
