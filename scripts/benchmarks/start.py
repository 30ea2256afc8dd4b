"""Start: from the start of the process to the first good answer of /readyz, with a new log and with a long one.

The long one has a million events: the output of many runs, written through the log's own door. What the rest of the
start costs is in both; the ratio shows whether anything grows with history.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anyio
from _support import DEADLINE_SECONDS, in_thread, median, options_of, report

from mission_control.domain.events import TaskOutput
from mission_control.domain.values import SYSTEM
from mission_control.log.directory import locked_directory
from mission_control.log.event_log import Batch
from mission_control.log.sqlite import open_sqlite_log

EVENTS_A_RUN = 500


async def fill(directory: Path, events: int) -> None:
    """A log with so many events of output."""
    with locked_directory(directory):
        async with open_sqlite_log(directory) as log:
            for start in range(0, events, EVENTS_A_RUN):
                task = f"task_{start // EVENTS_A_RUN:012d}"
                batch = tuple(
                    TaskOutput(task_id=task, stream="stdout", position=at * 60, offset=at * 60, length=60, line=at,
                               ms=at, crc=0, text="a line of some length, as programs print it while working\n")
                    for at in range(min(EVENTS_A_RUN, events - start))
                )  # fmt: skip
                await log.append(Batch(events=batch, actor=SYSTEM, run=task))


def start(directory: Path) -> float:
    """Seconds until the server is ready; it is ended afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mission_control", "serve", "--port", str(port), "--data-dir", str(directory)]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)
    try:
        while not _is_ready(port):
            assert process.poll() is None, "the server does not start"
            assert time.perf_counter() - started < DEADLINE_SECONDS
            time.sleep(0.002)
        return time.perf_counter() - started
    finally:
        process.terminate()
        process.wait()


def _is_ready(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


async def main() -> None:
    options = options_of(__doc__, events=1_000_000, rounds=5)
    sizes = (10, options.events)
    seconds: dict[int, list[float]] = {size: [] for size in sizes}
    with tempfile.TemporaryDirectory(prefix="mission-control-bench-") as folder:
        for size in sizes:
            (directory := Path(folder) / str(size)).mkdir()
            await fill(directory, size)
        for _ in range(options.rounds):
            for size in sizes:
                seconds[size].append(await in_thread(start, Path(folder) / str(size)))
    short = median(seconds[10])
    rows = [
        {"events": size, "seconds": median(seconds[size]), "of 10 events": median(seconds[size]) / short}
        for size in sizes
    ]
    report(options, rows, rounds=options.rounds)


if __name__ == "__main__":
    anyio.run(main)
