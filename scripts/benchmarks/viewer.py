"""The viewer: a command's output in headless Chromium on a real server, beside the same bytes in xterm.js.

First a million recorded lines are opened, and 20,000 more arrive each second while the page follows, is scrolled and
jumps about; xterm.js gets the same output from the same server, with the scrollback given. Then ten million lines at
each pixel density, where browsers cut the height of elements at different places: every jump must show the line that it
says.

First rows are timed from the navigation of a browser that is open and idle, as when a person follows a link: the median
of several openings, and the slowest of them. Frames are intervals between animation frames while lines arrive; a frame
is late when the main thread or the machine was busy, so look at the load. Memory is that of the tab's process.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from _support import ROOT, Measured, Process, Site, open_site, options_of, quantile, report, until
from playwright.async_api import Page, Route, async_playwright

from tests.support.browser import CHROMIUM, FLAGS

SCREEN = {"width": 1280, "height": 800}
XTERM = ROOT / "frontend" / "node_modules" / "@xterm" / "xterm"
PAUSE_SECONDS = 0.05  # between the lines that arrive
IDLE_SECONDS = 0.5
LOAD_SECONDS = 180

WATCH = """
  window.frames_ = []; window.long_ = []; window.isMeasured = false;
  new PerformanceObserver(list => {
    if (isMeasured) for (const entry of list.getEntries()) long_.push(entry.duration);
  }).observe({ type: 'longtask' });
  let before = 0;
  requestAnimationFrame(function frame(now) {
    if (isMeasured && before) frames_.push(now - before);
    before = now;
    if (!window.firstRows && document.querySelector(
      '.output-row:not([hidden]):not(.is-missing) .output-text')?.textContent)
      console.debug(`first rows ${window.firstRows = performance.now()}`);
    requestAnimationFrame(frame);
  });
"""
SHOWN = """
  () => [...document.querySelectorAll('.output-row:not([hidden]):not(.is-missing)')].map(row =>
    [Number(row.querySelector('.output-number').textContent), row.querySelector('.output-text').textContent])
"""
XTERM_PAGE = """<!doctype html><html><head><link rel="stylesheet" href="/bench/xterm.css">
<style>html,body,#place{height:100%;margin:0}</style><script src="/bench/xterm.js"></script></head><body>
<div id="place"></div><script>
  window.arrived = 0;
  window.show = async (id, scrollback) => {
    const terminal = new Terminal({ scrollback, cols: 160, rows: 44, fontSize: 12, convertEol: true });
    terminal.open(document.getElementById('place'));
    window.terminal = terminal;
    const started = performance.now();
    const answer = await fetch(`/api/mission-control/tasks/${id}/output`);
    const after = Number(answer.headers.get('mission-control-seq'));
    const reader = answer.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      window.firstRows ??= await new Promise(seen => terminal.write(value, () => seen(performance.now())));
      await new Promise(seen => terminal.write(value, seen));
    }
    window.loadedMs = performance.now() - started;
    const socket = new WebSocket(`ws://${location.host}/api/mission-control/activity/ws`);
    socket.onopen = () => socket.send(JSON.stringify(
      { op: 'subscribe', id: 'x', after, taskId: id, types: ['task.output'], output: 'full' }));
    socket.onmessage = message => {
      const frame = JSON.parse(message.data);
      for (const { payload } of frame.events ?? []) { arrived += payload.length; terminal.write(payload.text); }
    };
  };
</script></body></html>"""


def _resident_mb(pid: int) -> float:
    try:
        return Process(pid).resident_mb
    except OSError:
        return 0.0  # it has just ended


class Tab:
    """A page and what it costs."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def resident_mb(self) -> float:
        """Of the largest page process that this browser has."""
        assert self.page.context.browser
        session = await self.page.context.browser.new_browser_cdp_session()
        processes = (await session.send("SystemInfo.getProcessInfo"))["processInfo"]
        await session.detach()
        return max(_resident_mb(one["id"]) for one in processes if one["type"] == "renderer")

    async def heap_mb(self) -> float:
        """What JavaScript holds."""
        session = await self.page.context.new_cdp_session(self.page)
        used = await session.send("Runtime.getHeapUsage")
        await session.detach()
        return used["usedSize"] / 1e6

    async def measure(self) -> None:
        """From now on frames count."""
        await self.page.evaluate("frames_.length = long_.length = 0; isMeasured = true")

    async def measured(self) -> Measured:
        """The frames since `measure`, and the memory now."""
        frames = await self.page.evaluate("isMeasured = false, frames_")
        long = await self.page.evaluate("long_")
        assert frames, "the page made no frame"
        return {
            "median": statistics.median(frames),
            "p99": quantile(frames, 0.99),
            "max": max(frames),
            "over 50": sum(frame > 50 for frame in frames),
            "long tasks": len(long),
            "heap MB": await self.heap_mb(),
            "RSS MB": round(await self.resident_mb()),
        }


