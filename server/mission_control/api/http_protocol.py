"""uvicorn's HTTP protocol with bounds on what is not a request yet: how long it may take, and how large it may be.

A peer that sends a byte now and then would hold a connection for ever, and a header without end would fill the memory;
neither has reached the application, which bounds the rest.

An answer that is whole leaves in one piece: each write is a call of the system, and wakes the peer.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import (
    HEADER_VALUE_RE,
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from .connections import CUT, reset

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent, HTTPResponseStartEvent

HEAD_SECONDS = 10.0  # for the request line and all header fields
REST_SECONDS = 10.0  # for a body that nobody reads, behind an answer that was given already
HEAD_BYTES_MAX = 64 * 1024
URL_BYTES_MAX = 16 * 1024


class _Cycle(RequestResponseCycle):
    """uvicorn's request and answer, which it makes itself; an answer whose body comes as one piece is one write."""

    _head: HTTPResponseStartEvent | None = None

    async def send(self, message: ASGISendEvent) -> None:
        if message["type"] == "http.response.start" and self._head is None and not self.response_started:
            self._head = message  # ASGI: nothing leaves before the first piece of the body
            return
        head, self._head = self._head, None
        if head is not None:
            if self._send_whole(head, message):
                return
            await super().send(head)
        await super().send(message)

    def _send_whole(self, head: HTTPResponseStartEvent, message: ASGISendEvent) -> bool:
        """Send a whole answer, unless it is of a kind that uvicorn knows more about."""
        fields, body = [*self.default_headers, *head.get("headers", ())], message.get("body", b"")
        named = dict(fields)
        if (
            message.get("more_body")
            or named.get(b"content-length") != b"%d" % len(body)
            or not named.keys().isdisjoint((b"connection", b"transfer-encoding"))
            or not self.keep_alive
            or self.disconnected
            or self.flow.write_paused
            or self.scope["method"] == "HEAD"
        ):
            return False
        lines = [b"%b: %b\r\n" % field for field in fields]
        if HEADER_VALUE_RE.search(b"".join([value for _, value in fields])):
            raise RuntimeError("Invalid HTTP header value.")
        self.transport.write(b"".join((STATUS_LINE[head["status"]], *lines, b"\r\n", body)))
        self.waiting_for_100_continue = False
        self.response_started = self.response_complete = True
        self.message_event.set()
        self.on_response()
        return True


class HttpProtocol(HttpToolsProtocol):
    """Ends connections whose request does not come, and lets the application cut its own."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._due: float | None = None  # when what is missing must be there, by the loop's clock
        self._timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0  # of a request whose header fields are not complete
        self._is_whole = True  # nothing of a request is missing

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._extensions = {CUT: partial(reset, transport)}
        self._within(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._within(None)
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
            self._refuse(b"431 Request Header Fields Too Large")

    def handle_websocket_upgrade(self) -> None:
        self._within(None)
        super().handle_websocket_upgrade()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast(dict[str, Any], self.scope)["extensions"] = self._extensions
        self._is_whole = False
        self._within(HEAD_SECONDS)

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > URL_BYTES_MAX:
            self._refuse(b"414 URI Too Long")
            raise ValueError("the address is too long")  # ends the parsing

    def on_headers_complete(self) -> None:
        self._within(None)
        self._head_bytes = 0
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:  # else it becomes a WebSocket
            self.cycle.__class__ = _Cycle

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0  # that is the application's to bound
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._is_whole = True
        self._head_bytes = 0
        self._within(None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._is_whole:
            self._within(REST_SECONDS)

    def send_400_response(self, msg: str) -> None:
        if not self.transport.is_closing():
            super().send_400_response(msg)

    def _within(self, seconds: float | None) -> None:
        """Cut the connection unless what is missing comes in time. There is one timer, which looks when it is due."""
        self._due = None if seconds is None else self.loop.time() + seconds
        if self._due is not None and self._timer is None:
            self._timer = self.loop.call_at(self._due, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._due is None:
            return
        if self.loop.time() < self._due:
            self._timer = self.loop.call_at(self._due, self._look)
        else:
            reset(self.transport)

    def _refuse(self, status: bytes) -> None:
        self.transport.write(b"HTTP/1.1 %s\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % status)
        self.transport.close()
