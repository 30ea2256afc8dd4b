"""What the benchmarks share: a server with desktops on real sshds, readers that cost little, and how results are said.

Everything is on loopback, in temporary folders, and ended with its block. A reader checks that nothing is missing by
what costs nothing while the clock runs: cursors that follow each other, and the count of bytes; whoever keeps the
frames can compare every byte afterwards.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import os
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio.to_thread

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "server")]
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT / "server"), os.environ.get("PYTHONPATH")]))

from tests.support.server_process import ServerProcess, open_server  # noqa: E402
from tests.support.sshd import SshHost, open_sshd, private_text  # noqa: E402
from tests.support.waiting import until  # noqa: E402

CIPHER = "aes128-gcm@openssh.com"  # what the server negotiates with OpenSSH
BUFFER_BYTES = 4 * 1024 * 1024  # a frame is at most a read of the log, 1 MiB, and one event
DEADLINE_SECONDS = 120

Measured = dict[str, Any]


def options_of(doc: str | None, **defaults: int | str) -> argparse.Namespace:
    """The options of a benchmark: `--json`, and a value of the same kind for each of `defaults`."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in defaults.items():
        flag, explained = f"--{name.replace('_', '-')}", f"default {default or 'none'}"
        parser.add_argument(flag, type=type(default), default=default, help=explained)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    return parser.parse_args()


def report(options: argparse.Namespace, results: list[Measured], **facts: object) -> None:
    """Print the results, a row each."""
    if options.json:
        print(json.dumps({**facts, "results": results}))
        return
    names = list(dict.fromkeys(name for row in results for name in row))
    rows = [names, *([_cell(row.get(name)) for name in names] for row in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(names))]
    for row in rows:
        print("  ".join(cell.ljust(width) if at == 0 else cell.rjust(width)
                        for at, (cell, width) in enumerate(zip(row, widths, strict=True))))  # fmt: skip
    for name, fact in facts.items():
        print(f"{name}: {fact}")


def _cell(value: object) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which this share of them lies."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


@dataclass
class Process:
    """What another process uses, read from /proc."""

    pid: int

    @property
    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def resident_mb(self) -> float:
        return self._status("VmRSS")

    @property
    def peak_mb(self) -> float:
        """The most that was resident since `forget_peak`."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def _status(self, name: str) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition(f"{name}:")[2].split()[0]) / 1024


@dataclass
class Site:
    """A server, its desktops, and a folder for files."""

    server: ServerProcess
    hosts: list[SshHost]
    desktops: list[str]
    folder: Path

    @property
    def process(self) -> Process:
        return Process(self.server.process.pid)

    @property
    def key(self) -> str:
        return self.server.http.headers["x-api-key"]

    def http(self) -> http.client.HTTPConnection:
        """A kept connection that costs its caller little; see `ask`."""
        address = urlsplit(self.server.url)
        assert address.hostname
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=DEADLINE_SECONDS)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def ask(self, http: http.client.HTTPConnection, method: str, path: str, body: object = None) -> Any:
        """The answer of the server. AssertionError when it refuses."""
        headers = {"x-api-key": self.key, "content-type": "application/json"}
        http.request(method, path, None if body is None else json.dumps(body), headers)
        answer = http.getresponse()
        content = answer.read()
        assert answer.status < 300, f"{method} {path}: {answer.status} {content[:300]!r}"
        return json.loads(content) if content else None

    def task(self, content: str, desktop: int = 0, *, run: bool = True) -> Measured:
        """What is posted to create a task."""
        return {"type": "command", "content": content, "desktopId": self.desktops[desktop], "run": run}

    def subscriber(self, *, keep: bool = False, name: str = "all", **wanted: object) -> Subscriber:
        """A reader of the server's WebSocket, subscribed and live."""
        subscriber = Subscriber(self.server.url, self.key, keep)
        subscriber.say({"op": "subscribe", "id": name, **wanted})
        read([subscriber], lambda _, frame: bytes(frame[:12]) == b'{"op":"live"')
        return subscriber

    @contextmanager
    def ssh(self, host: int = 0) -> Generator[list[str]]:
        """A command line that runs a command over a connection that `ssh` keeps open, with the server's cipher."""
        at = self.hosts[host]
        with tempfile.TemporaryDirectory(prefix="ssh-") as folder:
            (key := Path(folder) / "key").write_text(private_text(at.user_key))
            key.chmod(0o600)
            options = ["UserKnownHostsFile=/dev/null", "StrictHostKeyChecking=no", "LogLevel=ERROR",
                       f"Ciphers={CIPHER}", f"ControlPath={folder}/mux", f"IdentityFile={key}", "IdentitiesOnly=yes",
                       "BatchMode=yes"]  # fmt: skip
            line = ["ssh", "-F", "none", "-p", str(at.port), *(f"-o{option}" for option in options)]
            line.append(f"{at.username}@127.0.0.1")
            master = subprocess.Popen([*line[:-1], "-oControlMaster=yes", "-N", line[-1]])
            try:
                deadline = time.monotonic() + 20
                while subprocess.run([*line[:-1], "-Ocheck", line[-1]], check=False, capture_output=True).returncode:
                    assert time.monotonic() < deadline and master.poll() is None, "ssh does not connect"
                    time.sleep(0.02)
                yield line
            finally:
                master.terminate()
                master.wait()


