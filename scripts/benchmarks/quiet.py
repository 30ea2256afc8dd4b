"""A quiet line: printed on the desktop → on a subscriber's socket, durable before; alone, and beside a flood.

The command prints the time at a fixed rate, by the clock of the machine that both ends share; the reader takes the
difference. The reference is the same command through `ssh host COMMAND`. Beside a flood: a command of another desktop,
or of the same one, prints a large file again and again; a subscriber follows that, and the quiet task has its own.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from itertools import pairwise

import anyio
from _support import Measured, Site, ends, in_thread, median, open_site, options_of, quantile, read, report
from flood import write_lines

STAMP = re.compile(rb"stamp (\d+)")
PRINTER = """
import time
start = time.monotonic()
for at in range({lines}):
    time.sleep(max(0, start + at / {rate} - time.monotonic()))
    print("stamp", time.monotonic_ns(), flush=True)
"""


def printer(lines: int, rate: int) -> str:
    """The command that prints so many stamps, so many a second."""
    return f"{sys.executable} -S -c '{PRINTER.format(lines=lines, rate=rate)}'"


def through_ssh(line: list[str], lines: int, rate: int) -> list[float]:
    """Milliseconds of each line through a pipe of ssh."""
    delays: list[float] = []
    with subprocess.Popen([*line, printer(lines, rate)], stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdout
        while data := process.stdout.read(65536):
            now = time.monotonic_ns()
            delays += [(now - int(stamp)) / 1e6 for stamp in STAMP.findall(data)]
    assert len(delays) == lines
    return delays


def through_server(site: Site, lines: int, rate: int) -> list[float]:
    """Milliseconds of each line to a subscriber of its task."""
    delays: list[float] = []
    http = site.http()
    task = site.ask(http, "POST", "/api/mission-control/tasks", site.task(printer(lines, rate), run=False))
    subscriber = site.subscriber(taskId=task["id"])

    def look(_: object, frame: memoryview) -> bool:
        now, data = time.monotonic_ns(), bytes(frame)
        delays.extend((now - int(stamp)) / 1e6 for stamp in STAMP.findall(data))
        return ends(frame, task["id"])

    site.ask(http, "POST", f"/api/mission-control/tasks/{task['id']}/run")
    read([subscriber], look)
    subscriber.close()
    http.close()
    assert len(delays) == lines
    return delays


def beside_a_flood(site: Site, source: str, lines: int, rate: int, desktop: int) -> tuple[list[float], float]:
    """As `through_server`, while that desktop floods; also the flood's MB/s."""
    http = site.http()
    subscriber = site.subscriber()
    seconds = int(lines / rate) + 3
    content = f"timeout {seconds} sh -c 'while cat {source}; do :; done'; true"
    task = site.ask(http, "POST", "/api/mission-control/tasks", site.task(content, desktop=desktop))
    arrived: list[tuple[float, int]] = []

    def follow() -> None:
        def look(reader: object, frame: memoryview) -> bool:
            arrived.append((time.perf_counter(), len(frame)))
            return ends(frame, task["id"])

        read([subscriber], look)

    thread = threading.Thread(target=follow)
    thread.start()
    time.sleep(0.5)
    delays = through_server(site, lines, rate)
    thread.join()
    subscriber.close()
    http.close()
    gaps = [after[0] - before[0] for before, after in pairwise(arrived)]
    assert max(gaps) < 5, "the flood goes on all the time"
    return delays, sum(size for _, size in arrived) / (arrived[-1][0] - arrived[0][0]) / 1e6


async def main() -> None:
    options = options_of(__doc__, lines=500, rate=100, rounds=3)
    floods = {"beside another desktop's flood": 1, "beside its own desktop's flood": 0}
    delays: dict[str, list[list[float]]] = {"ssh pipe": [], "subscriber": [], **{what: [] for what in floods}}
    rates: dict[str, list[float]] = {what: [] for what in floods}
    async with open_site(desktops=2) as site:
        source = site.folder / "lines"
        await in_thread(write_lines, source, 500_000)
        with site.ssh() as line:
            for _ in range(options.rounds):
                delays["ssh pipe"].append(await in_thread(through_ssh, line, options.lines, options.rate))
                delays["subscriber"].append(await in_thread(through_server, site, options.lines, options.rate))
                for what, desktop in floods.items():
                    beside, rate = await in_thread(
                        beside_a_flood, site, str(source), options.lines, options.rate, desktop
                    )
                    delays[what].append(beside)
                    rates[what].append(rate)
    reference = median(quantile(one, 0.5) for one in delays["ssh pipe"])
    results: list[Measured] = []
    for what, rounds in delays.items():
        p50 = median(quantile(one, 0.5) for one in rounds)
        row: Measured = {"what": what, "p50 ms": p50, "p99 ms": median(quantile(one, 0.99) for one in rounds)}
        row |= {"max ms": max(map(max, rounds)), "of ssh": p50 / reference}
        row |= {"flood MB/s": median(rates[what])} if what in rates else {}
        results.append(row)
    report(options, results, linesPerSecond=options.rate, rounds=options.rounds)


if __name__ == "__main__":
    anyio.run(main)
