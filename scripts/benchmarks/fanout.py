"""Fan-out: one busy task to many subscribers; lines a second, the server's CPU, and the delay at a fixed rate.

The reference is `nats-server` (from PATH, or its path in NATS_SERVER; apt-get install nats-server) with its WebSocket
listener: the same lines, a message each, published over one TCP connection to core NATS, which stores nothing and may
lose what a slow reader does not take. Ours come from a command on an OpenSSH server, and are durable before anybody
sees them. The readers of both are the same, and lean.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
from _support import Framed, Measured, Process, Site, ends, in_thread, open_site, options_of, quantile, read, report
from flood import write_lines
from quiet import STAMP, printer

LINES = {1: 500_000, 100: 50_000, 1000: 5_000}  # for each number of subscribers: some seconds of work
RATE = 1000  # lines a second of the delay's measurement, for
RATE_SECONDS = 3


@dataclass
class Nats:
    """A running nats-server: where it publishes and where it listens for WebSockets."""

    process: Process
    port: int
    websocket_port: int

    def publish(self, lines: Callable[[], Sequence[bytes]], pause: float = 0) -> None:
        """Publish each line as a message, as quickly as they are taken, or a group of them every `pause` seconds."""
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(b'CONNECT {"verbose":false}\r\n')
            while group := lines():
                connection.sendall(b"".join(b"PUB task %d\r\n%s\r\n" % (len(line), line) for line in group))
                time.sleep(pause)
            connection.sendall(b"PING\r\n")
            while b"PONG" not in connection.recv(65536):
                pass

    def subscriber(self) -> Framed:
        subscriber = Framed(f"ws://127.0.0.1:{self.websocket_port}", "/")
        subscriber.send(b'CONNECT {"verbose":false}\r\nSUB task 1\r\nPING\r\n', 2)
        read([subscriber], lambda _, frame: b"PONG" in bytes(frame))
        return subscriber


@contextmanager
def open_nats(program: str) -> Generator[Nats]:
    port, websocket_port = _free_port(), _free_port()
    with tempfile.TemporaryDirectory(prefix="nats-") as folder:
        config = Path(folder) / "config"
        websocket = f'websocket {{ host: "127.0.0.1", port: {websocket_port}, no_tls: true }}'
        config.write_text(f"host: 127.0.0.1\nport: {port}\n{websocket}\n")
        process = subprocess.Popen([program, "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 10
            while not (_answers(port) and _answers(websocket_port)):
                assert process.poll() is None and time.monotonic() < deadline, "nats-server does not start"
                time.sleep(0.02)
            yield Nats(Process(process.pid), port, websocket_port)
        finally:
            process.terminate()
            process.wait()


def ours(site: Site, source: Path, readers: int) -> Measured:
    lines = source.read_bytes().count(b"\n")
    subscribers: list[Framed] = [site.subscriber() for _ in range(readers)]
    counts = dict.fromkeys(subscribers, 0)
    task = site.task(f"cat {source}")

    def go() -> str:
        http = site.http()
        id = site.ask(http, "POST", "/api/mission-control/tasks", task)["id"]
        http.close()
        return id

    cpu, started = site.process.cpu_seconds, time.perf_counter()
    id = go()

    def look(reader: Framed, frame: memoryview) -> bool:
        counts[reader] += bytes(frame).count(b"\\n")
        return ends(frame, id)

    read(subscribers, look)
    return _rates(subscribers, counts, lines, started, site.process.cpu_seconds - cpu)


def theirs(nats: Nats, source: Path, readers: int) -> Measured:
    lines = source.read_bytes().splitlines()
    subscribers = [nats.subscriber() for _ in range(readers)]
    counts = dict.fromkeys(subscribers, 0)
    groups = iter([lines[at : at + 500] for at in range(0, len(lines), 500)])
    thread = threading.Thread(target=nats.publish, args=(lambda: next(groups, ()),))
    cpu, started = nats.process.cpu_seconds, time.perf_counter()
    thread.start()

    def look(reader: Framed, frame: memoryview) -> bool:
        counts[reader] += bytes(frame).count(b"MSG task")
        return counts[reader] == len(lines)

    read(subscribers, look)
    thread.join()
    return _rates(subscribers, counts, len(lines), started, nats.process.cpu_seconds - cpu)


def _rates(subscribers: list[Framed], counts: dict[Framed, int], lines: int, started: float, cpu: float) -> Measured:
    took = time.perf_counter() - started
    for subscriber in subscribers:
        subscriber.close()
    assert set(counts.values()) == {lines}, "every line, to everybody"
    delivered = lines * len(subscribers)
    return {"lines/s": round(delivered / took), "CPU s per M lines": cpu / delivered * 1e6}


def our_delay(site: Site, readers: int) -> Measured:
    subscribers: list[Framed] = [site.subscriber() for _ in range(readers)]
    delays: list[float] = []
    http = site.http()
    task = site.ask(http, "POST", "/api/mission-control/tasks", site.task(printer(RATE * RATE_SECONDS, RATE)))

    def look(_: Framed, frame: memoryview) -> bool:
        now = time.monotonic_ns()
        delays.extend((now - int(stamp)) / 1e6 for stamp in STAMP.findall(bytes(frame)))
        return ends(frame, task["id"])

    read(subscribers, look)
    http.close()
    return _delays(subscribers, delays)


def their_delay(nats: Nats, readers: int) -> Measured:
    subscribers = [nats.subscriber() for _ in range(readers)]
    delays: list[float] = []
    counts = dict.fromkeys(subscribers, 0)
    left = iter(range(RATE * RATE_SECONDS))
    thread = threading.Thread(
        target=nats.publish,
        args=(lambda: [b"stamp %d" % time.monotonic_ns()] if next(left, None) is not None else [], 1 / RATE),
    )
    thread.start()

    def look(reader: Framed, frame: memoryview) -> bool:
        now = time.monotonic_ns()
        stamps = STAMP.findall(bytes(frame))
        delays.extend((now - int(stamp)) / 1e6 for stamp in stamps)
        counts[reader] += len(stamps)
        return counts[reader] == RATE * RATE_SECONDS

    read(subscribers, look)
    thread.join()
    return _delays(subscribers, delays)


def _delays(subscribers: list[Framed], delays: list[float]) -> Measured:
    for subscriber in subscribers:
        subscriber.close()
    assert len(delays) == RATE * RATE_SECONDS * len(subscribers)
    return {"p50 ms": quantile(delays, 0.5), "p99 ms": quantile(delays, 0.99)}


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


async def main() -> None:
    options = options_of(__doc__, most=1000)
    program = os.environ.get("NATS_SERVER") or shutil.which("nats-server", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise SystemExit("The reference is missing: apt-get install nats-server, or its path in NATS_SERVER.")
    rows: list[Measured] = []
    async with open_site() as site:
        with open_nats(program) as nats:
            for readers, lines in LINES.items():
                if readers > options.most:
                    continue
                source = site.folder / str(readers)
                write_lines(source, lines)
                reference = await in_thread(theirs, nats, source, readers) | await in_thread(their_delay, nats, readers)
                measured = await in_thread(ours, site, source, readers) | await in_thread(our_delay, site, readers)
                ratio = measured["CPU s per M lines"] / reference["CPU s per M lines"]
                rows.append({"subscribers": str(readers), "who": "nats-server", **reference})
                rows.append({"subscribers": str(readers), "who": "ours", **measured, "CPU of nats": ratio})
    report(options, rows, linesPerSecondOfDelays=RATE)


if __name__ == "__main__":
    anyio.run(main)
