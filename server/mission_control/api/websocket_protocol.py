"""uvicorn's WebSocket protocol, which also takes text that is UTF-8 already and sends it as it is.

A frame of events is bytes from the log to the wire and shared by its subscribers. The way of ASGI would decode and
encode it again, and copy it into a frame of its own, for each of them.
"""

from __future__ import annotations

from typing import Any, cast

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode
from websockets.protocol import State

from .connections import CUT_SECONDS, reset

TEXT_BYTES = "mission_control.text_bytes"
"""The key of such text in a `websocket.send` message, and the ASGI extension that says it is understood."""


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """Sends `TEXT_BYTES` in one frame, without a copy; and what is closed here is gone soon, whatever the peer does."""

    async def run_asgi(self) -> None:
        cast(dict[str, Any], self.scope)["extensions"][TEXT_BYTES] = {}
        await super().run_asgi()
        self._cut_soon()

    async def send(self, message: Any) -> None:
        data: bytes | None = message.get(TEXT_BYTES)
        if data is None:
            if message["type"] == "websocket.close":
                self._cut_soon()
            await super().send(message)
            return
        await self.writable.wait()
        if self.disconnected or self.conn.state is not State.OPEN:
            raise ClientDisconnected
        self.transport.writelines((header(len(data)), data))

    def send_receive_event_to_app(self) -> None:
        """Text that is not UTF-8 ends the connection with 1007 (RFC 6455, 8.1): a peer's mistake, not ours to log."""
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames = []
                self.conn.send_close(CloseCode.INVALID_DATA)
                self.handle_parser_exception()
                self._cut_soon()
                return
        super().send_receive_event_to_app()

    def _cut_soon(self) -> None:
        """Neither a peer that does not answer nor one that takes nothing keeps a closed socket open.

        The transport's own `close` would wait until its buffer is empty.
        """
        if not self.disconnected:
            self.loop.call_later(CUT_SECONDS, self._cut)

    def _cut(self) -> None:
        if not self.disconnected:
            reset(self.transport)


def header(size: int) -> bytes:
    """Of a whole text message from a server (RFC 6455, 5.2): FIN, opcode 1, no mask."""
    if size < 126:
        return bytes((0x81, size))
    return b"\x81\x7e" + size.to_bytes(2, "big") if size < 65536 else b"\x81\x7f" + size.to_bytes(8, "big")
