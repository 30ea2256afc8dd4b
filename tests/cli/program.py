"""The command `mission-control` as people start it, each time a real process, with pipes or on a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import termios
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import msgspec
from anyio.abc import Process

from tests.support.server_process import command_line
from tests.support.waiting import until


class Ran(NamedTuple):
    """How a command ended, and what it wrote."""

    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        return self.out.decode().strip()

    @property
    def said(self) -> str:
        return self.err.decode()

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.out)


@dataclass
class Program:
    """The command line with the server of a data directory in its environment."""

    directory: Path

    def env(self, elsewhere: Mapping[str, str] | None = None) -> dict[str, str]:
        """This process's environment with the server in it, or what names one elsewhere."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MISSION_CONTROL_")}
        return kept | {"MISSION_CONTROL_DATA_DIR": str(self.directory), "NO_COLOR": "1"} | dict(elsewhere or {})

    async def run(self, *arguments: str, stdin: bytes = b"", elsewhere: Mapping[str, str] | None = None) -> Ran:
        """Run a command to its end."""
        with anyio.fail_after(60):
            ran = await anyio.run_process(command_line(*arguments), input=stdin, check=False, env=self.env(elsewhere))
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    @asynccontextmanager
    async def start(self, *arguments: str, elsewhere: Mapping[str, str] | None = None) -> AsyncGenerator[Running]:
        """A command that runs on, its output read as it comes."""
        async with await anyio.open_process(command_line(*arguments), env=self.env(elsewhere)) as process:
            running = Running(process)
            async with anyio.create_task_group() as group:
                group.start_soon(running.read, process.stdout, running.out)
                group.start_soon(running.read, process.stderr, running.err)
                try:
                    yield running
                finally:
                    if process.returncode is None:
                        process.kill()


@dataclass
class Running:
    """A process, and what it wrote so far."""

    process: Process
    out: bytearray = field(default_factory=bytearray)
    err: bytearray = field(default_factory=bytearray)

    async def read(self, stream: Any, into: bytearray) -> None:
        async for data in stream:
            into += data

    async def wrote(self, text: bytes, *, to: str = "out") -> None:
        written: bytearray = getattr(self, to)
        await until(lambda: text in written, f"{text!r} in {to}: {bytes(self.out)!r} {bytes(self.err)!r}")

    async def ended(self) -> int:
        with anyio.fail_after(30):
            return await self.process.wait()

    def press_ctrl_c(self) -> None:
        self.process.send_signal(signal.SIGINT)


class Terminal:
    """A command on a terminal of its own, typed into as by a person."""

    def __init__(self, program: Program, *arguments: str) -> None:
        self.seen = bytearray()
        self._master, theirs = pty.openpty()

        def take_terminal() -> None:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            command_line(*arguments),
            env=program.env({"TERM": "xterm"}),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=take_terminal,  # noqa: PLW1509 - Ctrl-C is a signal only on a controlling terminal
        )
        os.close(theirs)
        os.set_blocking(self._master, False)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def read(self) -> bytes:
        try:
            self.seen += os.read(self._master, 65536)
        except OSError:  # nothing there yet, or its other end is closed
            pass
        return bytes(self.seen)

    async def shows(self, text: str) -> None:
        await until(lambda: text.encode() in self.read(), f"{text!r} on {bytes(self.seen)!r}")

    async def ended(self) -> int:
        await until(lambda: self.read() is not None and self.process.poll() is not None, "its end")
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)


@asynccontextmanager
async def open_terminal(program: Program, *arguments: str) -> AsyncGenerator[Terminal]:
    """The command on a terminal."""
    terminal = Terminal(program, *arguments)
    try:
        yield terminal
    finally:
        terminal.close()
