"""uvicorn's HTTP protocol with bounds on what is not a request yet: how long it may take, and how large it may be.

A peer that sends a byte now and then would hold a connection for ever, and a header without end would fill the memory;
neither has reached the application, which bounds the rest.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .connections import CUT, reset

HEAD_SECONDS = 10.0  # for the request line and all header fields
REST_SECONDS = 10.0  # for a body that nobody reads, behind an answer that was given already
HEAD_BYTES_MAX = 64 * 1024
URL_BYTES_MAX = 16 * 1024


class HttpProtocol(HttpToolsProtocol):
    """Ends connections whose request does not come, and lets the application cut its own."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._deadline: asyncio.TimerHandle | None = None
        self._head_bytes = 0  # of a request whose header fields are not complete
        self._is_whole = True  # nothing of a request is missing

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._within(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._within(None)
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
        cast(dict[str, Any], self.scope)["extensions"] = {CUT: partial(reset, self.transport)}
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
        super().on_headers_complete()

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
        """Cut the connection unless what is missing comes in time."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, reset, self.transport)

    def _refuse(self, status: bytes) -> None:
        self.transport.write(b"HTTP/1.1 %s\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % status)
        self.transport.close()
