"""The first load: what a browser fetches before the board is there, and when it paints, at a slower processor.

JavaScript is counted as it travels, compressed. First paint and the first card are medians of fresh profiles, with the
processor slowed down so many times; the reference is the same with a processor as it is.
"""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path
from typing import Any

import anyio
from _support import Measured, median, open_server, options_of, report
from playwright.async_api import Browser, Response

from tests.browser.screenshots import give_work
from tests.support.browser import open_browser
from tests.support.server_process import ServerProcess

PAINTED = """() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"""
CARD = """async () => {
  while (!document.querySelector('[data-card]')) await new Promise(requestAnimationFrame);
  return performance.now();
}"""


async def first_load(browser: Browser, server: ServerProcess, cookies: Any, slower: int) -> Measured:
    """One load in a fresh profile of somebody who is signed in."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800}, service_workers="block")
    try:
        await context.add_cookies(cookies)
        page = await context.new_page()
        scripts: list[Response] = []
        page.on("response", lambda answer: scripts.append(answer) if ".js" in answer.url else None)
        session = await context.new_cdp_session(page)
        await session.send("Emulation.setCPUThrottlingRate", {"rate": slower})
        await page.goto(server.url)
        card = await page.evaluate(CARD)
        sizes = [len(gzip.compress(await one.body())) for one in scripts]
        return {"js": sum(sizes), "files": len(sizes), "paint": await page.evaluate(PAINTED), "card": card}
    finally:
        await context.close()


async def main() -> None:
    options = options_of(__doc__, rounds=7, slower=4)
    rows: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="mission-control-bench-") as folder:
        async with open_server(Path(folder) / "data") as server, open_browser() as browser:
            await give_work(server)
            context = await browser.new_context()
            page = await context.new_page()
            await page.goto(server.link)
            await page.get_by_role("button", name="New Task").first.wait_for()
            cookies = await context.cookies()
            await context.close()
            for slower in (1, options.slower):
                loads = [await first_load(browser, server, cookies, slower) for _ in range(options.rounds)]
                rows.append(
                    {
                        "slower": f"{slower} x",
                        "JavaScript (kB)": loads[0]["js"] / 1000,
                        "files": loads[0]["files"],
                        "first paint (ms)": median(one["paint"] for one in loads),
                        "first card (ms)": median(one["card"] for one in loads),
                    }
                )
    report(options, rows, rounds=options.rounds)


if __name__ == "__main__":
    anyio.run(main)
