"""A cancel in a flood: POST cancel → no process of the task alive on the desktop → `task.cancelled` on the socket.

The command is a shell with a child that prints a large file again and again; both ends share this machine, so that its
processes can be looked at. The reference is `kill` of a process group that prints as much into a pipe of this program.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import anyio
from _support import Measured, Site, in_thread, open_site, options_of, quantile, read, report
from flood import write_lines

TASKS = "/api/mission-control/tasks"


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def until_dead(pids: list[int]) -> float:
    """Seconds until none of them is alive."""
    started = time.perf_counter()
    while any(map(is_alive, pids)):
        assert time.perf_counter() - started < 30, "it does not end"
        time.sleep(0.0005)
    return time.perf_counter() - started


def flooding(source: Path, pids: Path) -> str:
    """A command that prints without end, and says which its processes are."""
    return f"echo $$ > {pids}; sh -c 'echo $$ >> {pids}; while :; do cat {source}; done'; true"


def in_server(site: Site, source: Path, size: int) -> tuple[float, float]:
    """Milliseconds until the tree is dead, and until the task has ended at a subscriber."""
    http, subscriber, pids = site.http(), site.subscriber(), site.folder / "pids"
    pids.unlink(missing_ok=True)
    task = site.ask(http, "POST", TASKS, site.task(flooding(source, pids)))
    read([subscriber], lambda reader, frame: reader.take(frame) and reader.seen.bytes > size)
    tree = [int(line) for line in pids.read_text().split()]
    started = time.perf_counter()
    site.ask(http, "POST", f"{TASKS}/{task['id']}/cancel")
    until_dead(tree)
    dead = time.perf_counter() - started
    read([subscriber], lambda _, frame: b'"type":"task.cancelled"' in bytes(frame[-2048:]))
    ended = time.perf_counter() - started
    subscriber.close()
    http.close()
    return dead * 1000, ended * 1000


def in_pipe(source: Path, folder: Path) -> float:
    """Milliseconds of the reference."""
    pids = folder / "pids"
    pids.unlink(missing_ok=True)
    process = subprocess.Popen(["sh", "-c", flooding(source, pids)], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout
    process.stdout.read(1_000_000)
    tree = [int(line) for line in pids.read_text().split()]
    started = time.perf_counter()
    os.killpg(process.pid, signal.SIGTERM)
    process.stdout.close()
    process.wait()
    until_dead(tree)
    return (time.perf_counter() - started) * 1000


async def main() -> None:
    options = options_of(__doc__, rounds=20, megabytes=10)
    async with open_site() as site:
        source = site.folder / "lines"
        await in_thread(write_lines, source, 500_000)
        theirs, dead, ended = list[float](), list[float](), list[float]()
        for _ in range(options.rounds):
            theirs.append(await in_thread(in_pipe, source, site.folder))
            one, two = await in_thread(in_server, site, source, options.megabytes * 1_000_000)
            dead.append(one)
            ended.append(two)
    rows: list[Measured] = [
        {"what": what, "p50 ms": quantile(values, 0.5), "p90 ms": quantile(values, 0.9), "max ms": max(values)}
        for what, values in (("kill of a local group", theirs), ("tree dead", dead), ("task ended", ended))
    ]
    report(options, rows, rounds=options.rounds)


if __name__ == "__main__":
    anyio.run(main)