@asynccontextmanager
async def open_tab(site: Site, density: int = 1) -> AsyncGenerator[Tab]:
    """A signed-in page in a browser of its own, whose screen has this pixel density for real."""
    async with async_playwright() as playwright:
        size = "{width},{height}".format_map(SCREEN)
        flags = [*FLAGS, f"--force-device-scale-factor={density}", f"--window-size={size}"]
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=flags)
        try:
            context = await browser.new_context(no_viewport=True, service_workers="block")  # no density is emulated
            page = await context.new_page()
            await page.add_init_script(WATCH)
            link = (await site.server.local("POST", "/api/auth/links")).json()["url"]
            await page.goto(link)
            await page.get_by_role("button", name="New Task").first.wait_for()
            yield Tab(page)
        finally:
            await browser.close()


async def opened(tab: Tab, site: Site, task: str) -> float:
    """Open a task's page in a fresh document; milliseconds until the first rows are there."""
    await tab.page.goto("about:blank")
    await tab.page.wait_for_timeout(IDLE_SECONDS * 1000)  # what was open before has gone
    # The page says it by itself: to ask it again and again would slow it down.
    said = lambda message: message.text.startswith("first rows")  # noqa: E731
    async with tab.page.expect_console_message(said, timeout=LOAD_SECONDS * 1000) as first:
        await tab.page.goto(f"{site.server.url}/tasks/{task}")
    return float((await first.value).text.split()[-1])


async def first_rows(site: Site, task: str, openings: int, density: int = 1) -> Measured:
    """Milliseconds until the first rows of a task are there, in a browser of its own."""
    async with open_tab(site, density) as tab:
        times = [await opened(tab, site, task) for _ in range(openings)]
    return {"first rows ms": round(statistics.median(times)), "slowest": round(max(times))}


def printer(lines: int, rate: int, seconds: int, gate: Path) -> str:
    """A command that prints so many lines at once, and for every time the gate is opened so many a second."""
    return f"""exec python3 -u - <<'END'
import os, sys, time
PLAIN = "%d 2026-11-24T02:00:00.000Z INFO worker compiled module %d and linked it" + chr(10)
COLOURED = "%d " + chr(27) + "[32mworker" + chr(27) + "[0m compiled module %d, linked it and wrote down how" + chr(10)
def lines(start, count):
    return "".join((PLAIN if i % 3 else COLOURED) % (i, i * 13) for i in range(start, start + count))
at, out = 1, sys.stdout
for _ in range({lines} // 10000):
    out.write(lines(at, 10000)); at += 10000
out.flush()
for turn in range(100):
    while not os.path.exists("{gate}" + str(turn)):
        if os.path.exists("{gate}end"): sys.exit()
        time.sleep(0.02)
    began = time.monotonic()
    for step in range(int({seconds} / {PAUSE_SECONDS})):
        out.write(lines(at, int({rate} * {PAUSE_SECONDS}))); out.flush(); at += int({rate} * {PAUSE_SECONDS})
        time.sleep(max(0, began + (step + 1) * {PAUSE_SECONDS} - time.monotonic()))
END"""


Doing = Callable[[Page, float], Any]


async def following(page: Page, seconds: float) -> None:
    """Only look."""
    await page.wait_for_timeout(seconds * 1000)


