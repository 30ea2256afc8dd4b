"""A chat endpoint on loopback that does to a client whatever a test says, byte by byte.

It speaks HTTP by hand, so that a test also controls what no server library would do: where a write ends, a head
without a body, a body that breaks off, a connection that is reset or falls silent. Nothing waits for time to pass:
a reply that is to pause names an `anyio.Event`, which the test sets.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal

import anyio
from anyio.abc import SocketAttribute, SocketStream

REQUEST_BYTES_MAX = 16 * 1024 * 1024

DONE = b"data: [DONE]\n\n"

Ending = Literal["end", "cut", "reset", "hold"]
"""end: the body's proper end; cut: closed before it; reset: a TCP reset; hold: stays open until the client goes."""


# --- what chat endpoints say ------------------------------------------------------------------------------------------


def sse(*chunks: object, end: str = "\n\n") -> bytes:
    """Events whose data are these values as JSON."""
    return "".join(f"data: {json.dumps(chunk, ensure_ascii=False)}{end}" for chunk in chunks).encode()


def chunk(content: str | None = None, *, finish: str | None = None, **delta: object) -> dict[str, Any]:
    """A piece of a chat completion: some content, a finish reason, or anything else a delta may hold."""
    if content is not None:
        delta["content"] = content
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "test", "choices": [choice]}


def tool_call(index: int | None, id: str | None = None, name: str | None = None, arguments: str = "") -> dict[str, Any]:
    """A chunk with a fragment of one use of a tool."""
    function = {"arguments": arguments} | ({"name": name} if name else {})
    call: dict[str, object] = {"type": "function", "function": function}
    call |= {} if index is None else {"index": index}
    call |= {"id": id} if id else {}
    return chunk(tool_calls=[call])


def usage(prompt: int, completion: int) -> dict[str, Any]:
    """The last chunk of an endpoint that was asked to include usage."""
    figures = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return {"object": "chat.completion.chunk", "choices": [], "usage": figures}


def answer(text: str) -> bytes:
    """A whole streamed answer, word by word, as an ordinary endpoint gives it."""
    words = [word if at == 0 else f" {word}" for at, word in enumerate(text.split(" "))]
    return sse(chunk(role="assistant"), *map(chunk, words), chunk(finish="stop")) + DONE


# --- the endpoint -----------------------------------------------------------------------------------------------------


