"""A whole task: POST run of `true` → `task.completed` on the socket, on a desktop whose connection is open.

The reference is `ssh host true` over a connection that ssh keeps (ControlMaster), in turns with ours. Then many tasks
at once on one desktop: seconds until the last has ended, and that every one has succeeded.
"""

from __future__ import annotations

import re
import subprocess
import time

import anyio
from _support import Site, ends, in_thread, open_site, options_of, quantile, read, report

PLACES = 300  # at once on a desktop: one channel carries them all, whatever MaxSessions says
TASKS = "/api/mission-control/tasks"


def one_by_one(site: Site, line: list[str], tasks: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each task, and of each `ssh host true`, in turns."""
    ours: list[float] = []
    theirs: list[float] = []
    http, subscriber = site.http(), site.subscriber()
    for _ in range(tasks):
        task = site.ask(http, "POST", TASKS, site.task("true", run=False))
        started = time.perf_counter()
        site.ask(http, "POST", f"{TASKS}/{task['id']}/run")
        read([subscriber], lambda _, frame, task=task: ends(frame, task["id"]))
        ours.append((time.perf_counter() - started) * 1000)
        started = time.perf_counter()
        subprocess.run([*line, "true"], check=True)
        theirs.append((time.perf_counter() - started) * 1000)
    subscriber.close()
    http.close()
    return ours, theirs


def at_once(site: Site, tasks: int) -> float:
    """Seconds from starting so many tasks with one request to the end of the last."""
    http, subscriber = site.http(), site.subscriber(types=["task.completed", "task.failed"])
    ended: dict[bytes, int] = {b"task.completed": 0, b"task.failed": 0}
    failed: list[bytes] = []

    def count(_: object, frame: memoryview) -> bool:
        data = bytes(frame)
        failed.extend(re.findall(rb'"type":"task.failed".*?"error":({.*?})', data))
        for type in ended:
            ended[type] += data.count(b'"type":"%s"' % type)
        return sum(ended.values()) == tasks

    started = time.perf_counter()
    site.ask(http, "POST", "/api/mission-control/batches", {"tasks": [site.task("true") for _ in range(tasks)]})
    read([subscriber], count)
    took = time.perf_counter() - started
    subscriber.close()
    http.close()
    assert not ended[b"task.failed"], f"{ended[b'task.failed']} of {tasks} failed: {set(failed)}"
    return took


async def main() -> None:
    options = options_of(__doc__, tasks=100, at_once=300)
    async with open_site(maxConcurrentTasks=PLACES) as site:
        with site.ssh() as line:
            ours, theirs = await in_thread(one_by_one, site, line, options.tasks)
        seconds = await in_thread(at_once, site, options.at_once)
    rows = [
        {"what": what, "p50 ms": quantile(values, 0.5), "p99 ms": quantile(values, 0.99), "of ssh": ratio}
        for what, values, ratio in (
            ("ssh ControlMaster, true", theirs, 1.0),
            ("task: true", ours, quantile(ours, 0.5) / quantile(theirs, 0.5)),
        )
    ]
    rows.append({"what": f"{options.at_once} at once, {PLACES} places", "seconds": seconds})
    report(options, rows, tasks=options.tasks)


if __name__ == "__main__":
    anyio.run(main)