@asynccontextmanager
async def open_site(desktops: int = 1, **facts: object) -> AsyncGenerator[Site]:
    """A server process with so many desktops, each on an OpenSSH server of its own."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mission-control-bench-")))
        hosts = [await stack.enter_async_context(open_sshd()) for _ in range(desktops)]
        server = await stack.enter_async_context(open_server(folder / "data", demo=False))
        site = Site(server, hosts, [], folder)
        for number, host in enumerate(hosts):
            site.desktops.append(await _add_desktop(server, host, f"desktop {number}", facts))
        yield site


async def _add_desktop(server: ServerProcess, host: SshHost, name: str, facts: dict[str, object]) -> str:
    added = (await server.http.post("/api/desktops", json={"name": name, "ssh": host.ssh(), **facts})).json()
    at = f"/api/desktops/{added['id']}"
    offered = added["ssh"]["offeredHostKeys"][0]["fingerprint"]
    await server.http.patch(at, json={"ssh": {"hostKeyFingerprint": offered}})

    async def is_running() -> bool:
        return (await server.http.get(at)).json()["status"] == "running"

    await until(is_running, "the desktop")
    return added["id"]


class Framed:
    """WebSocket frames from a blocking socket, as views into one buffer: the client's side, as much as is needed."""

    def __init__(self, url: str, path: str, **headers: str) -> None:
        address = urlsplit(url)
        self.socket = socket.create_connection((address.hostname, address.port), timeout=DEADLINE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.bytes = 0
        self._buffer = bytearray(BUFFER_BYTES)
        self._start = self._end = 0
        lines = {"Host": address.netloc, "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
                 "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(), **headers}  # fmt: skip
        head = f"GET {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
        self.socket.sendall(head.encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.socket.recv(1)  # and not a byte of the first frame
        assert answer.startswith(b"HTTP/1.1 101"), answer

    def send(self, data: bytes, opcode: int = 1) -> None:
        """One small message. Its mask is zero, so the bytes stay as they are."""
        assert len(data) < 65536
        size = bytes([0x80 | len(data)]) if len(data) < 126 else bytes([0xFE]) + len(data).to_bytes(2, "big")
        self.socket.sendall(bytes([0x80 | opcode]) + size + bytes(4) + data)

    def frames(self) -> Generator[memoryview]:
        """The messages that one read of the socket completes. Each view is good until the next one is asked for."""
        if self._start:
            rest = self._end - self._start
            self._buffer[:rest] = self._buffer[self._start : self._end]
            self._start, self._end = 0, rest
        whole = memoryview(self._buffer)
        count = self.socket.recv_into(whole[self._end :])
        if not count:
            raise ConnectionError("The server has closed the connection.")
        self._end += count
        self.bytes += count
        while (rest := self._end - self._start) >= 2:
            first, short = self._buffer[self._start], self._buffer[self._start + 1]
            wide = 2 if short == 126 else 8 if short == 127 else 0
            if rest < 2 + wide:
                return
            at = self._start + 2 + wide
            size = int.from_bytes(self._buffer[self._start + 2 : at], "big") if wide else short
            assert size < BUFFER_BYTES - 16, "a frame larger than the protocol says"
            if rest < 2 + wide + size:
                return
            self._start = at + size
            if first & 0x0F == 9:  # a ping: the server cuts who does not answer
                self.send(bytes(whole[at : self._start]), 10)
            elif first & 0x0F in (1, 2):
                yield whole[at : self._start]

    def close(self) -> None:
        self.socket.close()


@dataclass
class Seen:
    """What a subscriber of everything has received: enough to know that nothing is missing."""

    events: int = 0
    bytes: int = 0  # of envelopes
    cursor: int = 0
    kept: list[bytes] = field(default_factory=list)


class Subscriber(Framed):
    """A reader of the server's stream that looks at the borders of frames only."""

    def __init__(self, url: str, key: str, keep: bool) -> None:
        super().__init__(url, "/api/mission-control/activity/ws", **{"x-api-key": key})
        self.seen = Seen()
        self._keep = keep

    def say(self, message: object) -> None:
        self.send(json.dumps(message).encode())

    def take(self, frame: memoryview) -> bool:
        """Count an events frame, and check that it follows the one before. Whether it was one."""
        head = bytes(frame[:128])
        if not head.startswith(b'{"op":"events"'):
            return False
        seen = self.seen
        begin = head.index(b'"events":[') + len(b'"events":[')
        first = int(head[begin:].removeprefix(b'{"seq":').partition(b",")[0])
        tail = bytes(frame[-40:])
        cursor = int(tail.rpartition(b":")[2][:-1])
        assert not seen.cursor or first == seen.cursor + 1, f"after {seen.cursor} comes {first}"
        events = cursor - first + 1
        seen.events += events
        seen.bytes += len(frame) - begin - (events - 1) - len(b'],"cursor":%d}' % cursor)
        seen.cursor = cursor
        if self._keep:
            seen.kept.append(bytes(frame))
        return True

    def output(self) -> bytes:
        """The stdout in the frames that were kept, in their order; AssertionError when offsets leave a hole."""
        joined = bytearray()
        for frame in self.seen.kept:
            for event in json.loads(frame)["events"]:
                if event["type"] == "task.output":
                    payload = event["payload"]
                    assert payload["offset"] == len(joined), "an offset is where the one before ended"
                    text = payload.get("text")
                    joined += text.encode() if text is not None else base64.b64decode(payload["base64"])
        return bytes(joined)


def read(subscribers: Sequence[Any], is_last: Callable[[Any, memoryview], bool]) -> None:
    """Read all of them, in turns, until each has had its last frame."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    with selectors.DefaultSelector() as selector:
        for subscriber in subscribers:
            selector.register(subscriber.socket, selectors.EVENT_READ, subscriber)
        open_count = len(subscribers)
        while open_count:
            assert time.monotonic() < deadline, "the benchmark takes too long"
            for ready, _ in selector.select(1):
                subscriber = ready.data
                for frame in subscriber.frames():
                    if is_last(subscriber, frame):
                        selector.unregister(subscriber.socket)
                        open_count -= 1
                        break


def ends(frame: memoryview, task_id: str) -> bool:
    """Whether the end of a task is among the last events of a frame. Inside of output its quotes would be escaped."""
    tail = bytes(frame[-2048:])
    return b'"type":"task.completed"' in tail and task_id.encode() in tail


async def in_thread(function: Callable[..., Any], *arguments: object) -> Any:
    """Call what blocks, somewhere else."""
    return await anyio.to_thread.run_sync(function, *arguments)
