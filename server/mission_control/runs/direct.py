"""One command over an open connection, on a plain exec channel: the `direct` mode.

What it promises, and what it cannot:
- The content goes to the account's shell as it is: it is the SSH exec request, never part of another string. So there
  is no working directory to set here, and variables travel as SSH `env` requests, which a host's sshd may ignore
  (OpenSSH accepts only the names in its `AcceptEnv`).
- stdout and stderr come in the order in which the host sent them. A reader that does not read makes the command wait;
  at most `BUFFER_BYTES_MAX` and two channel windows are in memory.
- stdin is empty. With `tty` the command gets a terminal on which `END_OF_FILE` was typed often enough for anything that
  asks; what throws away typed input before it asks (for a password) waits until the timeout.
- The run lives and dies with its connection; nothing is durable. A stop is an SSH signal, TERM and then KILL, to the
  command's process group; a host may refuse it without saying so (OpenSSH does for root). When no exit arrives, the end
  says `maybe_running`, and means it.
- The run ends when its main process has ended and its output is closed, or when something it left behind holds the
  output open but is silent (`DRAIN_QUIET_S`) or does not come to an end (`DRAIN_S_MAX`).
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from time import monotonic
from typing import Any, Literal

import anyio
import asyncssh
from asyncssh.constants import OPEN_REQUEST_PTY_FAILED, OPEN_REQUEST_SESSION_FAILED, PTY_ECHO
from msgspec import Struct

from mission_control.domain.limits import COMMAND_BYTES_MAX
from mission_control.domain.output import OutputCutter, Piece, Stream

from .connection import PACKET_BYTES, WINDOW_BYTES, SshConnection, SshFailure

BUFFER_BYTES_MAX = 1024 * 1024  # taken from the channel and not yet read; at this the channel is paused
READ_BYTES_MAX = 256 * 1024  # of one chunk: neighbours of one stream are joined up to this
START_S_MAX = 15.0  # from the request for a channel to the host's answer that the command runs
TERM_GRACE_S = 5.0  # from TERM to KILL
KILL_GRACE_S = 5.0  # from KILL to giving up
DRAIN_QUIET_S = 2.0  # of silence after the exit, with the output still held open
DRAIN_S_MAX = 30.0  # of output after the exit
TERMINAL = ("xterm-256color", (120, 40))  # type; columns and rows
END_OF_FILE = b"\x04" * 64  # what a terminal takes for it; each read that waits for a line uses one up

assert READ_BYTES_MAX <= BUFFER_BYTES_MAX, "a whole chunk can be waiting"

RefusalCode = Literal[
    "content_invalid", "env_invalid", "cwd_not_supported", "channel_refused", "tty_refused", "exec_refused"
]
EndReason = Literal["exited", "cancelled", "timeout", "connection_lost", "no_exit"]
StopReason = Literal["cancelled", "timeout"]

VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class CommandRefused(Exception):
    """The command was not started. `code` is stable, the message says what to do."""

    def __init__(self, code: RefusalCode, message: str) -> None:
        self.code: RefusalCode = code
        self.message = message
        super().__init__(message)

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class RunEnd(Struct, frozen=True, kw_only=True):
    """How a command ended. Exit code and signal are the host's own words, never inferred."""

    reason: EndReason
    exit_code: int | None = None
    signal: str | None = None  # SIGKILL
    maybe_running: bool = False  # no exit was seen: the command may still be running on the desktop
    output_cut: bool = False  # output may be missing: the link was lost, or a child left behind still held it open
    ms: int = 0  # since the host started the command

    @property
    def is_success(self) -> bool:
        return self.reason == "exited" and self.exit_code == 0

    def __str__(self) -> str:
        exit_ = f"code {self.exit_code}" if self.exit_code is not None else self.signal or "no exit seen"
        return f"{self.reason}, {exit_}, after {self.ms} ms{', may still be running' if self.maybe_running else ''}"


class StopLimits(Struct, frozen=True, kw_only=True):
    """How patient a stop and the draining after an exit are, in seconds."""

    term_grace_s: float = TERM_GRACE_S
    kill_grace_s: float = KILL_GRACE_S
    drain_quiet_s: float = DRAIN_QUIET_S
    drain_s_max: float = DRAIN_S_MAX


