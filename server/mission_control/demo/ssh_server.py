"""A real SSH server on loopback: one key may sign in, as the account that runs it, and commands run in one folder.

It behaves as OpenSSH does where that matters to a client: output streams with backpressure, exit status or signal as
the kernel told them, signal requests reach the whole process group, a session ends when its output has ended, and a
terminal is a terminal. Unlike OpenSSH it ends the process group of a command whose channel is closed early.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import struct
import termios
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import anyio
import anyio.abc
import asyncssh

from .shell import Given, Pipe, Shell, account_name, follow, input_pipe, output_pipe, signal_group

WRITE_BUFFER_BYTES_MAX = 1024 * 1024  # towards a client that does not read; then the command waits, as at any pipe
WINDOW_BYTES = 2 * 1024 * 1024
PACKET_BYTES = 128 * 1024
LOGIN_SECONDS = 20
TERMINAL_SIZE = (80, 24, 0, 0)  # where a client asks for a terminal and names none

STDERR = 1  # SSH_EXTENDED_DATA_STDERR, RFC 4254, 5.2

# Terminal modes of RFC 4254, 8: opcode -> where it lives in `termios.tcgetattr()`, and its bit.
_MODES = {
    36: (0, termios.ICRNL),
    50: (3, termios.ISIG),
    51: (3, termios.ICANON),
    53: (3, termios.ECHO),
    54: (3, termios.ECHOE),
    70: (1, termios.OPOST),
    72: (1, termios.ONLCR),
}


@asynccontextmanager
async def open_ssh_server(
    listener: socket.socket, shell: Shell, host_key: asyncssh.SSHKey, client_key: asyncssh.SSHKey
) -> AsyncGenerator[None]:
    """Serve on a bound socket while the block is open; leaving it ends every connection and command."""
    connections: set[asyncssh.SSHServerConnection] = set()
    async with anyio.create_task_group() as group:
        acceptor = await asyncssh.listen(
            sock=listener,
            config=[],
            server_factory=lambda: _Server(shell, client_key, group, connections),
            server_host_keys=[host_key],
            encoding=None,
            line_editor=False,  # the terminal's own line discipline does it
            agent_forwarding=False,
            window=WINDOW_BYTES,
            max_pktsize=PACKET_BYTES,
            login_timeout=LOGIN_SECONDS,
        )
        try:
            yield
        finally:
            acceptor.close()
            group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                for connection in [*connections]:
                    connection.abort()
                    await connection.wait_closed()


class _Server(asyncssh.SSHServer):
    """One connection."""

    def __init__(
        self,
        shell: Shell,
        client_key: asyncssh.SSHKey,
        group: anyio.abc.TaskGroup,
        connections: set[asyncssh.SSHServerConnection],
    ) -> None:
        self._shell = shell
        self._client_key = client_key
        self._group = group
        self._connections = connections
        self._facts: dict[str, str] = {}

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._connections.add(conn)
        client_host, client_port = conn.get_extra_info("peername")[:2]
        host, port = conn.get_extra_info("sockname")[:2]
        self._facts = {
            "SSH_CLIENT": f"{client_host} {client_port} {port}",  # without it bash reads no .bashrc
            "SSH_CONNECTION": f"{client_host} {client_port} {host} {port}",
        }

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == account_name() and key.public_data == self._client_key.public_data

    def session_requested(self) -> _Session:
        return _Session(self._shell, self._group, self._facts)


class _Session(asyncssh.SSHServerSession[bytes]):
    """One channel: a command or a login shell, with or without a terminal."""

    def __init__(self, shell: Shell, group: anyio.abc.TaskGroup, facts: Mapping[str, str]) -> None:
        self._shell = shell
        self._group = group
        self._facts = dict(facts)
        self._scope = anyio.CancelScope()
        self._command: str | None = None
        self._terminal: _Terminal | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._early_signals: list[int] = []
        self._may_write = anyio.Event()
        self._may_write.set()
        self._is_started = False
        self._input_in, self._input = anyio.create_memory_object_stream[bytes](float("inf"))

    # what the client asks for

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan
        chan.set_write_buffer_limits(high=WRITE_BUFFER_BYTES_MAX)

    def pty_requested(
        self, term_type: str, term_size: tuple[int, int, int, int], term_modes: Mapping[int, int]
    ) -> bool:
        self._terminal = _Terminal(term_type, term_size, term_modes)
        return True

    def shell_requested(self) -> bool:
        return True

    def exec_requested(self, command: str) -> bool:
        self._command = command
        return True

    def session_started(self) -> None:
        self._is_started = True
        self._group.start_soon(self._run)

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        self._channel.pause_reading()  # until the command has taken it
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            self._input_in.send_nowait(data)

    def eof_received(self) -> bool:
        self._input_in.close()
        return True  # the command's output goes on

    def signal_received(self, signal: str) -> None:
        number = _signal_number(signal)
        if number is not None and self._process is not None:
            signal_group(self._process.pid, number)
        elif number is not None:
            self._early_signals.append(number)  # the command is just being started

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        if self._terminal is not None:
            self._terminal.resize((width, height, pixwidth, pixheight))

    def pause_writing(self) -> None:
        self._may_write = anyio.Event()

    def resume_writing(self) -> None:
        self._may_write.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._may_write.set()
        self._input_in.close()
        if not self._is_started:
            self._input.close()
        self._scope.cancel()  # ends the command's process group, if it still runs

    # what the command does

    async def _run(self) -> None:
        with self._scope, self._input:
            environment = {**self._channel.get_environment(), **self._facts}
            try:
                if self._terminal is None:
                    code = await self._run_with_pipes(environment)
                else:
                    code = await self._run_with_terminal(environment, self._terminal)
                self._exit(code)
            except OSError as error:  # no such shell or folder, no more processes
                self._write(f"{error}\n".encode(), STDERR)
                self._exit(127)

    async def _run_with_pipes(self, environment: Mapping[str, str]) -> int:
        with input_pipe() as (stdin, given), output_pipe() as (stdout, out), output_pipe() as (stderr, err):
            command = self._shell.command(
                self._command,
                extra=environment,
                stdin=given.descriptor,
                stdout=out.descriptor,
                stderr=err.descriptor,
            )
            async with command as process:
                for end in (given, out, err):
                    end.hand_over()
                outputs = [(stdout, self._take), (stderr, self._take_error)]
                return await self._follow(process, outputs, self._give_input(stdin, closes=True))

    async def _run_with_terminal(self, environment: Mapping[str, str], terminal: _Terminal) -> int:
        with terminal.opened() as (pipe, given):
            end = given.descriptor
            extra = {**environment, "SSH_TTY": terminal.name, "TERM": terminal.type or "dumb"}
            command = self._shell.command(
                self._command, extra=extra, stdin=end, stdout=end, stderr=end, has_terminal=True
            )
            async with command as process:
                given.hand_over()
                # The end of a terminal's input is a character that the client types.
                return await self._follow(process, [(pipe, self._take)], self._give_input(pipe, closes=False))

    async def _follow(
        self,
        process: asyncio.subprocess.Process,
        outputs: Sequence[tuple[Pipe, Callable[[bytes], Awaitable[None]]]],
        input: Coroutine[Any, Any, None],
    ) -> int:
        self._process = process
        for number in self._early_signals:
            signal_group(process.pid, number)
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: input)
            await follow(process, outputs)
            group.cancel_scope.cancel()
        return await process.wait()

    async def _give_input(self, stdin: Pipe, *, closes: bool) -> None:
        with suppress(OSError):  # the command has closed its input
            async for data in self._input:
                await stdin.write(data)
                self._channel.resume_reading()
        if closes:
            stdin.close()
        self._channel.resume_reading()
        async for _ in self._input:  # nobody reads it any more
            self._channel.resume_reading()

    async def _take(self, data: bytes) -> None:
        await self._may_write.wait()
        self._write(data, None)

    async def _take_error(self, data: bytes) -> None:
        await self._may_write.wait()
        self._write(data, STDERR)

    def _write(self, data: bytes, datatype: asyncssh.DataType) -> None:
        with suppress(OSError):  # the client has closed the channel; `connection_lost` ends the command
            self._channel.write(data, datatype)  # pyright: ignore[reportUnknownMemberType] - asyncssh's own hints

    def _exit(self, code: int) -> None:
        with suppress(OSError):
            if code >= 0:
                self._channel.exit(code)
            else:
                self._channel.exit_with_signal(signal.Signals(-code).name.removeprefix("SIG"))


class _Terminal:
    """A pseudo-terminal as the client asked for it."""

    def __init__(self, type: str, size: tuple[int, int, int, int], modes: Mapping[int, int]) -> None:
        self.type = type
        self.name = ""
        self._size = size if any(size) else TERMINAL_SIZE
        self._modes = modes
        self._pipe: Pipe | None = None

    @contextmanager
    def opened(self) -> Generator[tuple[Pipe, Given]]:
        """Our end, and the command's, to be handed over once the command has it."""
        ours, theirs = os.openpty()
        with Pipe(ours) as self._pipe, Given(theirs) as given:
            self.name = os.ttyname(theirs)
            self._set_modes(theirs)
            self.resize(self._size)
            yield self._pipe, given
        self._pipe = None

    def resize(self, size: tuple[int, int, int, int]) -> None:
        if self._pipe is not None:
            columns, rows, width, height = size
            fcntl.ioctl(self._pipe.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, width, height))

    def _set_modes(self, slave: int) -> None:
        attributes = termios.tcgetattr(slave)
        for opcode, value in self._modes.items():
            if opcode in _MODES:
                at, bit = _MODES[opcode]
                attributes[at] = attributes[at] | bit if value else attributes[at] & ~bit
        termios.tcsetattr(slave, termios.TCSANOW, attributes)


def _signal_number(name: str) -> int | None:
    """The number of a signal as SSH names it: without SIG (RFC 4254, 6.10)."""
    return next((one for one in signal.Signals if one.name == f"SIG{name}"), None)
