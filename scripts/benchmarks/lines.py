"""A run's output by display lines: pages anywhere in it, and finds over all of it, at 10,000 lines and up to 10 M.

The output is written through the log's own door, as a flood (pieces of up to 256 KiB) and, where the name says so, as
single events of one line each; then a server of its own is asked over HTTP. Pages are medians over different places.
The references work on the same bytes in a file: `sed -n` for the page in the middle, `grep -ciF` and `grep -ciE` for
finds, in turns with ours. Beside each find: the longest that another request had to wait meanwhile.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import anyio
from _support import Measured, in_thread, median, open_server, options_of, report

from mission_control.control.door import Control, open_control
from mission_control.domain.desktops import KeyAuth, NewDesktop, NewSsh, Reached
from mission_control.domain.entities import HostKey, Task
from mission_control.domain.keys import NewKey
from mission_control.domain.output import OutputCutter
from mission_control.domain.tasks import NewTask, RunEnd
from mission_control.domain.values import SYSTEM
from mission_control.log.directory import locked_directory
from mission_control.log.event_log import RunRow
from mission_control.runs.recorder import output_event

READ_BYTES = 1024 * 1024  # of the file, given to the log together
RARE = "needle in a haystack"
PATTERN = r"need.e\s+in"
PAGE = 1024
LINE = "2026-11-24T02:00:00.000Z \x1b[32mINFO\x1b[0m  worker compiled module %09d and linked %08d objects\n"


def write_lines(path: Path, lines: int) -> None:
    """A file as builds print it, with two rare lines."""
    rare = {lines // 3, lines - 2}
    with path.open("w") as file:
        for start in range(0, lines, 10_000):
            block = [LINE % (at, at * 7 % 10**8) for at in range(start, min(start + 10_000, lines))]
            for at in rare.intersection(range(start, start + len(block))):
                block[at - start] = f"a {RARE.upper()} at {at}\n"
            file.write("".join(block))


async def record(control: Control, desktop: str, path: Path, *, one_by_one: bool) -> str:
    """A finished task with a file's bytes as its output; its id."""
    new = NewTask(type="command", content=f"cat {path.name}", desktop_id=desktop, run=True)
    (task,) = await control.tasks.create([new], SYSTEM)
    cutter = OutputCutter()
    with path.open("rb") as file:
        while data := file.read(READ_BYTES):
            reads = data.splitlines(keepends=True) if one_by_one else [data]
            await _append(control, task, cutter, reads)
        await _append(control, task, cutter, [])
    await control.tasks.finish(task.id, RunEnd(exit_code=0))
    return task.id


async def _append(control: Control, task: Task, cutter: OutputCutter, reads: list[bytes]) -> None:
    pieces = [piece for data in reads for piece in cutter.feed("stdout", data, 0)]
    if not reads:
        pieces = cutter.finish()
    if pieces:
        events = [output_event(task.id, piece) for piece in pieces]
        await control.tasks.record(task, events, RunRow(task.id, cutter.position))


async def fill(directory: Path, files: dict[str, tuple[Path, bool]]) -> tuple[str, dict[str, str]]:
    """A data directory with a task for each file: a key, and the ids of the tasks."""
    with locked_directory(directory):
        async with open_control(directory) as control:
            host_key = HostKey(type="ed25519", fingerprint="SHA256:" + "A" * 43, public_key="ssh-ed25519 AAAA")
            ssh = NewSsh(host="127.0.0.1", port=9, auth=KeyAuth(private_key="none"),
                         host_key_fingerprint=host_key.fingerprint)  # fmt: skip
            desktop = await control.desktops.create(NewDesktop(name="build-1", ssh=ssh), [host_key], SYSTEM)
            await control.desktops.started(desktop.id, ip_address=None, reached=Reached(os="linux"))
            ids = {
                name: await record(control, desktop.id, path, one_by_one=one_by_one)
                for name, (path, one_by_one) in files.items()
            }
            await control.desktops.stop(desktop.id, SYSTEM)
            _, key = await control.access.keys.create(NewKey(name="bench", role="viewer"), SYSTEM)
            return key, ids


class Asker:
    """A kept connection to the server."""

    def __init__(self, url: str, key: str) -> None:
        address = urlsplit(url)
        assert address.hostname
        self._http = http.client.HTTPConnection(address.hostname, address.port, timeout=120)
        self._key = key

    def get(self, path: str, **query: object) -> tuple[bytes, Any]:
        """The body and the header fields of an answer."""
        whole = f"{path}?{urlencode(query)}" if query else path
        try:
            answer = self._ask(whole)
        except http.client.RemoteDisconnected:  # the server closes what is idle, as while a reference runs
            answer = self._ask(whole)
        body = answer.read()
        assert answer.status == 200, body
        return body, answer.headers

    def _ask(self, path: str) -> http.client.HTTPResponse:
        self._http.request("GET", path, headers={"x-api-key": self._key})
        return self._http.getresponse()

    def close(self) -> None:
        self._http.close()


