"""An outpost by itself: real processes on this machine, driven through the frames that a server would send."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import anyio.abc

from mission_control.runs import install
from mission_control.runs.frames import Frame, FrameReader, Kind
from tests.support.processes import is_alive

DEADLINE_SECONDS = 30
SERVER = "5e72e7"
# What the desktop's `python3` is, to try others: OUTPOST_PYTHON=/usr/local/bin/python3.6 scripts/test tests/outpost
PYTHON = os.environ.get("OUTPOST_PYTHON", sys.executable)
STREAMS = {"stdout": 1, "stderr": 2, "response": 3}


def run_id(name: str) -> bytes:
    """A run's id, from a name that reads well in a test."""
    return sha256(name.encode()).digest()[:16]


def task_id(name: str) -> str:
    """The id of its task. Like a real one it is of this test alone: a killed run's processes are found by it."""
    return f"task_{name}_{os.getpid()}"


@dataclass
class Received:
    """What came of one run, put together by position as a server does; it complains about gaps."""

    streams: dict[int, bytearray] = field(default_factory=lambda: {1: bytearray(), 2: bytearray(), 3: bytearray()})
    position: int = 0
    heads: list[dict[str, Any]] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=list)
    end: dict[str, Any] | None = None

    def take(self, frame: Frame) -> None:
        match frame.kind:
            case Kind.OUTPUT:
                assert frame.position <= self.position, f"a gap: {frame} after {self.position}"
                assert frame.is_sound
                known = self.position - frame.position
                if known < len(frame.payload):
                    self.streams[frame.stream] += frame.payload[known:]
                    self.position = frame.position + len(frame.payload)
                    assert len(self.streams[frame.stream]) == frame.offset + len(frame.payload)
            case Kind.RESPONSE:
                self.heads.append(json.loads(frame.payload))
            case Kind.STATE:
                self.states.append(json.loads(frame.payload))
            case Kind.END:
                self.end = end = json.loads(frame.payload)
                for name, sums in end["streams"].items():
                    data = bytes(self.streams[int(name)])
                    assert (sums["bytes"], sums["sha256"]) == (len(data), sha256(data).hexdigest())
            case _:
                raise AssertionError(f"not about a run: {frame}")

    @property
    def out(self) -> bytes:
        return bytes(self.streams[1])

    @property
    def err(self) -> bytes:
        return bytes(self.streams[2])

    @property
    def ended(self) -> dict[str, Any]:
        assert self.end is not None
        return self.end


