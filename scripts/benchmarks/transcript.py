"""A long transcript: thousands of uses of tools, with what they answered and text between, in headless Chromium.

An agent behind a real desktop says so many in one answer while its page is open: once it is followed, once it is
scrolled up and down. Then the page of the whole answer is opened, and scrolled to its beginning. The reference is the
same page while nothing is said.

Frames are intervals between animation frames; a frame is late when the main thread or the machine was busy, so look
at the load.
"""

from __future__ import annotations

import json
import os
import time

import anyio
from _support import Measured, Site, open_site, options_of, report, until
from viewer import Tab, following, open_tab, scrolling

from tests.support.chat_endpoint import DONE, Exchange, chunk, open_chat_endpoint, sse, tool_call, usage

TEXT = (
    "The **parser** takes the `token` before it knows the scope, so `{n}` comes too early. I move the check behind"
    " the lookup and run the tests again:\n\n- `parse()` keeps its signature\n- the cache is asked once\n\n"
)
OUTPUT = "".join(f"tests/test_parser.py::test_case_{at:02} PASSED [{at * 8:3} %]\n" for at in range(12))
FRAMES_A_SECOND = 20  # in which the agent speaks


def step(at: int) -> bytes:
    """One use of a tool, what it answered, and what the agent says to it."""
    wanted = json.dumps({"command": f"pytest -q tests/test_parser.py -k case_{at} && git diff --stat"})
    return sse(
        tool_call(0, f"call_{at}", "shell", wanted),
        chunk(role="tool", tool_call_id=f"call_{at}", content=OUTPUT),
        *(chunk(f"{word} ") for word in TEXT.format(n=at).split(" ")),
    )


class Agent:
    """Says `calls` steps within `seconds`, when it is told to begin."""

    def __init__(self, calls: int, seconds: float) -> None:
        self._calls, self._seconds = calls, seconds
        self.begins = anyio.Event()

    async def answer(self, exchange: Exchange) -> None:
        await exchange.head()
        await exchange.send(sse(chunk("I look at it.\n\n")))
        await self.begins.wait()
        began, said = time.monotonic(), 0
        frames = int(self._seconds * FRAMES_A_SECOND)
        for frame in range(1, frames + 1):
            upto = self._calls * frame // frames
            await exchange.send(b"".join(step(at) for at in range(said, upto)))
            said = upto
            await anyio.sleep(max(0, began + frame / FRAMES_A_SECOND - time.monotonic()))
        await exchange.send(sse(chunk("It is done.", finish="stop"), usage(40_000, 90_000)) + DONE)
        await exchange.end()


async def started(site: Site) -> str:
    """A prompt that runs; its id."""
    body = {"type": "prompt", "content": "Mend the parser", "desktopId": site.desktops[0], "run": True}
    return (await site.server.http.post("/api/mission-control/tasks", json=body)).raise_for_status().json()["id"]


async def shown(tab: Tab, site: Site, task: str) -> float:
    """Open a task's page in a fresh document; milliseconds until something of the transcript is there."""
    await tab.page.goto("about:blank")
    await tab.page.goto(f"{site.server.url}/tasks/{task}")
    await tab.page.get_by_role("region", name="Output").locator(".block").first.wait_for()
    return await tab.page.evaluate("performance.now()")


async def to_the_beginning(tab: Tab, seconds: float) -> None:
    """Turn the wheel up through it as fast as it goes."""
    await tab.page.mouse.move(600, 600)
    with anyio.move_on_after(seconds):
        # Asked for by role, the page would be busy with the question.
        while await tab.page.evaluate("document.querySelector('.undrawn:first-child') !== null"):
            await tab.page.mouse.wheel(0, -2400)
            await tab.page.wait_for_timeout(16)


async def main() -> None:
    options = options_of(__doc__, calls=5_000, seconds=20)
    rows: list[Measured] = []
    load = [round(os.getloadavg()[0], 1)]
    agents = [Agent(options.calls, options.seconds) for _ in range(2)]
    async with open_chat_endpoint(*(agent.answer for agent in agents)) as endpoint, open_site() as site:
        at = f"/api/desktops/{site.desktops[0]}"
        agent = {"kind": "openai", "url": endpoint.url}
        (await site.server.http.patch(at, json={"agent": agent})).raise_for_status()

        async def is_ready() -> bool:
            return (await site.server.http.get(at)).json()["agentReady"]

        await until(is_ready, "the agent")
        task = ""
        for said, doing in zip(agents, (following, scrolling), strict=True):
            task = await started(site)
            async with open_tab(site) as tab:
                first = await shown(tab, site, task)
                if said is agents[0]:
                    await tab.measure()
                    await following(tab.page, 3)
                    rows.append({"doing": "idle", "first ms": round(first), **await tab.measured()})
                await tab.measure()
                said.begins.set()
                await doing(tab.page, options.seconds)
                rows.append({"doing": doing.__name__, "first ms": round(first), **await tab.measured()})
                await site.server.ended(task)
        async with open_tab(site) as tab:
            first = await shown(tab, site, task)
            await tab.measure()
            await to_the_beginning(tab, options.seconds)
            rows.append({"doing": "opened, to the beginning", "first ms": round(first), **await tab.measured()})
            assert await has_all(tab, options.calls), "some of the transcript is missing"
    load.append(round(os.getloadavg()[0], 1))
    report(options, rows, calls=options.calls, secondsEach=options.seconds, load=load)


async def has_all(tab: Tab, calls: int) -> bool:
    """Whether the page holds every use of a tool and what was said to it, drawn or yet to be drawn."""
    drawn: list[str] = await tab.page.evaluate(
        "[`${document.querySelectorAll('.block').length}`,"
        " ...[...document.querySelectorAll('.undrawn')].map(it => it.textContent)]"
    )
    return sum(int("".join(filter(str.isdigit, one))) for one in drawn) == 2 * calls + 2


if __name__ == "__main__":
    anyio.run(main)
