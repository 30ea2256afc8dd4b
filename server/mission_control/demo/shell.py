"""Commands of the demo: the account's own shell in the demo's folder, each in a session of its own."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import pwd
import signal
import termios
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import anyio

READ_BYTES = 64 * 1024  # of a command's output at once
LINGER_SECONDS = 2.0  # of silence after a command's end, when something in the background holds its output open
GRACE_SECONDS = 2.0  # between TERM and KILL for what still runs when its channel or request is gone

_ROOT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # as Debian's sshd is built
_USER_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/games"


def account_name() -> str:
    """The account that everything in the demo runs as."""
    return pwd.getpwuid(os.getuid()).pw_name


class Shell:
    """Starts commands in one folder, and knows what they left running in the background."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = pwd.getpwuid(os.getuid()).pw_shell or "/bin/sh"
        self._left_groups: set[int] = set()

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """What sshd gives to a command: nothing of the server's own environment. The demo's folder is its home."""
        return {
            "LANG": os.environ.get("LANG", "C.UTF-8"),
            **(extra or {}),
            "USER": account_name(),
            "LOGNAME": account_name(),
            "HOME": str(self.folder),
            "PATH": _ROOT_PATH if os.getuid() == 0 else _USER_PATH,
            "SHELL": self.program,
        }

    @asynccontextmanager
    async def command(
        self,
        content: str | None,
        *,
        stdin: int = asyncio.subprocess.DEVNULL,
        stdout: int,
        stderr: int,
        extra: Mapping[str, str] | None = None,
        has_terminal: bool = False,
    ) -> AsyncGenerator[asyncio.subprocess.Process]:
        """Start a command (without content, a login shell). Leaving the block early ends its whole process group.

        The descriptors are the command's ends. With `has_terminal`, stdin is a terminal, which then controls it.
        """
        name = Path(self.program).name
        process = await asyncio.create_subprocess_exec(
            *([f"-{name}"] if content is None else [name, "-c", content]),
            executable=self.program,
            cwd=self.folder,
            env=self.environment(extra),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            preexec_fn=_take_terminal if has_terminal else None,
        )
        is_over = False
        try:
            yield process
            is_over = process.returncode is not None
        finally:
            if is_over:  # what it left in the background goes on, as on any host
                self._left_groups = {group for group in {*self._left_groups, process.pid} if signal_group(group, 0)}
            else:
                with anyio.CancelScope(shield=True):
                    await _end(process)

    def end_what_is_left(self) -> None:
        """End what commands left running. What went into a session of its own (`setsid`) is no longer ours."""
        for group in self._left_groups:
            signal_group(group, signal.SIGTERM)
            signal_group(group, signal.SIGCONT)
        self._left_groups.clear()


class Pipe:
    """One end of a pipe or terminal, read or written without blocking the loop; entering it closes it at the end."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor

    def __enter__(self) -> Pipe:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def descriptor(self) -> int:
        assert self._descriptor >= 0, "it is still open"
        return self._descriptor

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    async def read(self) -> bytes:
        """The next bytes, or none at the end."""
        while True:
            await anyio.wait_readable(self.descriptor)
            try:
                return os.read(self.descriptor, READ_BYTES)
            except BlockingIOError:
                continue
            except OSError as error:
                if error.errno == errno.EIO:  # a terminal whose other end nobody has any more
                    return b""
                raise

    async def write(self, data: bytes) -> None:
        """Write everything. Raises OSError when nobody can read it any more."""
        while data:
            await anyio.wait_writable(self.descriptor)
            with suppress(BlockingIOError):
                data = data[os.write(self.descriptor, data) :]


@contextmanager
def output_pipe() -> Generator[tuple[Pipe, Given]]:
    """A pipe out of a command: our end, and the command's, to be closed once the command has it."""
    ours, theirs = os.pipe()
    with Pipe(ours) as pipe, Given(theirs) as given:
        yield pipe, given


@contextmanager
def input_pipe() -> Generator[tuple[Pipe, Given]]:
    """A pipe into a command: our end, and the command's, to be closed once the command has it."""
    theirs, ours = os.pipe()
    with Pipe(ours) as pipe, Given(theirs) as given:
        yield pipe, given


class Given:
    """The command's end of a pipe, which we hold only until the command has it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __enter__(self) -> Given:
        return self

    def __exit__(self, *exception: object) -> None:
        self.hand_over()

    def hand_over(self) -> None:
        """Only the command has it from now on, so that the other end notices the command's end."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


async def follow(
    process: asyncio.subprocess.Process, outputs: Sequence[tuple[Pipe, Callable[[bytes], Awaitable[None]]]]
) -> int:
    """Pass on what a command says, each output to its taker, and give its exit code (negative: a signal).

    It is over when nobody can say more. Where something in the background holds an output open, it is over when the
    command has ended, all that came was taken, and nothing more has come for a while.
    """
    taken_bytes = busy_count = 0

    async def pass_on(pipe: Pipe, take: Callable[[bytes], Awaitable[None]]) -> None:
        nonlocal taken_bytes, busy_count
        while data := await pipe.read():
            taken_bytes += len(data)
            busy_count += 1
            await take(data)
            busy_count -= 1

    async def stop_when_quiet(scope: anyio.CancelScope) -> None:
        await process.wait()
        while True:
            before = taken_bytes
            await anyio.sleep(LINGER_SECONDS)
            if taken_bytes == before and busy_count == 0:
                scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(stop_when_quiet, group.cancel_scope)
        async with anyio.create_task_group() as passing:
            for pipe, take in outputs:
                passing.start_soon(pass_on, pipe, take)
        group.cancel_scope.cancel()
    return await process.wait()


def signal_group(group: int, number: int) -> bool:
    """Send a signal to a process group; whether there is such a group."""
    with suppress(ProcessLookupError):
        os.killpg(group, number)
        return True
    return False


async def _end(process: asyncio.subprocess.Process) -> None:
    """TERM, a moment to clean up, KILL. The group of a command that has ended may still run."""
    signal_group(process.pid, signal.SIGTERM)
    signal_group(process.pid, signal.SIGCONT)
    with anyio.move_on_after(GRACE_SECONDS):
        await process.wait()
    signal_group(process.pid, signal.SIGKILL)
    with anyio.move_on_after(GRACE_SECONDS):
        await process.wait()


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
