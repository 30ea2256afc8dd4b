"""The board under load, in headless Chromium: frames, and the processor time of the page's main thread.

The log is filled with finished tasks; then so many run, and the last line of each changes ten times a second. The
server is the real one but for its connections to desktops: what runs print is appended to the log as a run's output.
The reference is the same board while nothing happens.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import anyio
from _support import ROOT, Measured, Process, options_of, quantile, report
from playwright.async_api import CDPSession, Page

from tests.support.browser import open_browser, open_page
from tests.support.past import SECOND_US, Past, open_past

LINES_A_SECOND = 10
CHANGES_A_SECOND = 20  # a task ends and another begins
BATCH = 500
WIDE = (1600, 1000)

FRAMES = """() => {
  window.frames_ms = [];
  let last = performance.now();
  const step = (now) => { window.frames_ms.push(now - last); last = now; window.frame = requestAnimationFrame(step); };
  window.frame = requestAnimationFrame(step);
}"""


async def fill(past: Past, desktop_id: str, finished: int, running: int) -> list[Any]:
    """Finished tasks, an hour's worth of them; and those that run, which are answered."""
    past.clock.now_us -= 3600 * SECOND_US
    for first in range(0, finished, BATCH):
        tasks = await past.started([desktop_id] * min(BATCH, finished - first), f"make test-{first}")
        await past.end(tasks, exit_code=1 if first // BATCH % 4 == 3 else 0)
    past.clock.now_us = time.time_ns() // 1000
    tasks = await past.started([desktop_id] * running, "tail -f /var/log/syslog", labels=("watch",))
    for task in tasks:
        await past.control.tasks.enter_phase(task.id, "streaming")
    return tasks


async def serve(folder: Path, finished: int, running: int) -> None:
    """The server's process: fills the log, prints its address and a key, and feeds output while `feed` exists."""
    import uvicorn

    from mission_control.api.app import create_app
    from mission_control.api.services import Services
    from mission_control.api.websocket_protocol import WebSocketProtocol
    from mission_control.domain.events import TaskOutput
    from mission_control.domain.keys import NewKey
    from mission_control.domain.output import OutputCutter
    from mission_control.domain.tasks import RunEnd
    from mission_control.domain.values import SYSTEM
    from mission_control.log.event_log import RunRow
    from mission_control.streams.find import open_finder

    async with open_past(folder / "data") as past, open_finder() as finder:
        desktop_id = await past.desktop("build-1")
        tasks = await fill(past, desktop_id, finished, running)
        past.clock.stands = False
        _, key = await past.control.access.keys.create(NewKey(name="bench", role="admin"), SYSTEM)
        services = Services(
            control=past.control,
            finder=finder,
            probe=None,  # type: ignore[arg-type]  # no desktop is added here
            metrics=dict,
            allowed_hosts=frozenset({"127.0.0.1"}),
            tls=False,
            version="bench",
            stopping=anyio.Event(),
            dashboard=ROOT / "server/mission_control/dashboard",
            requests_per_minute=0,
        )
        config = uvicorn.Config(
            create_app(services),
            port=0,
            http="httptools",
            ws=WebSocketProtocol,
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
            access_log=False,
        )
        server = uvicorn.Server(config)
        cutters = {task.id: OutputCutter() for task in tasks}

        async def print_line(task: Any, n: int) -> None:
            cutter = cutters[task.id]
            line = f"{n:06} the quick brown fox jumps over the lazy dog {n * 7919 % 1000}\n"
            for piece in cutter.feed("stdout", line.encode(), n * 100):
                facts = {
                    name: getattr(piece, name)
                    for name in ("stream", "position", "offset", "length", "line", "ms", "crc")
                }
                event = TaskOutput(task_id=task.id, text=piece.data.decode(), **facts)
                await past.control.tasks.record(task, [event], RunRow(task.id, cutter.position))

        async def feed() -> None:
            n, changed = 0, 0.0
            while True:
                started = time.monotonic()
                if (folder / "feed").exists():
                    n += 1
                    async with anyio.create_task_group() as group:
                        for task in tasks:
                            group.start_soon(print_line, task, n)
                        if (folder / "change").exists():
                            changed += CHANGES_A_SECOND / LINES_A_SECOND
                            while changed >= 1:
                                changed -= 1
                                group.start_soon(change)
                    (folder / "fed.new").write_text(str(n))
                    (folder / "fed.new").replace(folder / "fed")
                await anyio.sleep(max(0.001, 1 / LINES_A_SECOND - (time.monotonic() - started)))

        async def change() -> None:
            (task,) = await past.started([desktop_id], "true")
            await past.control.tasks.finish(task.id, RunEnd(exit_code=0, duration_ms=1))

        async with anyio.create_task_group() as group:
            group.start_soon(feed)
            group.start_soon(server.serve)
            while not server.started:  # noqa: ASYNC110 - it says so nowhere else
                await anyio.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            print(f"http://127.0.0.1:{port} {key}", flush=True)
            await anyio.to_thread.run_sync(sys.stdin.read)  # until the other end goes away
            group.cancel_scope.cancel()


async def busy_seconds(session: CDPSession) -> dict[str, float]:
    metrics = (await session.send("Performance.getMetrics"))["metrics"]
    return {each["name"]: each["value"] for each in metrics}


async def measure(
    page: Page, session: CDPSession, what: str, seconds: int, fed: Path, *, scrolls: bool = False
) -> Measured:
    """What the page did in so many seconds."""
    await page.evaluate(FRAMES)
    before, lines, started = await busy_seconds(session), _number(fed), time.monotonic()
    if scrolls:
        await page.mouse.move(450, 500)
    while (passed := time.monotonic() - started) < seconds:
        if scrolls:
            await page.mouse.wheel(0, 400 if passed < seconds / 2 else -400)
        await anyio.sleep(0.1)
    after = await busy_seconds(session)
    frames: list[float] = await page.evaluate("() => { cancelAnimationFrame(window.frame); return window.frames_ms; }")
    took = time.monotonic() - started
    return {
        "what": what,
        "lines/s a task": (_number(fed) - lines) / took,
        "frame ms": quantile(frames, 0.5),
        "p99": quantile(frames, 0.99),
        "max": max(frames),
        "busy %": 100 * (after["TaskDuration"] - before["TaskDuration"]) / took,
        "script %": 100 * (after["ScriptDuration"] - before["ScriptDuration"]) / took,
        "layout %": 100
        * sum(
            after[name] - before[name]
            for name in ("LayoutDuration", "RecalcStyleDuration", "UpdateLayoutTreeDuration")
            if name in after
        )
        / took,
        "heap MB": after["JSHeapUsedSize"] / 1e6,
    }


def _number(path: Path) -> int:
    return int(path.read_text() or 0) if path.exists() else 0


async def main() -> None:
    if sys.argv[1:2] == ["serve"]:
        folder, finished, running = sys.argv[2:]
        await serve(Path(folder), int(finished), int(running))
        return
    options = options_of(__doc__, finished=10_000, running=200, seconds=8)
    with tempfile.TemporaryDirectory(prefix="bench-board-") as folder:
        rows = await compare(Path(folder), options.finished, options.running, options.seconds)
    report(options, rows, finished=options.finished, running=options.running)


async def compare(folder: Path, finished: int, running: int, seconds: int) -> list[Measured]:
    """The rows: idle, last lines, the same while one scrolls, and with tasks that come and go."""
    arguments = [sys.executable, __file__, "serve", str(folder), str(finished), str(running)]
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
    assert process.stdin and process.stdout
    fed = folder / "fed"
    try:
        url, key = (await anyio.to_thread.run_sync(process.stdout.readline)).split()
        async with open_browser() as browser, open_page(browser, url, size=WIDE, may_complain=True) as (page, _):
            await page.get_by_label("API key").first.fill(key)
            await page.get_by_role("button", name="Sign in").click()
            await page.get_by_role("region", name="Running").get_by_role("listitem").first.wait_for()
            session = await page.context.new_cdp_session(page)
            # Processor time and not the clock: what else the machine does is not the page's work.
            await session.send("Performance.enable", {"timeDomain": "threadTicks"})
            await anyio.sleep(1)
            rows = [await measure(page, session, "idle", seconds, fed)]
            server = Process(process.pid)
            (folder / "feed").touch()
            await page.get_by_text("the quick brown fox").first.wait_for()
            cpu = server.cpu_seconds
            rows.append(await measure(page, session, "last lines", seconds, fed))
            rows[-1]["server CPU %"] = 100 * (server.cpu_seconds - cpu) / seconds
            rows.append(await measure(page, session, "and scrolling", seconds, fed, scrolls=True))
            (folder / "change").touch()
            rows.append(await measure(page, session, f"and {CHANGES_A_SECOND} tasks/s", seconds, fed))
            await page.keyboard.press("]")
            rows.append(await measure(page, session, "and the activity", seconds, fed))
            return rows
    finally:
        process.stdin.close()
        process.wait(20)


if __name__ == "__main__":
    anyio.run(main)
