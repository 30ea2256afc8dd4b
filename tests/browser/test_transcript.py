"""A prompt's transcript: it grows without disturbing what stands, at any length, and all of it is only text."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from playwright.async_api import Locator, Page, expect

from tests.browser.signing_in import signed_in
from tests.browser.test_output import output, row
from tests.support.browser import open_browser
from tests.support.chat_endpoint import DONE, Script, chunk, open_chat_endpoint, replies, sse, tool_call, usage
from tests.support.server_process import ServerProcess, open_server

HOSTILE = (
    "<script>window.hurt = true</script> <img src=x onerror='window.hurt = true'> "
    "[press](javascript:window.hurt=true) ![seen](https://tracker.invalid/pixel.png) <b>bold?</b>"
)


@asynccontextmanager
async def open_agent(data: Path, *scripts: Script) -> AsyncGenerator[ServerProcess]:
    """A server whose demo desktop has an agent that answers as the test says."""
    async with open_chat_endpoint(*scripts) as endpoint, open_server(data) as server:
        desktop = await server.desktop()
        agent = {"agent": {"kind": "openai", "url": endpoint.url, "model": "test", "token": "any"}}
        (await server.http.patch(f"/api/desktops/{desktop['id']}", json=agent)).raise_for_status()
        checked = (await server.http.post(f"/api/desktops/{desktop['id']}/check")).json()
        assert checked["ok"], checked
        yield server


def tool(page: Page, name: str) -> Locator:
    """A use of a tool."""
    return output(page).get_by_role("group").filter(has_text=name)


async def test_an_answer_grows_and_what_stands_stays_as_it_is_being_read(tmp_path: Path):
    first, second, last = anyio.Event(), anyio.Event(), anyio.Event()
    script = replies(
        sse(
            chunk(reasoning_content="First I look around."),
            chunk("# Findings\n\nThe disk is *nearly* full.\n\n"),
            tool_call(0, "c1", "bash", '{"command": "df -h /"}'),
            chunk(role="tool", tool_call_id="c1", content="Use% 93\n<b>not bold</b>"),
        ),
        first,
        sse(chunk("- one\n- two"), chunk("\n- three\n\n```sh\necho 'hi'\n```\n\n" + HOSTILE + "\n\nStill")),
        second,
        sse(chunk(" writing. "), *(chunk(f"Line {n}.\n\n") for n in range(60))),
        last,
        sse(chunk("The end."), chunk(finish="stop"), usage(1200, 345)) + DONE,
    )
    async with open_agent(tmp_path / "data", script) as server, open_browser() as browser:
        task = await server.run("Look at the disk", "prompt")
        async with signed_in(browser, await server.another_link()) as page:
            asked: list[str] = []
            page.on("request", lambda request: asked.append(request.url))
            await page.goto(f"{server.url}/tasks/{task['id']}")
            heading = output(page).get_by_role("heading", name="Findings")
            await expect(heading).to_be_visible()
            await expect(output(page).get_by_role("status").filter(has_text="Working")).to_be_visible()
            await expect(tool(page, "bash")).to_contain_text("df -h /")
            await tool(page, "bash").locator("summary").click()
            await expect(tool(page, "bash")).to_contain_text("<b>not bold</b>")
            await output(page).get_by_text("Thought").click()
            await expect(output(page).get_by_text("First I look around.")).to_be_visible()
            sentence = output(page).get_by_text("The disk is nearly full.")
            for part in (heading, sentence, tool(page, "bash")):
                await part.evaluate("element => { element.isTheSame = true; }")
            await sentence.evaluate("element => getSelection().selectAllChildren(element)")
            first.set()
            await expect(output(page).get_by_role("listitem")).to_have_text(["one", "two", "three"])
            code = output(page).locator("pre code").filter(has_text="echo 'hi'")
            await code.evaluate("element => { element.isTheSame = true; }")
            await expect(output(page).get_by_text("Stil")).to_be_visible()  # the end may begin a secret, and wait
            second.set()
            await expect(output(page).get_by_text("Line 59.")).to_be_visible()  # the end is followed
            for part in (heading, sentence, tool(page, "bash"), code):
                await expect(part).to_have_js_property("isTheSame", True)
            assert await page.evaluate("getSelection().toString()") == "The disk is nearly full."
            await expect(tool(page, "bash")).to_have_attribute("open", "")

            # Somebody who reads further up is left there.
            await output(page).hover()
            await page.mouse.wheel(0, -10_000)
            await expect(heading).to_be_in_viewport()
            last.set()
            await expect(page.get_by_role("button", name="Approve").or_(page.get_by_text("Done")).first).to_be_visible()
            await expect(output(page).get_by_text("1,200 tokens in")).to_be_attached()
            await expect(heading).to_be_in_viewport()
            await expect(heading).to_have_js_property("isTheSame", True)
            await expect(output(page).get_by_role("status").filter(has_text="Working")).to_have_count(0)

            # What would be markup or a request elsewhere is text here.
            await expect(output(page).get_by_text("<script>window.hurt = true</script>")).to_be_attached()
            assert await page.evaluate("window.hurt") is None
            await expect(output(page).locator("script, img, iframe, b")).to_have_count(0)
            await expect(output(page).locator("a[href^='javascript']")).to_have_count(0)
            assert not any("tracker" in url for url in asked)

            # The raw answer is what came, byte by byte.
            await page.get_by_role("radio", name="Raw").click()
            await expect(page.get_by_text("Answered 200, text/event-stream")).to_be_visible()
            await expect(row(page, "data: [DONE]")).to_be_visible()
            await page.get_by_role("radio", name="Transcript").click()
            await expect(output(page).get_by_text("The end.")).to_be_attached()
            await page.reload()
            await expect(output(page).get_by_text("1,200 tokens in")).to_be_attached()


async def test_the_key_that_finds_looks_through_the_whole_raw_answer(tmp_path: Path):
    script = replies(sse(chunk("It is hidden in the quokka."), chunk(finish="stop")) + DONE)
    async with open_agent(tmp_path / "data", script) as server, open_browser() as browser:
        task = await server.run("Look for it", "prompt")
        await server.ended(task["id"])
        async with signed_in(browser, await server.another_link()) as page:
            await page.goto(f"{server.url}/tasks/{task['id']}")
            await expect(output(page)).to_contain_text("quokka")
            await page.keyboard.press("/")
            await expect(page.get_by_role("textbox", name="Find in output")).to_be_focused()
            await page.keyboard.type("quokka")
            await expect(page.get_by_text("1 of 1 line")).to_be_visible()
            await expect(page).to_have_url(re.compile("view=raw.*find=quokka"))


async def test_a_transcript_of_many_steps_opens_at_its_end_and_is_drawn_where_it_is_read(tmp_path: Path):
    steps = [
        piece
        for n in range(300)
        for piece in (
            chunk(f"Step {n} begins.\n\n"),
            tool_call(n, f"c{n}", "bash", f'{{"command": "step {n}"}}'),
            chunk(role="tool", tool_call_id=f"c{n}", content=f"result {n}"),
        )
    ]
    script = replies(sse(*steps, chunk("All done."), chunk(finish="stop")) + DONE)
    async with open_agent(tmp_path / "data", script) as server, open_browser() as browser:
        task = await server.run("Many steps", "prompt")
        assert (await server.ended(task["id"]))["status"] == "done"
        async with signed_in(browser, await server.another_link()) as page:
            await page.goto(f"{server.url}/tasks/{task['id']}")
            await expect(output(page).get_by_text("All done.")).to_be_in_viewport()
            earlier = output(page).get_by_role("button", name=re.compile(r"^\d+\s+earlier"))
            await expect(earlier).to_be_attached()
            await expect(output(page).get_by_text("Step 0 begins.")).to_have_count(0)
            await output(page).hover()
            begin = output(page).get_by_text("Step 0 begins.")
            for _ in range(40):
                await page.mouse.wheel(0, -30_000)
                await page.evaluate("() => new Promise(resolve => requestAnimationFrame(() => setTimeout(resolve)))")
                if await begin.count():
                    break
            await expect(begin).to_be_attached()
            await expect(earlier).to_have_count(0)
            later = output(page).get_by_role("button", name=re.compile(r"^\d+\s+later"))
            await expect(later).to_be_attached()  # what is far away is not drawn any more
            await page.get_by_role("button", name="To the end").click()
            await expect(output(page).get_by_text("All done.")).to_be_in_viewport()
            assert await output(page).get_by_text("Step 299 begins.").count() == 1
