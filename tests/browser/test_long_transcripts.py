"""Hours of an agent's work on one page: read from either end, with only a part of it drawn."""

import json
import re
from pathlib import Path

from playwright.async_api import expect

from tests.browser.signing_in import signed_in
from tests.support.browser import open_browser
from tests.support.chat_endpoint import DONE, chunk, open_chat_endpoint, replies, sse, tool_call
from tests.support.server_process import open_server

CALLS = 600


def work() -> bytes:
    """An answer that uses a tool many times and says something to each."""
    steps = (
        sse(
            tool_call(0, f"c{at}", "shell", json.dumps({"command": f"make part-{at}"})),
            chunk(role="tool", tool_call_id=f"c{at}", content=f"made {at}"),
            chunk(f"Part {at} is made.\n\n"),
        )
        for at in range(1, CALLS + 1)
    )
    return b"".join(steps) + sse(chunk("All of it is made.", finish="stop")) + DONE


async def test_a_long_transcript_opens_at_its_end_and_is_read_from_either(tmp_path: Path):
    async with (
        open_chat_endpoint(replies(work())) as endpoint,
        open_server(tmp_path / "data") as server,
        open_browser() as browser,
    ):
        desktop = await server.desktop()
        agent = {"kind": "openai", "url": endpoint.url, "token": "any"}
        (await server.http.patch(f"/api/desktops/{desktop['id']}", json={"agent": agent})).raise_for_status()
        task = await server.run("Make all parts", "prompt")
        assert (await server.ended(task["id"]))["status"] == "done"
        async with signed_in(browser, server.link) as page:
            await page.goto(f"{server.url}/tasks/{task['id']}")
            output = page.get_by_role("region", name="Output")
            await expect(output.get_by_text("All of it is made.")).to_be_in_viewport()
            assert await output.locator("details").count() < 200, "most of it is not drawn"

            await output.hover()
            for _ in range(12):  # earlier parts are drawn as one comes near them
                await page.mouse.wheel(0, -1500)
                await page.wait_for_function("() => new Promise(requestAnimationFrame)")
            await expect(output.get_by_role("button", name="To the end")).to_have_count(0)
            await expect(page.get_by_role("button", name="To the end")).to_be_visible()
            await expect(output.get_by_text("All of it is made.")).not_to_be_in_viewport()

            await output.focus()
            await page.keyboard.press("Home")
            await expect(output.get_by_text("make part-1", exact=True)).to_be_in_viewport()
            await expect(output.get_by_role("button", name="later")).to_have_count(1)
            await page.keyboard.press("End")
            await expect(output.get_by_text("All of it is made.")).to_be_in_viewport()
            await page.keyboard.press("Home")
            await page.get_by_role("button", name="To the end").click()
            await expect(output.get_by_text("All of it is made.")).to_be_in_viewport()

            await output.evaluate("it => { it.scrollTop = it.scrollHeight / 2 }")  # the scroll bar is that of the whole
            middle = output.get_by_text(re.compile(r"^make part-(2[89]|3[01])\d$")).nth(5)
            await expect(middle).to_be_visible()
            assert await output.locator("details").count() < 200, "most of it is not drawn"
            said = (await middle.inner_text()).replace("make part-", "made ")
            answered = output.get_by_text(said, exact=True)
            await middle.click()
            await expect(answered).to_be_visible()
            await output.focus()
            await page.keyboard.press("End")
            await expect(answered).to_have_count(0)
            await output.evaluate("it => { it.scrollTop = it.scrollHeight / 2 }")
            await expect(answered).to_be_visible()  # it stayed open