class ReceivedRequest:
    """What a client sent. Header names are in lower case."""

    def __init__(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Exchange:
    """One request and the reply that a script gives to it."""

    def __init__(self, stream: SocketStream, request: ReceivedRequest) -> None:
        self.request = request
        self.client_left = anyio.Event()
        self._stream = stream
        self._is_chunked = False

    async def head(self, status: int = 200, headers: Mapping[str, str] | None = None, *, chunked: bool = True) -> None:
        """Send the status line and headers; with `chunked`, `end()` tells the client that the body is whole."""
        self._is_chunked = chunked
        fields = {"content-type": "text/event-stream", "connection": "close"} | dict(headers or {})
        fields |= {"transfer-encoding": "chunked"} if chunked else {}
        lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in fields.items())]
        await self.raw(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def send(self, data: bytes) -> None:
        """Send a piece of the body in one write."""
        if data:
            await self.raw(b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else data)

    async def end(self) -> None:
        """End the body properly."""
        if self._is_chunked:
            await self.raw(b"0\r\n\r\n")
        await self._stream.send_eof()

    async def raw(self, data: bytes) -> None:
        """Send bytes as they are, HTTP or not."""
        await self._stream.send(data)

    async def reset(self) -> None:
        """Break the connection with a TCP reset, as a crashed machine's kernel does."""
        sock: socket.socket = self._stream.extra(SocketAttribute.raw_socket)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await self._stream.aclose()


Script = Callable[[Exchange], Awaitable[None]]


def replies(
    *pieces: bytes | str | anyio.Event,
    status: int = 200,
    content_type: str | None = "text/event-stream",
    headers: Mapping[str, str] | None = None,
    ending: Ending = "end",
) -> Script:
    """A script that sends the pieces, one write each, and waits where an event stands between them."""

    async def script(exchange: Exchange) -> None:
        fields = {"content-type": content_type} if content_type else {}
        await exchange.head(status, fields | dict(headers or {}))
        for piece in pieces:
            if isinstance(piece, anyio.Event):
                await piece.wait()
            else:
                await exchange.send(piece.encode() if isinstance(piece, str) else piece)
        match ending:
            case "end":
                await exchange.end()
            case "reset":
                await exchange.reset()
            case "hold":
                await exchange.client_left.wait()
            case "cut":
                pass

    return script


class ChatEndpoint:
    """A running endpoint. `requests` are those for an answer; probes (`GET`) are counted apart."""

    def __init__(self, port: int, scripts: tuple[Script, ...]) -> None:
        self.url = f"http://127.0.0.1:{port}/v1"
        self.requests: list[ReceivedRequest] = []
        self.is_ready = True  # what probes are told
        self.probe_count = 0
        self.clients_left = 0  # closed the connection before the reply was over
        self._scripts = scripts
        self._changed = anyio.Event()

    async def wait_for_request(self, number: int = 1) -> ReceivedRequest:
        """The n-th request, as soon as it has come."""
        while len(self.requests) < number:
            await self._changed.wait()
        return self.requests[number - 1]

    async def wait_until_a_client_left(self, number: int = 1) -> None:
        """Until so many clients have closed the connection before the end of their reply."""
        while self.clients_left < number:
            await self._changed.wait()

    async def serve(self, stream: SocketStream) -> None:
        """One connection, one request, one reply."""
        async with stream:
            request = await _read_request(stream)
            if request is None:
                return
            exchange = Exchange(stream, request)
            try:
                if request.method == "GET":
                    await self._answer_probe(exchange)
                    return
                script = self._scripts[min(len(self.requests), len(self._scripts) - 1)]
                self.requests.append(request)
                self._notify()
                async with anyio.create_task_group() as group:
                    group.start_soon(self._watch, exchange, stream)
                    await script(exchange)
                    group.cancel_scope.cancel()
            except* (anyio.BrokenResourceError, anyio.ClosedResourceError):
                pass  # the client went; some tests are about that

    async def _answer_probe(self, exchange: Exchange) -> None:
        self.probe_count += 1
        self._notify()
        await exchange.head(200 if self.is_ready else 503, {"content-type": "application/json"})
        await exchange.send(b'{"ok":true,"status":"live","object":"list","data":[{"id":"test"}]}')
        await exchange.end()

    async def _watch(self, exchange: Exchange, stream: SocketStream) -> None:
        try:
            while True:
                await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            self.clients_left += 1
            exchange.client_left.set()
            self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


@asynccontextmanager
async def open_chat_endpoint(*scripts: Script) -> AsyncGenerator[ChatEndpoint]:
    """An endpoint whose n-th answer follows the n-th script; the last one serves all further requests."""
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as group,
    ):
        port: int = listener.extra(SocketAttribute.local_port)
        endpoint = ChatEndpoint(port, scripts or (replies(answer("Done.")),))
        group.start_soon(listener.serve, endpoint.serve)
        yield endpoint
        group.cancel_scope.cancel()


async def _read_request(stream: SocketStream) -> ReceivedRequest | None:
    """A request with its body; None when the client connects and says nothing."""
    data = bytearray()
    while b"\r\n\r\n" not in data:
        try:
            data += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return None
    head, _, body = bytes(data).partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    size = int(headers.get("content-length", "0"))
    assert size <= REQUEST_BYTES_MAX, "no test sends so much"
    while len(body) < size:
        body += await stream.receive()
    return ReceivedRequest(method, path, headers, body)
