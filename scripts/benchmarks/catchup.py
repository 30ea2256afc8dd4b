"""A page that was away comes back: seconds until it shows what the log has, and how long it did not answer meanwhile.

The page loses its server; so many events are written into the log behind its back; the server comes back. The clock
runs from the opened connection to the moment when the page is live and shows the newest task. Long tasks are those of
the browser (above 50 ms). The reference is a page that is opened anew at that moment, which reads the same.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import anyio
from _support import median, open_server, options_of, report

from tests.browser.signing_in import signed_in
from tests.support.browser import open_browser
from tests.support.history import EVENTS_A_TASK, add_history

WATCH = """() => {
  window.longTasks = [];
  new PerformanceObserver((list) => longTasks.push(...list.getEntries().map((it) => it.duration)))
    .observe({ type: 'longtask' });
}"""
# Noted by the page itself, a frame at a time: when the newest task is on the board and the connection says live.
SHOWN = """async (name) => {
  const began = performance.now();
  const isShown = () => document.querySelector('[aria-label="Connection: Live"]')
    && document.querySelector('[data-column="done"]').textContent.includes(name);
  while (!isShown() && performance.now() - began < 100_000) await new Promise(requestAnimationFrame);
  return performance.now() - window.openedAt;
}"""
LISTEN = """() => {
  const Original = window.WebSocket;
  window.WebSocket = class extends Original {
    constructor(...args) {
      super(...args);
      this.addEventListener('open', () => { if (window.isAway) window.openedAt ??= performance.now(); });
    }
  };
}"""
LOST = ("ERR_CONNECTION_REFUSED", "WebSocket")


async def round_trip(tasks: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="mission-control-bench-") as folder:
        data = Path(folder) / "data"
        async with open_browser() as browser:
            async with open_server(data) as server:
                desktop = (await server.desktop())["id"]
                await server.ended((await server.run("true"))["id"])
                port, key = int(server.url.rpartition(":")[2]), server.http.headers["x-api-key"]
                async with signed_in(browser, server.link, provoked=LOST) as page:
                    await page.add_init_script(f"({LISTEN})()")
                    await page.goto(server.url)
                    await page.get_by_label("Connection: Live").wait_for()
                    await page.evaluate("window.isAway = true")
                    await server.stop()
                    events = await add_history(data, desktop, tasks)
                    async with open_server(data, port=port, key=key) as again:
                        await page.evaluate(WATCH)
                        await page.evaluate("dispatchEvent(new Event('online'))")
                        seconds = await page.evaluate(SHOWN, f"make part-{tasks - 1}") / 1000
                        long_tasks: list[float] = await page.evaluate("longTasks")
                        said = (await page.get_by_text("caught up").first.text_content()) or ""
                        started = time.perf_counter()
                        await page.goto(again.url)
                        await page.get_by_text(f"make part-{tasks - 1}").first.wait_for()
                        anew = time.perf_counter() - started
        return {
            "events": events,
            "seconds": seconds,
            "long tasks": len(long_tasks),
            "longest (ms)": max(long_tasks, default=0.0),
            "opened anew (s)": anew,
            "said": " ".join(said.split()),
        }


async def main() -> None:
    options = options_of(__doc__, events=100_000, rounds=3)
    rounds = [await round_trip(options.events // EVENTS_A_TASK) for _ in range(options.rounds)]
    report(options, rounds, median_seconds=f"{median(one['seconds'] for one in rounds):.2f}")


if __name__ == "__main__":
    anyio.run(main)