class Attached:
    """One attached channel. Output is acknowledged as it comes, unless told otherwise, but for bytes that are held."""

    def __init__(
        self,
        process: anyio.abc.Process,
        runs: dict[bytes, Received],
        said: Callable[[], str],
        *,
        acknowledges: bool,
        held_bytes: int,
    ) -> None:
        self.process = process
        self.said = said  # by the outpost in its log
        self.runs = runs
        self.hello: dict[str, Any] = {}
        self.metrics: list[dict[str, Any]] = []
        self.frames: list[Frame] = []
        self.beats = 0
        self.acknowledges = acknowledges
        self.held_bytes = held_bytes  # the newest, which may begin a secret
        self.piece_bytes = 65536  # read at once
        self.may_read = anyio.Event()
        self.may_read.set()
        self.is_over = False
        self._changed = anyio.Event()

    async def send(
        self, kind: Kind, run: str | None = None, position: int = 0, payload: bytes = b"", **facts: Any
    ) -> None:
        payload = json.dumps(facts).encode() if facts else payload
        frame = Frame(kind, run_id(run) if run else bytes(16), payload, position=position)
        assert self.process.stdin
        await self.process.stdin.send(frame.encode())

    async def start(self, run: str, command: str, **facts: Any) -> None:
        await self.send(Kind.START, run, command=command, task=task_id(run), remember=True, **facts)

    async def attach(self, run: str, position: int | None = None) -> None:
        await self.send(Kind.ATTACH, run, self.run(run).position if position is None else position)

    def run(self, run: str) -> Received:
        return self.runs.setdefault(run_id(run), Received())

    async def until(self, holds: Callable[[], bool]) -> None:
        with anyio.fail_after(DEADLINE_SECONDS):
            while not holds():
                assert not self.is_over, f"the channel was closed; the outpost says: {self.said()}"
                await self._changed.wait()

    async def until_over(self) -> None:
        with anyio.fail_after(DEADLINE_SECONDS):
            while not self.is_over:
                await self._changed.wait()

    async def ended(self, run: str) -> Received:
        received = self.run(run)
        await self.until(lambda: received.end is not None)
        return received

    async def state(self, run: str, state: str) -> dict[str, Any]:
        states = self.run(run).states
        await self.until(lambda: any(one["state"] == state for one in states))
        return next(one for one in states if one["state"] == state)

    async def read(self, nonce: str) -> None:
        finder: install.NonceFinder | None = install.NonceFinder(nonce)
        reader = FrameReader()
        assert self.process.stdout
        with suppress(anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            while True:
                await self.may_read.wait()
                data: bytes | None = await self.process.stdout.receive(self.piece_bytes)
                if finder:
                    data = finder.feed(data)
                    if data is None:
                        continue
                    finder = None
                for frame in reader.feed(data):
                    await self._take(frame)
                self._tell()
        self.is_over = True
        self._tell()

    async def _take(self, frame: Frame) -> None:
        self.frames.append(frame)
        match frame.kind:
            case Kind.HELLO:
                self.hello = json.loads(frame.payload)
            case Kind.METRICS:
                self.metrics.append(json.loads(frame.payload))
            case Kind.BEAT:
                self.beats += 1
            case _:
                received = self.runs.setdefault(frame.run, Received())
                received.take(frame)
                if self.acknowledges and frame.kind == Kind.OUTPUT and self.process.stdin:
                    ack = Frame(Kind.ACK, frame.run, position=max(0, received.position - self.held_bytes))
                    with suppress(anyio.BrokenResourceError):
                        await self.process.stdin.send(ack.encode())

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


@dataclass
class Desktop:
    """An account's home on this machine, and the outposts that were seen in it."""

    home: Path
    environment: dict[str, str]
    runs: dict[bytes, Received] = field(default_factory=dict)
    pids: set[int] = field(default_factory=set)
    generation: int = 0

    @property
    def directory(self) -> Path:
        (found,) = (self.home / ".local/state/mission-control" / SERVER).iterdir()
        return found

    def said(self) -> str:
        """The logs of the outposts here."""
        logs = self.home.glob(".local/state/mission-control/*/*/log")
        return "".join(path.read_text(errors="replace") for path in logs)

    def folder(self, run: str) -> Path:
        return self.directory / "runs" / run_id(run).hex()

    def supervisor(self, run: str) -> int:
        return json.loads((self.folder(run) / "super").read_text())["pid"]

    @asynccontextmanager
    async def attached(
        self,
        *,
        shell: str | Path = "/bin/sh",
        version: str | None = None,
        constants: Mapping[str, float] | None = None,
        acknowledges: bool = True,
        held_bytes: int = 0,
        environment: Mapping[str, str] | None = None,
        hello: bool = True,
        **facts: Any,
    ) -> AsyncGenerator[Attached]:
        """Attach as a server does through sshd: the account's shell runs the fixed line.

        Of a `version` of the outpost, `constants` are other than they are.
        """
        nonce, sent = self._said_first(version, facts, constants or {})
        variables = {**self.environment, **(environment or {})}
        process = await anyio.open_process([shell, "-c", install.command_line(PYTHON)], env=variables, stderr=None)
        channel = Attached(process, self.runs, self.said, acknowledges=acknowledges, held_bytes=held_bytes)
        async with anyio.create_task_group() as group:
            try:
                group.start_soon(channel.read, nonce)
                assert process.stdin
                await process.stdin.send(sent)
                if hello:
                    await channel.until(lambda: bool(channel.hello))
                    self.pids.add(channel.hello["pid"])
                yield channel
            finally:
                group.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    with suppress(ProcessLookupError):
                        process.kill()
                    await process.aclose()

    async def refused(self, *shell: str, **facts: Any) -> str:
        """What is said on stderr where no outpost can be."""
        _, sent = self._said_first(None, facts, {})
        words = [*(shell or ["/bin/sh"]), "-c", install.command_line(PYTHON)]
        done = await anyio.run_process(words, input=sent, env=self.environment, check=False)
        assert done.returncode != 0
        return done.stderr.decode()

    def _said_first(
        self, version: str | None, facts: dict[str, Any], constants: Mapping[str, float]
    ) -> tuple[str, bytes]:
        self.generation += 1
        nonce = os.urandom(8).hex()
        given = {"server": SERVER, "log": "log", "generation": self.generation, "nonce": nonce} | facts
        if version:
            return nonce, _as_version(given | {"version": version}, constants)
        return nonce, install.to_send(install.Attachment(**given))

    async def ask_to_leave(self) -> None:
        """As any process of the account may, without a server; answered by closing."""
        folder = os.open(self.directory, os.O_PATH)  # the whole path is longer than a socket's may be
        try:
            async with await anyio.connect_unix(f"/proc/self/fd/{folder}/sock-1") as stream:
                await stream.receive()
                await stream.send(b"I0000")
                with suppress(anyio.EndOfStream):
                    await stream.receive()
        finally:
            os.close(folder)

    def end_everything(self) -> None:
        """Kill what we know to be ours; and see that nothing of it has failed."""
        said = [path.read_text() for path in self.home.glob(".local/state/mission-control/*/*/log")]
        mark = b"HOME=" + os.fsencode(self.home)
        for proc in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                # A pid alone may belong to somebody else by the time of the kill.
                handle = os.pidfd_open(int(proc.name))
                try:
                    if mark in (proc / "environ").read_bytes().split(b"\0"):
                        signal.pidfd_send_signal(handle, signal.SIGKILL)
                finally:
                    os.close(handle)
        assert "Traceback" not in "".join(said), said


def _as_version(facts: dict[str, Any], constants: Mapping[str, float]) -> bytes:
    import zlib

    changed = "".join(f"{name} = {value}\n" for name, value in constants.items())
    packed = zlib.compress(install.source() + f"\n{changed}attach({facts!a})\n".encode())
    return b"%d\n%b" % (len(packed), packed)


@asynccontextmanager
async def open_desktop(home: Path) -> AsyncGenerator[Desktop]:
    """A home of its own; leaving ends every outpost and every run in it."""
    environment = {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "SHELL": "/bin/sh",
        "SSH_CLIENT": "127.0.0.1 1 22",
        "SSH_CONNECTION": "127.0.0.1 1 127.0.0.1 22",
    }
    desktop = Desktop(home, environment)
    try:
        yield desktop
    finally:
        desktop.end_everything()


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what another process does: nothing tells."""
    with anyio.fail_after(DEADLINE_SECONDS):
        while not holds():
            await anyio.sleep(0.01)


async def until_dead(*pids: int) -> None:
    await until(lambda: not any(is_alive(pid) for pid in pids))