async def scrolling(page: Page, seconds: float) -> None:
    """Turn the wheel up and down."""
    await page.mouse.move(600, 600)
    with anyio.move_on_after(seconds):
        for turn in range(100_000):
            await page.mouse.wheel(0, (-240, -240, 120)[turn // 30 % 3])
            await page.wait_for_timeout(16)


async def jumping(page: Page, seconds: float) -> None:
    """Drag the thumb to places that were never looked at."""
    with anyio.move_on_after(seconds):
        for turn in range(100_000):
            share = turn * 0.381966 % 1
            await page.evaluate(
                "share => { const e = document.querySelector('.output-scroll') ??"
                " document.querySelector('.xterm-viewport'); e.scrollTop = share * e.scrollHeight }",
                share,
            )
            await page.wait_for_timeout(250)


DOINGS: dict[str, Doing] = {"following": following, "scrolling": scrolling, "jumping": jumping}


class Recorded:
    """A task that has printed, and prints more on demand."""

    def __init__(self, site: Site, options: Any) -> None:
        self._site, self._options, self._turn = site, options, 0
        self._gate = site.folder / "gate"
        self.id = ""

    async def start(self) -> None:
        """Until the recorded lines are recorded."""
        options, http = self._options, self._site.server.http
        content = printer(options.lines, options.rate, options.seconds, self._gate)
        body = self._site.task(content)
        self.id = (await http.post("/api/mission-control/tasks", json=body)).json()["id"]

        async def recorded() -> bool:
            return await self.lines() >= options.lines

        await until(recorded, "the recorded lines", seconds=LOAD_SECONDS)

    async def lines(self) -> int:
        """How many are recorded."""
        answer = await self._site.server.http.get(f"/api/mission-control/tasks/{self.id}/output/lines?tail=1")
        return int(answer.headers["mission-control-lines"])

    def print_more(self) -> None:
        """For as many seconds as the options say."""
        Path(f"{self._gate}{self._turn}").touch()
        self._turn += 1

    def end(self) -> None:
        """No more."""
        Path(f"{self._gate}end").touch()


async def ours(site: Site, recorded: Recorded, options: Any) -> list[Measured]:
    rows: list[Measured] = [
        {"viewer": "ours", "doing": "opening", **await first_rows(site, recorded.id, options.openings)}
    ]
    for name, doing in DOINGS.items():
        async with open_tab(site) as tab:
            await opened(tab, site, recorded.id)
            await tab.page.wait_for_timeout(1000)
            await tab.measure()
            recorded.print_more()
            await doing(tab.page, options.seconds)
            rows.append({"viewer": "ours", "doing": name, **await tab.measured()})
    return rows


async def theirs(site: Site, recorded: Recorded, options: Any) -> list[Measured]:
    rows: list[Measured] = []
    for name, doing in list(DOINGS.items())[:2]:
        async with open_tab(site) as tab:
            page = tab.page
            for path, content, type in (
                ("xterm.html", XTERM_PAGE, "text/html"),
                ("xterm.js", (XTERM / "lib" / "xterm.js").read_text(), "text/javascript"),
                ("xterm.css", (XTERM / "css" / "xterm.css").read_text(), "text/css"),
            ):
                await page.route(f"{site.server.url}/bench/{path}", _answering(content, type))
            await page.goto(f"{site.server.url}/bench/xterm.html")
            await page.evaluate("([id, scrollback]) => show(id, scrollback)", [recorded.id, options.scrollback])
            loaded = await page.evaluate("[firstRows, loadedMs]")
            await page.wait_for_timeout(1000)
            await tab.measure()
            recorded.print_more()
            await doing(page, options.seconds)
            rows.append(
                {"viewer": f"xterm.js, {options.scrollback:,}", "doing": name, "first rows ms": round(loaded[0]),
                 "loaded ms": round(loaded[1]), **await tab.measured()}
            )  # fmt: skip
    return rows


def _answering(content: str, type: str) -> Callable[[Route], Any]:
    return lambda route: route.fulfill(body=content, content_type=type)


async def ten_million(site: Site, density: int, task: str, lines: int, openings: int) -> Measured:
    """Open, jump to a link, to the middle by the scroll bar, turn the wheel, to the start and the end."""
    first = await first_rows(site, task, openings, density)
    async with open_tab(site, density) as tab:
        page = tab.page
        await opened(tab, site, task)
        seen = await page.evaluate("devicePixelRatio")
        assert seen == density, f"the pixel density is {seen}, not {density}"

        async def shows(line: int) -> None:
            async def is_shown() -> bool:
                return [line, f"line {line}"] in await page.evaluate(SHOWN)

            await until(is_shown, f"line {line} on the screen")

        await shows(lines)
        await tab.measure()
        for line in (lines // 3, 7, lines - 12_345):
            await page.evaluate(f"location.hash = '#L{line}'")
            await shows(line)
        await page.evaluate("(e => { e.scrollTop = (e.scrollHeight - e.clientHeight) / 2 })"
                            "(document.querySelector('.output-scroll'))")  # fmt: skip
        await page.wait_for_timeout(500)
        middle = (await page.evaluate(SHOWN))[0][0]
        assert abs(middle - lines / 2) < lines / 1000, f"the middle of the scroll bar shows line {middle}"
        before = min(n for n, _ in await page.evaluate(SHOWN))
        await page.locator(".output-scroll").hover()
        for _ in range(30):
            await page.mouse.wheel(0, 54)
            await page.wait_for_timeout(30)
        await page.wait_for_timeout(500)
        moved = min(n for n, _ in await page.evaluate(SHOWN)) - before
        assert 85 <= moved <= 95, f"30 turns of three lines moved {moved} lines"
        await page.locator(".output-scroll").focus()
        await page.keyboard.press("Home")
        await shows(1)
        await page.keyboard.press("End")
        await shows(lines)
        return {"viewer": "ours", "doing": f"{lines:,} lines at {density}x", **first, **await tab.measured()}


async def main() -> None:
    options = options_of(
        __doc__, lines=1_000_000, rate=20_000, seconds=20, many=10_000_000, scrollback=100_000, openings=7
    )
    rows: list[Measured] = []
    load = [round(os.getloadavg()[0], 1)]
    async with open_site() as site:
        recorded = Recorded(site, options)
        await recorded.start()
        rows += await ours(site, recorded, options)
        load.append(round(os.getloadavg()[0], 1))
        rows += await theirs(site, recorded, options)
        recorded.end()
        if options.many:
            body = site.task(f"seq {options.many} | sed 's/^/line /'")
            task = (await site.server.http.post("/api/mission-control/tasks", json=body)).json()["id"]

            async def has_ended() -> bool:
                return (await site.server.task(task))["status"] == "done"

            await until(has_ended, "the end of the command", seconds=LOAD_SECONDS)
            for density in (1, 2, 3):
                rows.append(await ten_million(site, density, task, options.many, options.openings))
    load.append(round(os.getloadavg()[0], 1))
    report(options, rows, linesPerSecond=options.rate, secondsEach=options.seconds, load=load)


if __name__ == "__main__":
    anyio.run(main)