class DirectRun:
    """A running command: an iterator over `(stream, bytes)` in the order of arrival, then `end`.

    Made by `open_command`. One reader; cancelling a read loses nothing. The stop's timers run whether or not anybody
    reads, so a stalled reader does not keep a command from being stopped.
    """

    def __init__(self, limits: StopLimits) -> None:
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._chunks: deque[tuple[Stream, bytes]] = deque()
        self._waiting_bytes = 0
        self._received_bytes = 0
        self._is_paused = False
        self._news = anyio.Event()
        self._started_s = monotonic()
        self._exit_code: int | None = None
        self._signal: str | None = None
        self._exited_s: float | None = None
        self._stop_reason: StopReason | None = None
        self._end: RunEnd | None = None
        self._timeout: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None  # of the stop, or of the draining: never both

    @property
    def ms(self) -> int:
        """Milliseconds since the host started the command, by a clock that does not step."""
        return int((monotonic() - self._started_s) * 1000)

    @property
    def end(self) -> RunEnd:
        """How it ended; there is an answer once the iteration is over."""
        assert self._end is not None, "the end of a run comes after its output: read to the end first"
        return self._end

    def cancel(self) -> None:
        """Stop the command: TERM, then KILL, then closing the channel. Does not wait; the iteration ends when it has
        ended or was given up. Later calls change nothing."""
        self._stop("cancelled")

    def statistics(self) -> dict[str, int | bool]:
        """For the metrics: bytes received so far, bytes that wait for the reader, and whether the host has to wait."""
        return {
            "received_bytes": self._received_bytes,
            "waiting_bytes": self._waiting_bytes,
            "is_paused": self._is_paused,
        }

    def __aiter__(self) -> DirectRun:
        return self

    async def __anext__(self) -> tuple[Stream, bytes]:
        while not self._chunks:
            if self._end is not None:
                raise StopAsyncIteration
            await self._news.wait()
        return self._take()

    async def pieces(self, cutter: OutputCutter) -> AsyncGenerator[list[Piece]]:
        """The output as the pieces of the log, a few at a time; a quiet partial line is sent when its time has come."""
        has_ended = False
        while not has_ended:
            pieces: list[Piece] = []
            with anyio.move_on_after(_seconds_until(cutter.deadline, self.ms)) as wait:
                chunk = await anext(self, None)
                has_ended = chunk is None
                pieces = cutter.feed(*chunk, self.ms) if chunk is not None else cutter.finish()
            if wait.cancelled_caught:
                pieces = cutter.flush(self.ms)
            if pieces:
                yield pieces

    def _take(self) -> tuple[Stream, bytes]:
        """The next chunk, joined with its neighbours of the same stream."""
        stream, data = self._chunks.popleft()
        if self._chunks and self._chunks[0][0] == stream:
            joined, size = [data], len(data)
            while self._chunks and self._chunks[0][0] == stream and size + len(self._chunks[0][1]) <= READ_BYTES_MAX:
                joined.append(self._chunks.popleft()[1])
                size += len(joined[-1])
            data = b"".join(joined)
        self._waiting_bytes -= len(data)
        if self._is_paused and self._waiting_bytes <= BUFFER_BYTES_MAX // 2:
            self._resume()
        return stream, data

    def _resume(self) -> None:
        """Let the channel hand over all that it holds, at most its window, before it may be paused again.

        asyncssh opens the whole window anew with the first packet that it hands over, whatever else it still holds:
        pausing in between would let the host send more than is ever read, without bound (seen with 2.24.1).
        """
        if self._channel is not None:
            self._channel.resume_reading()
        self._is_paused = False
        self._pause_if_full()

    def _pause_if_full(self) -> None:
        if self._waiting_bytes >= BUFFER_BYTES_MAX and not self._is_paused and self._channel is not None:
            self._is_paused = True
            self._channel.pause_reading()

    # What the channel tells.

    def opened(self, channel: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = channel

    def end_input(self, last: bytes) -> None:
        if self._channel is not None and not self._channel.is_closing():
            if last:
                self._channel.write(last)  # pyright: ignore[reportUnknownMemberType] - asyncssh's own hints
            self._channel.write_eof()

    def started(self, timeout_s: float | None) -> None:
        self._started_s = monotonic()
        if timeout_s is not None and self._end is None:
            self._timeout = self._loop.call_later(timeout_s, self._stop, "timeout")

    def received(self, stream: Stream, data: bytes) -> None:
        if self._end is not None:
            return
        self._chunks.append((stream, data))
        self._waiting_bytes += len(data)
        self._received_bytes += len(data)
        self._pause_if_full()
        self._tell()

    def exited(self, code: int | None, signal: str | None) -> None:
        self._exit_code, self._signal, self._exited_s = code, signal, monotonic()
        if self._timeout is not None:
            self._timeout.cancel()
        self._set_timer(self._limits.drain_quiet_s, partial(self._drain, self._received_bytes))

    def closed(self, error: Exception | None) -> None:
        """The channel has closed, with its connection if there is an error."""
        self._channel = None
        has_exit = self._exited_s is not None
        reason = "exited" if has_exit else "connection_lost" if error is not None else "no_exit"
        self._finish(reason, output_cut=error is not None)

    # Stopping and ending.

    def _stop(self, reason: StopReason) -> None:
        if self._end is not None or self._stop_reason is not None:
            return
        self._stop_reason = reason
        if self._exited_s is not None:
            self._finish("exited", output_cut=True)  # only its leftovers still write
        else:
            self._signal_command("TERM")
            self._set_timer(self._limits.term_grace_s, self._kill)

    def _kill(self) -> None:
        self._signal_command("KILL")
        self._set_timer(self._limits.kill_grace_s, partial(self._finish, "no_exit"))

    def _signal_command(self, name: str) -> None:
        if self._channel is not None:
            self._channel.send_signal(name)  # no answer exists (RFC 4254, 6.9): only an exit shows that it worked

    def _drain(self, received_bytes: int) -> None:
        """The output is still open some time after the exit: wait on only while there is a reason to."""
        assert self._exited_s is not None
        is_new = self._received_bytes != received_bytes
        is_reader_behind = bool(self._chunks)
        if is_reader_behind or (is_new and monotonic() - self._exited_s < self._limits.drain_s_max):
            self._set_timer(self._limits.drain_quiet_s, partial(self._drain, self._received_bytes))
        else:
            self._finish("exited", output_cut=True)

    def _finish(self, reason: EndReason, output_cut: bool = False) -> None:
        if self._end is not None:
            return
        self._end = RunEnd(
            reason=self._stop_reason or reason,
            exit_code=self._exit_code,
            signal=self._signal,
            maybe_running=self._exited_s is None,
            output_cut=output_cut,
            ms=int(((self._exited_s or monotonic()) - self._started_s) * 1000),
        )
        self.close()
        self._tell()

    def close(self) -> None:
        """Close the channel and stop the timers. What was received can still be read."""
        for timer in (self._timeout, self._timer):
            if timer is not None:
                timer.cancel()
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _set_timer(self, seconds: float, callback: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, callback)

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()


class _Session(asyncssh.SSHClientSession[bytes]):
    """Passes on what asyncssh calls; nothing is decided here."""

    def __init__(self, run: DirectRun) -> None:
        self._run = run

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._run.opened(chan)

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        self._run.received("stdout" if datatype is None else "stderr", data)

    def exit_status_received(self, status: int) -> None:
        self._run.exited(status, None)

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        self._run.exited(None, signal if "@" in signal else f"SIG{signal}")

    def connection_lost(self, exc: Exception | None) -> None:
        self._run.closed(exc)


@asynccontextmanager
async def open_command(
    connection: SshConnection,
    content: str,
    *,
    task_id: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    tty: bool = False,
    timeout_s: float | None = None,
    limits: StopLimits = StopLimits(),  # noqa: B008 - frozen
) -> AsyncGenerator[DirectRun]:
    """Start a command; leaving the block closes its channel, whether it has ended or not.

    Leaving early (also by cancellation) sends no signal: what then still runs meets a closed output at its next write.
    Call `cancel()` and read to the end to stop it properly. `timeout_s` counts from the host's answer that it runs.

    Raises `CommandRefused` when it was not started, and `SshFailure` (`connection_lost`, `connect_timeout`) when the
    link failed meanwhile: then it may have been.
    """
    check_command(content, env or {}, cwd)
    variables = {"PYTHONUNBUFFERED": "1", **({"MISSION_CONTROL_TASK_ID": task_id} if task_id else {}), **(env or {})}
    run = DirectRun(limits)
    try:
        # Not cancellable: asyncssh cannot take back a channel that it has asked for, and would leave it open for ever.
        # It takes one round trip, and at most until the connection is found dead.
        with anyio.CancelScope(shield=True):
            await _start(connection, run, content, variables, tty)
        run.started(timeout_s)
        yield run
    finally:
        run.close()


def check_command(content: str, env: Mapping[str, str], cwd: str | None) -> None:
    """Refuse what no shell could be given as it is. Raises `CommandRefused`."""
    if cwd is not None:
        raise CommandRefused(
            "cwd_not_supported",
            "Without an outpost a command starts in the account's home directory. Begin the command with cd instead.",
        )
    try:
        size = len(content.encode())
    except UnicodeEncodeError:
        raise CommandRefused("content_invalid", "The command holds a lone surrogate, which is no character.") from None
    if not 0 < size <= COMMAND_BYTES_MAX:
        raise CommandRefused("content_invalid", f"A command has 1 to {COMMAND_BYTES_MAX} bytes; this one has {size}.")
    if "\0" in content:
        raise CommandRefused("content_invalid", "A command cannot hold NUL: the shell would stop reading there.")
    for name, value in env.items():
        if not VARIABLE_NAME.fullmatch(name) or "\0" in value:
            raise CommandRefused("env_invalid", f"{name!r} cannot be a variable: letters, digits and _, no NUL inside.")


async def _start(connection: SshConnection, run: DirectRun, content: str, variables: dict[str, str], tty: bool) -> None:
    target = connection.target
    options: dict[str, Any] = {
        "env": variables,
        "encoding": None,
        "window": WINDOW_BYTES,
        "max_pktsize": PACKET_BYTES,
        "request_pty": False,
    }
    if tty:
        terminal_type, size = TERMINAL
        no_echo = {PTY_ECHO: 0}  # nobody types: the end-of-file is not to be seen
        options |= {"request_pty": "force", "term_type": terminal_type, "term_size": size, "term_modes": no_echo}
    try:
        with anyio.fail_after(START_S_MAX):
            await connection.ssh.create_session(  # pyright: ignore[reportUnknownMemberType] - asyncssh's own hints
                lambda: _Session(run), content, **options
            )
    except TimeoutError:
        raise SshFailure(
            "connect_timeout", f"{target} did not say within {START_S_MAX:.0f} s whether the command has started."
        ) from None
    except asyncssh.ChannelOpenError as error:
        if not connection.is_open or connection.ssh.is_closed():
            raise connection.failure or SshFailure("connection_lost", f"{target} was lost at the start.") from error
        raise _refusal(target.host, error) from error
    except (OSError, asyncssh.Error) as error:
        raise connection.failure or SshFailure("connection_lost", f"{target} was lost at the start: {error}") from error
    run.end_input(END_OF_FILE if tty else b"")


def _refusal(host: str, error: asyncssh.ChannelOpenError) -> CommandRefused:
    if error.code == OPEN_REQUEST_PTY_FAILED:
        return CommandRefused("tty_refused", f"{host} gives no terminal. Run the task without tty.")
    if error.code == OPEN_REQUEST_SESSION_FAILED:
        return CommandRefused(
            "exec_refused", f"{host} runs no commands for this account (a forced command, a no-login shell?)."
        )
    return CommandRefused(
        "channel_refused",
        f"{host} opens no further session ({error.reason}). Its sshd allows 10 for each connection (MaxSessions): "
        "raise that, or lower maxConcurrentTasks.",
    )


def _seconds_until(deadline_ms: int | None, now_ms: int) -> float | None:
    return None if deadline_ms is None else max(0, deadline_ms - now_ms) / 1000
