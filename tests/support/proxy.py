"""A TCP proxy that stands between two real programs and does to their connection what networks do.

    async with open_proxy("127.0.0.1", port) as proxy:
        ...                      # connect to proxy.port
        proxy.black_hole()       # packets vanish, both ways; nobody is told
        proxy.reset()            # every connection ends with RST, now
        proxy.heal()             # bytes flow again (those that vanished are gone)

A fault holds for open connections and for new ones, until `heal()`. `black_hole(to_server=False)` loses only what comes
back: a half-open link. A SYN is never lost: a black-holed proxy still accepts connections, and then is silent.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import anyio
from anyio.abc import SocketAttribute, SocketStream

Direction = Literal["to_server", "to_client"]
Carried: TypeAlias = tuple[SocketStream, SocketStream, anyio.CancelScope]

READ_BYTES = 64 * 1024


@dataclass
class Proxy:
    """The faults of one proxied address. Its methods take effect at once and do not wait."""

    host: str
    port: int
    server_host: str
    server_port: int
    connection_count: int = 0
    forwarded_bytes: dict[Direction, int] = field(default_factory=lambda: {"to_server": 0, "to_client": 0})
    lost_bytes: dict[Direction, int] = field(default_factory=lambda: {"to_server": 0, "to_client": 0})
    _lossy: set[Direction] = field(default_factory=set[Direction])
    _stalled: set[Direction] = field(default_factory=set[Direction])
    _bytes_per_s: float | None = None
    _refusing: bool = False
    _open: list[Carried] = field(default_factory=list["Carried"])
    _changed: anyio.Event = field(default_factory=anyio.Event)

    @property
    def open_count(self) -> int:
        """Connections that are open now."""
        return len(self._open)

    def black_hole(self, *, to_server: bool = True, to_client: bool = True) -> None:
        """Read and throw away; neither end learns that the other one has gone."""
        self._lossy = _directions(to_server, to_client)
        self._change()

    def stall(self, *, to_server: bool = True, to_client: bool = True) -> None:
        """Stop reading: buffers fill and the sender has to wait. Nothing is lost; `heal` lets it flow."""
        self._stalled = _directions(to_server, to_client)
        self._change()

    def slow(self, bytes_per_s: float) -> None:
        """Forward at most this much a second in each direction of each connection."""
        self._bytes_per_s = bytes_per_s
        self._change()

    def refuse(self) -> None:
        """End every new connection at once with RST, as if nothing listened behind it. Open ones go on."""
        self._refusing = True

    def reset(self) -> None:
        """End every open connection with RST, in both directions. New ones are served."""
        for client, server, scope in list(self._open):
            _abort(client)
            _abort(server)
            scope.cancel()

    def heal(self) -> None:
        """Forward everything again, at full speed."""
        self._lossy, self._stalled, self._bytes_per_s, self._refusing = set(), set(), None, False
        self._change()

    async def wait_connected(self, count: int = 1) -> None:
        """Wait until so many connections have been made since the start."""
        while self.connection_count < count:
            await self._changed.wait()

    async def serve(self, client: SocketStream) -> None:
        """Carry one connection to its end."""
        async with client:
            if self._refusing:
                _abort(client)
                return
            try:
                server = await anyio.connect_tcp(self.server_host, self.server_port)
            except OSError:
                _abort(client)
                return
            async with server:
                with anyio.CancelScope() as scope:
                    carried = (client, server, scope)
                    self._open.append(carried)
                    self.connection_count += 1
                    self._change()
                    try:
                        async with anyio.create_task_group() as group:
                            group.start_soon(self._carry, client, server, "to_server", scope)
                            group.start_soon(self._carry, server, client, "to_client", scope)
                    finally:
                        self._open.remove(carried)
                        self._change()

    async def _carry(
        self, source: SocketStream, sink: SocketStream, direction: Direction, connection: anyio.CancelScope
    ) -> None:
        try:
            while True:
                await self._until(lambda: direction not in self._stalled)
                data = await source.receive(READ_BYTES)
                await self._until(lambda: direction not in self._stalled)
                if direction in self._lossy:
                    self.lost_bytes[direction] += len(data)
                    continue
                while data:
                    part = await self._next_part(data)
                    await sink.send(part)
                    self.forwarded_bytes[direction] += len(part)
                    data = data[len(part) :]
        except anyio.EndOfStream:
            await self._until(lambda: direction not in self._lossy)  # a lost FIN is not seen either
            try:
                await sink.send_eof()
            except (OSError, RuntimeError, anyio.BrokenResourceError, anyio.ClosedResourceError):
                connection.cancel()  # it has closed meanwhile (RuntimeError: uvloop's word for it)
        except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            await self._until(lambda: direction not in self._lossy)
            _abort(sink)
            connection.cancel()

    async def _next_part(self, data: bytes) -> bytes:
        """What may be sent now: everything, or on a slow link a little, once its time has come."""
        if self._bytes_per_s is None:
            return data
        part = data[: max(1, int(self._bytes_per_s / 20))]
        with anyio.move_on_after(len(part) / self._bytes_per_s):
            await self._until(lambda: self._bytes_per_s is None)
        return part

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            await self._changed.wait()

    def _change(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


@asynccontextmanager
async def open_proxy(server_host: str, server_port: int) -> AsyncGenerator[Proxy]:
    """Listen on a free loopback port and forward to the given address; leaving ends every connection."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    proxy = Proxy("127.0.0.1", listener.extra(SocketAttribute.local_port), server_host, server_port)
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, proxy.serve, group)
        yield proxy
        group.cancel_scope.cancel()


def _directions(to_server: bool, to_client: bool) -> set[Direction]:
    directions: set[Direction] = set()
    if to_server:
        directions.add("to_server")
    if to_client:
        directions.add("to_client")
    return directions


def _abort(stream: SocketStream) -> None:
    """Make the close of this socket send RST instead of FIN, and close it."""
    raw = stream.extra(SocketAttribute.raw_socket)
    with suppress(OSError):  # it is closed already
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
