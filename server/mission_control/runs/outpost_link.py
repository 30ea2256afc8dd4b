"""The one channel to a desktop's outpost: frames out, frames in, sorted by run.

The channel is always read: what may be under way is bounded by the outpost, which sends a run at most 2 MiB (and all of
them 16 MiB) beyond what was acknowledged. So a run whose reader waits for the log delays no other run, no cancel and
no heartbeat.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Literal

import anyio
import asyncssh
from msgspec.structs import replace

from .connection import PACKET_BYTES, WINDOW_BYTES, SshConnection, SshFailure
from .frames import ChannelBroken, Frame, FrameReader, Kind
from .install import Attachment, NonceFinder, NoNonce, command_line, to_send
from .protocol import BEAT, LEAVE, REMOVE, Hello, Metrics, read_facts

HELLO_S_MAX = 10.0  # from the command line to the outpost's first frame
BEAT_S = 3.0
SILENCE_S_MAX = 12.0  # of an outpost, which says something every 3 s
WAITING_BYTES_MAX = 64 * 1024 * 1024  # frames that nobody took yet: more than an outpost of ours ever sends
STDERR_BYTES_MAX = 4096
OWN_WORDS = "mission-control:"  # begins what the outpost itself says on stderr
CANNOT_RUN = 126  # of a shell, and of the outpost: found, and not to be run
SIGNALLED = 128  # a shell adds the number of the signal that ended its command

SUPERSEDED = (
    "Another copy of this server has taken the desktop over. Stop one of the two; then restart the desktop here. "
    "If this copy was restored from a backup, stop it, run `mission-control log restored`, and start it again."
)

FailureCode = Literal["outpost_not_possible", "outpost_failed", "outpost_lost", "shell_not_usable", "superseded"]


class OutpostFailure(Exception):
    """There is no outpost to talk to. With `outpost_not_possible` there cannot be one: runs are then not durable."""

    def __init__(self, code: FailureCode, message: str) -> None:
        self.code: FailureCode = code
        self.message = message
        super().__init__(message)

    @property
    def is_permanent(self) -> bool:
        """Whether a person must act before another try can succeed."""
        return self.is_final

    @property
    def is_final(self) -> bool:
        """Whether it is not tried again before a person says so: two copies of a server would take turns for ever."""
        return self.code == "superseded"

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class LinkLost(Exception):
    """The channel has closed; the run goes on on its desktop."""


class RunFrames:
    """The frames of one run, in the order in which they came. One reader; cancelling a read loses nothing."""

    def __init__(self, link: OutpostLink) -> None:
        self._link = link
        self._frames: deque[Frame] = deque()
        self._news = anyio.Event()

    async def wait(self) -> None:
        """Wait until there is a frame. Raises LinkLost when none will come any more."""
        while not self._frames:
            if not self._link.is_open:
                raise LinkLost
            await self._news.wait()

    def take(self) -> Frame | None:
        """The next frame, if it has come."""
        if not self._frames:
            return None
        frame = self._frames.popleft()
        self._link.taken(len(frame.payload))
        return frame

    def put(self, frame: Frame) -> None:
        self._frames.append(frame)
        self.tell()

    def tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()

    def drop(self) -> None:
        self._link.taken(sum(len(frame.payload) for frame in self._frames))
        self._frames.clear()


class OutpostLink:
    """An attached outpost. Made by `open_outpost`."""

    def __init__(self, nonce: str, on_metrics: Callable[[Metrics], None] | None) -> None:
        self.hello: Hello | None = None
        self.metrics: Metrics | None = None
        self._on_metrics = on_metrics
        self._finder: NonceFinder | None = NonceFinder(nonce)
        self._reader = FrameReader()
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._runs: dict[bytes, RunFrames] = {}
        self._waiting_bytes = 0
        self._heard_s = monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._stderr = b""
        self._is_noisy = False
        self._exit_status: int | None = None
        self._failure: str | None = None
        self._is_open = True
        self._changed = anyio.Event()

    @property
    def is_open(self) -> bool:
        return self._is_open

    @property
    def facts(self) -> Hello:
        """What the outpost said of itself."""
        assert self.hello is not None, "an open link has said hello"
        return self.hello

    def send(self, data: bytes) -> None:
        """Send an encoded frame. Lost when the channel is: whoever needs an answer asks again on the next one."""
        if self._channel is not None and not self._channel.is_closing():
            self._channel.write(data)  # pyright: ignore[reportUnknownMemberType] - asyncssh's own hints

    def remove(self) -> None:
        """Ask the outpost to leave and to delete everything of it, if nothing runs."""
        self.send(REMOVE)

    def leave(self) -> None:
        """Ask the outpost to leave, if nothing runs."""
        self.send(LEAVE)

    def follow(self, id: bytes) -> RunFrames:
        """Receive the frames of a run, until `unfollow`."""
        assert id not in self._runs, "a run has one reader"
        frames = self._runs[id] = RunFrames(self)
        return frames

    def unfollow(self, id: bytes) -> None:
        """Receive them no longer."""
        self._runs.pop(id).drop()

    async def wait_lost(self) -> OutpostFailure:
        """Wait until the channel has closed, and say why."""
        while self._is_open:
            await self._changed.wait()
        if self.facts.superseded:
            return OutpostFailure("superseded", SUPERSEDED)
        return OutpostFailure("outpost_lost", self._failure or "The outpost on the desktop has ended or let go of us.")

    def statistics(self) -> dict[str, int]:
        """For the metrics: runs that are followed, and bytes that wait for them."""
        return {"run_count": len(self._runs), "waiting_bytes": self._waiting_bytes}

    def taken(self, size: int) -> None:
        """A reader has taken so many bytes."""
        self._waiting_bytes -= size

    async def said_hello(self) -> None:
        """Wait for the first frame. Raises OutpostFailure."""
        with anyio.move_on_after(HELLO_S_MAX):
            while self.hello is None and self._is_open:
                await self._changed.wait()
        if self.hello is None:
            raise self._explain()
        if self.hello.superseded:
            raise OutpostFailure("superseded", SUPERSEDED)

    def start_beating(self) -> None:
        """From now on: say every few seconds that we are there, and notice when the outpost is not."""
        if monotonic() - self._heard_s > SILENCE_S_MAX:
            self.close(f"The outpost was silent for {SILENCE_S_MAX:.0f} s.")
        elif self._is_open:
            self.send(BEAT)
            self._timer = asyncio.get_running_loop().call_later(BEAT_S, self.start_beating)

    def close(self, why: str | None = None) -> None:
        """Let go of the channel; runs go on."""
        if self._timer is not None:
            self._timer.cancel()
        if self._channel is not None:
            self._channel.abort()
        self.closed(why)

    # What the channel tells.

    def opened(self, channel: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = channel

    def received(self, data: bytes, is_stderr: bool) -> None:
        if is_stderr:
            self._stderr = (self._stderr + data)[:STDERR_BYTES_MAX]
            return
        self._heard_s = monotonic()
        try:
            if self._finder is not None:
                rest = self._finder.feed(data)
                if rest is None:
                    return
                self._finder, data = None, rest
            for frame in self._reader.feed(data):
                self._sort(frame)
        except NoNonce as error:
            self._is_noisy = True
            self.close(str(error))
        except ChannelBroken as error:
            self.close(str(error))
        if self._waiting_bytes > WAITING_BYTES_MAX:
            self.close("The outpost sent more than it may.")

    def exited(self, status: int) -> None:
        self._exit_status = status

    def closed(self, why: str | None) -> None:
        if self._is_open:
            self._is_open = False
            self._failure = why
            self._channel = None
            for run in self._runs.values():
                run.tell()
            self._tell()

    def _sort(self, frame: Frame) -> None:
        if run := self._runs.get(frame.run):
            self._waiting_bytes += len(frame.payload)
            run.put(frame)
        elif frame.kind == Kind.HELLO:
            was_attached, self.hello = self.hello is not None, read_facts(frame.payload, Hello)
            if was_attached and self.hello.superseded:
                self.close()
            self._tell()
        elif frame.kind == Kind.METRICS:
            self.metrics = read_facts(frame.payload, Metrics)
            if self._on_metrics:
                self._on_metrics(self.metrics)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    def _explain(self) -> OutpostFailure:
        words = self._stderr.decode(errors="replace").strip()
        said = "".join(one if one.isprintable() else " " for one in words.splitlines()[-1])[:300] if words else ""
        if self._is_open:
            noise = self._finder.noise[:200] if self._finder else b""
            message = f"The account's shell did not start the outpost within {HELLO_S_MAX:.0f} s. Does a start-up file "
            message += "(.bashrc, .profile, config.fish) wait for input, or replace the shell?"
            if noise:
                message += f" It printed {noise!r}."
            return OutpostFailure("shell_not_usable", message)
        if self._is_noisy and self._failure:
            return OutpostFailure("shell_not_usable", self._failure)
        status = self._exit_status
        if OWN_WORDS in said:
            code = "outpost_not_possible" if status == CANNOT_RUN else "outpost_failed"
            return OutpostFailure(code, said.partition(OWN_WORDS)[2].strip())
        reason = said or self._failure or f"the shell ended with code {status}"
        if self._finder is None or not status or status > SIGNALLED:
            # It began and was ended, or nobody says how: no sign that it cannot be there.
            return OutpostFailure("outpost_failed", f"The outpost ended before it was ready: {reason.rstrip('.')}.")
        return OutpostFailure("outpost_not_possible", f"Python 3.6 or newer did not start there: {reason}")


class _Session(asyncssh.SSHClientSession[bytes]):
    def __init__(self, link: OutpostLink) -> None:
        self._link = link

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._link.opened(chan)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._link.received(data, is_stderr=datatype is not None)

    def exit_status_received(self, status: int) -> None:
        self._link.exited(status)

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.closed(str(exc) if exc else None)


@asynccontextmanager
async def open_outpost(
    connection: SshConnection,
    attachment: Attachment,
    *,
    python: str = "python3",
    on_metrics: Callable[[Metrics], None] | None = None,
) -> AsyncGenerator[OutpostLink]:
    """Attach to the account's outpost, starting it where there is none; leaving the block lets go, and runs go on.

    Raises OutpostFailure, and SshFailure when the connection is lost meanwhile.
    """
    nonce = secrets.token_hex(16)
    link = OutpostLink(nonce, on_metrics)
    try:
        with anyio.CancelScope(shield=True):  # asyncssh cannot take back a channel that it has asked for
            await _open_channel(connection, link, command_line(python))
        link.send(to_send(replace(attachment, nonce=nonce)))
        await link.said_hello()
        link.start_beating()
        yield link
    except OutpostFailure:
        if not connection.is_open or connection.ssh.is_closed():
            raise SshFailure("connection_lost", f"The connection to {connection.target} was lost.") from None
        raise
    finally:
        link.close()


async def _open_channel(connection: SshConnection, link: OutpostLink, command: str) -> None:
    try:
        with anyio.fail_after(HELLO_S_MAX):
            await connection.ssh.create_session(  # pyright: ignore[reportUnknownMemberType] - asyncssh's own hints
                lambda: _Session(link),
                command,
                encoding=None,
                window=WINDOW_BYTES,
                max_pktsize=PACKET_BYTES,
                request_pty=False,
            )
    except TimeoutError:
        raise SshFailure("connect_timeout", f"{connection.target} did not open a session in time.") from None
    except asyncssh.ChannelOpenError as error:
        if not connection.is_open or connection.ssh.is_closed():
            raise SshFailure("connection_lost", f"{connection.target} was lost.") from error
        raise OutpostFailure("outpost_not_possible", f"The host runs no commands: {error.reason}") from error
    except (OSError, asyncssh.Error) as error:
        raise SshFailure("connection_lost", f"{connection.target} was lost: {error}") from error
