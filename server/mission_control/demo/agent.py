"""A real OpenAI-compatible chat endpoint on loopback, behind which the demo agent works.

It is a shell behind a port. So every call needs the token, `Host` must be this endpoint's own name (a web page whose
name was made to point here gets nothing), and closing the connection ends the work at once.
"""

from __future__ import annotations

import hmac
import secrets
import socket
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Literal

import anyio
import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from .model import Model, ModelFailed, work
from .shell import Shell
from .skills import Asked, answer
from .voice import Voice

BODY_BYTES_MAX = 4 * 1024 * 1024  # of a request: a prompt and the conversation before it
MODEL_NAME = "demo"


class _Message(msgspec.Struct):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | None = None


class _ChatRequest(msgspec.Struct):
    messages: list[_Message]
    stream: bool = False


class _BadRequest(Exception):
    """A request that cannot be answered: its status, and why."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


def build_agent(shell: Shell, *, token: str, port: int, model: Model | None = None, pace: float = 1.0) -> ASGIApp:
    """The endpoint as an ASGI application. `pace` stretches the time between words (0 = at once)."""

    async def complete(request: Request) -> Response | _Completion:
        try:
            asked = await _read(request)
        except _BadRequest as error:
            return _refusal(error.status, str(error), "invalid_request_error")
        return _Completion(asked, shell, model, pace)

    async def models(request: Request) -> Response:
        entry = {"id": MODEL_NAME, "object": "model", "created": 0, "owned_by": "mission-control"}
        return _json({"object": "list", "data": [entry]})

    async def health(request: Request) -> Response:
        return _json({"ok": True, "status": "live"})

    routes = [
        Route("/v1/chat/completions", complete, methods=["POST"]),
        Route("/v1/models", models),
        Route("/healthz", health),
    ]
    names = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
    return _Door(Starlette(routes=routes), token, names)


@asynccontextmanager
async def open_agent(
    listener: socket.socket, shell: Shell, *, token: str, model: Model | None = None, pace: float = 1.0
) -> AsyncGenerator[None]:
    """Serve on a bound socket while the block is open; leaving it ends every answer and its commands."""
    port: int = listener.getsockname()[1]
    app = build_agent(shell, token=token, port=port, model=model, pace=pace)
    config = uvicorn.Config(
        app, lifespan="off", log_level="critical", access_log=False, server_header=False, timeout_graceful_shutdown=1
    )
    server = _Server(config)
    async with anyio.create_task_group() as group:
        group.start_soon(server.serve, [listener])
        try:
            yield
        finally:
            server.should_exit = True


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Signals belong to the process, which has more than this server to end."""
        yield


class _Door:
    """Lets in who may: the right `Host`, and except for the health check the right token."""

    def __init__(self, app: ASGIApp, token: str, names: set[str]) -> None:
        self._app = app
        self._token = token.encode()
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        hosts = request.headers.getlist("host")
        given = request.headers.get("authorization", "").removeprefix("Bearer ").encode()
        if len(hosts) != 1 or hosts[0] not in self._names:
            refusal = _refusal(403, "This endpoint answers only under its own address.", "forbidden")
        elif request.url.path != "/healthz" and not hmac.compare_digest(given, self._token):
            refusal = _refusal(401, "Unauthorized", "unauthorized")
        else:
            await self._app(scope, receive, send)
            return
        await refusal(scope, receive, send)


async def _read(request: Request) -> _ChatRequest:
    body = bytearray()
    async for data in request.stream():
        body += data
        if len(body) > BODY_BYTES_MAX:
            raise _BadRequest(413, f"The body is larger than {BODY_BYTES_MAX} bytes.")
    try:
        asked = msgspec.json.decode(bytes(body), type=_ChatRequest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _BadRequest(400, f"The body is not a chat request: {error}") from error
    if not any(message.role == "user" and message.content for message in asked.messages):
        raise _BadRequest(400, "There is no user message.")
    return asked


class _Completion:
    """An answer in the making, as the response to its request."""

    def __init__(self, asked: _ChatRequest, shell: Shell, model: Model | None, pace: float) -> None:
        self._asked = asked
        self._shell = shell
        self._model = model
        self._pace = pace
        self._head = {"id": f"chatcmpl-{secrets.token_hex(8)}", "created": int(time.time()), "model": MODEL_NAME}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch, receive, group.cancel_scope)
            await (self._stream(send) if self._asked.stream else self._in_one_piece(scope, receive, send))
            group.cancel_scope.cancel()

    async def _watch(self, receive: Receive, scope: anyio.CancelScope) -> None:
        """A client that leaves ends the work: the command that runs, and the model that thinks."""
        while (await receive())["type"] != "http.disconnect":
            pass
        scope.cancel()

    async def _stream(self, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

        async def write(event: object) -> None:
            data = b"data: " + msgspec.json.encode(event) + b"\n\n"
            await send({"type": "http.response.body", "body": data, "more_body": True})

        async def delta(delta: dict[str, object], finish_reason: str | None = None) -> None:
            choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
            await write({**self._head, "object": "chat.completion.chunk", "choices": [choice]})

        await delta({"role": "assistant"})
        failure = await self._work(delta)
        if failure is None:
            await delta({}, "stop")
            await send({"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": True})
        else:
            await write({"error": {"message": failure, "type": "agent_error"}})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _in_one_piece(self, scope: Scope, receive: Receive, send: Send) -> None:
        words: list[str] = []

        async def delta(delta: dict[str, object]) -> None:
            if "role" not in delta:
                words.append(str(delta.get("content") or ""))

        failure = await self._work(delta)
        if failure is None:
            message = {"role": "assistant", "content": "".join(words)}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            response = _json({**self._head, "object": "chat.completion", "choices": [choice]})
        else:
            response = _refusal(502, failure, "agent_error")
        await response(scope, receive, send)

    async def _work(self, delta: Callable[[dict[str, object]], Awaitable[None]]) -> str | None:
        """Do what was asked; what went wrong, if anything did."""
        voice = Voice(self._shell, delta, self._pace)
        try:
            if self._model is not None:
                conversation = [
                    {"role": message.role, "content": message.content or ""} for message in self._asked.messages
                ]
                await work(voice, self._model, conversation)
            else:
                asked = [
                    message.content for message in self._asked.messages if message.role == "user" and message.content
                ]
                await answer(voice, Asked.of(asked))
        except ModelFailed as error:
            return str(error)
        except OSError as error:
            return f"The demo agent could not run a command: {error}"
        return None


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _refusal(status: int, message: str, type: str) -> Response:
    return _json({"error": {"message": message, "type": type}}, status)