class Bystander(threading.Thread):
    """Somebody else, who asks for something small all the time: the longest that it took, in ms."""

    def __init__(self, url: str, key: str) -> None:
        super().__init__()
        self._asker = Asker(url, key)
        self._is_over = threading.Event()
        self.longest_ms = 0.0

    def run(self) -> None:
        while not self._is_over.wait(0.002):
            took, _ = timed(lambda: self._asker.get("/healthz"))
            self.longest_ms = max(self.longest_ms, took)
        self._asker.close()

    def end(self) -> float:
        self._is_over.set()
        self.join()
        return self.longest_ms


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds, and what came of it."""
    started = time.perf_counter()
    result = work()
    return (time.perf_counter() - started) * 1000, result


def find(asker: Asker, path: str, **query: object) -> list[int]:
    """Everything that a find says, however many calls it takes."""
    numbers: list[int] = []
    scanned: object = 0
    while True:
        said = json.loads(asker.get(f"{path}/find", **query, **{"from": scanned})[0])
        numbers += said["lines"]
        scanned = said["scannedTo"]
        if said["complete"]:
            return numbers


def measure(url: str, key: str, task: str, source: Path, rounds: int) -> Iterator[Measured]:
    """Pages and finds of one task, beside the references."""
    asker, path = Asker(url, key), f"/api/mission-control/tasks/{task}/output"
    lines = int(asker.get(f"{path}/lines", count=1)[1]["Mission-Control-Lines"])

    def page(**query: object) -> float:
        took, (body, headers) = timed(lambda: asker.get(f"{path}/lines", **query))
        assert body.count(b"\n") == PAGE, "a page is full"
        assert "from" not in query or headers["Mission-Control-From"] == str(query["from"])
        return took

    middles = [lines * share // 100 for share in range(30, 70, 40 // (2 * rounds) or 1)]
    yield {"what": "first page", "ms": median(page(count=PAGE) for _ in range(2 * rounds))}
    yield {"what": "tail", "ms": median(page(tail=PAGE) for _ in range(2 * rounds))}
    sed = [
        timed(lambda: subprocess.run(["sed", "-n", f"{lines // 2},+{PAGE - 1}p;{lines // 2 + PAGE}q", source],
                                     check=True, capture_output=True))[0] for _ in range(rounds)
    ]  # fmt: skip
    middle = median(page(**{"from": at}) for at in middles)
    yield {"what": "middle page", "ms": middle, "reference ms": median(sed), "of reference": median(sed) / middle}
    for what, flag, text, more in (
        ("find a rare word", "-ciF", RARE, {}),
        ("find by a pattern", "-ciE", PATTERN, {"regex": "true"}),
    ):
        grep = ["grep", flag, text.replace(r"\s", "[[:space:]]"), str(source)]
        ours: list[float] = []
        theirs: list[float] = []
        waits: list[float] = []
        for _ in range(rounds):
            theirs.append(timed(partial(subprocess.run, grep, check=True, capture_output=True))[0])
            bystander = Bystander(url, key)
            bystander.start()
            took, numbers = timed(partial(find, asker, path, q=text, **more))
            waits.append(bystander.end())
            ours.append(took)
            assert numbers == [lines // 3, lines - 2], numbers
        yield {
            "what": what,
            "ms": median(ours),
            "reference ms": median(theirs),
            "of reference": median(theirs) / median(ours),
            "others waited ms": max(waits),
        }
    asker.close()


async def main() -> None:
    options = options_of(__doc__, small=10_000, middle=1_000_000, large=10_000_000, events=1_000_000, rounds=3)
    rows: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="mission-control-bench-") as folder:
        files: dict[str, tuple[Path, bool]] = {}
        for lines in sorted({options.small, options.middle, options.large}):
            path = Path(folder) / f"{lines}"
            files[f"{lines:,} lines"] = path, False
            await in_thread(write_lines, path, lines)
        if options.events:
            path = Path(folder) / "events"
            await in_thread(write_lines, path, options.events)
            files[f"{options.events:,} events"] = path, True
        key, ids = await fill(Path(folder) / "data", files)
        async with open_server(Path(folder) / "data", demo=False, key=key) as server:
            for name, id in ids.items():
                measured = await in_thread(list, measure(server.url, key, id, files[name][0], options.rounds))
                rows += [{"output": name, **row} for row in measured]
    report(options, rows, rounds=options.rounds)


if __name__ == "__main__":
    anyio.run(main)
