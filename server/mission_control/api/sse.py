"""Server-Sent Events: the activity, and what happens to desktops. `id:` is the seq, so a reader resumes exactly."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..control.principals import Principal
from ..domain.entities import Desktop
from ..domain.errors import invalid
from ..domain.filters import Filter, types_of
from ..log.event_log import StoredEvent
from ..streams.cursor import follow
from .connections import CUT_SECONDS, Ended, cut
from .services import Services, principal_of, reach_of, sees_addresses, services_of

COMMENT_SECONDS = 15.0  # keeps proxies from closing a quiet stream
STALL_SECONDS = 60.0  # a reader that takes nothing for so long is cut; it comes back with its Last-Event-ID

_encode = msgspec.json.Encoder().encode


class EventStream(Response):
    """Sends what a generator yields, with a comment in silence, until the reader or the server leaves."""

    media_type = "text/event-stream"

    def __init__(self, services: Services, chunks: AsyncGenerator[bytes, None], principal: Principal) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._services = services
        self._chunks = chunks
        self._principal = principal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        sending = anyio.Lock()
        quiet_since = anyio.current_time()

        async def write(data: bytes, more: bool = True) -> None:
            nonlocal quiet_since
            async with sending:
                with anyio.fail_after(STALL_SECONDS):
                    await send({"type": "http.response.body", "body": data, "more_body": more})
                quiet_since = anyio.current_time()

        try:
            async with anyio.create_task_group() as group:

                async def leave_with_reader() -> None:
                    while (await receive())["type"] != "http.disconnect":
                        pass
                    group.cancel_scope.cancel()

                async def leave_with_server() -> None:
                    await self._services.stopping.wait()
                    group.cancel_scope.cancel()

                async def leave_with_key() -> None:
                    await self._services.control.access.ended(self._principal)
                    group.cancel_scope.cancel()

                async def break_silence() -> None:
                    while True:
                        await anyio.sleep(max(quiet_since + COMMENT_SECONDS - anyio.current_time(), 0.1))
                        if anyio.current_time() - quiet_since >= COMMENT_SECONDS:
                            await write(b":\n\n")

                for watch in (leave_with_reader, leave_with_server, leave_with_key, break_silence):
                    group.start_soon(watch)
                await write(b": connected\n\n")
                async with aclosing(self._chunks) as chunks:
                    async for chunk in chunks:
                        await write(chunk)
        except* (TimeoutError, Ended):
            pass  # it takes nothing, or may no longer: cut, which is no fault of ours
        with anyio.move_on_after(CUT_SECONDS, shield=True) as farewell:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        if farewell.cancelled_caught:
            await cut(scope, receive)


async def activity_stream(request: Request) -> Response:
    """Follow the log: each message is an envelope with type and payload; `Last-Event-ID` or `after` resumes."""
    wanted = Filter(
        types=_types(request),
        task_id=request.query_params.get("taskId"),
        desktop_id=request.query_params.get("desktopId"),
        reach=reach_of(request),
        without_addresses=not sees_addresses(request),
    )
    after = _after(request, services_of(request))
    return _stream(request, _messages(request, after, wanted))


async def desktops_stream(request: Request) -> Response:
    """Follow the desktops: `desktop.status`, `desktop.agentReady`, and `desktop.metrics` as they are measured."""
    wanted = Filter(types=types_of(["desktop.*"]), reach=reach_of(request))
    return _stream(request, _desktop_messages(request, _after(request, services_of(request)), wanted))


def _stream(request: Request, chunks: AsyncGenerator[bytes, None]) -> EventStream:
    return EventStream(services_of(request), chunks, principal_of(request))


def _types(request: Request) -> frozenset[str] | None:
    text = request.query_params.get("types")
    if not text:
        return None
    try:
        return types_of([name.strip() for name in text.split(",")])
    except ValueError as error:
        raise invalid("/types", str(error)) from None


def _after(request: Request, services: Services) -> int | None:
    """The position to go on from: a reconnecting reader's own, else the query's, else now. None asks to reset."""
    text = request.headers.get("last-event-id") or request.query_params.get("after")
    head = services.control.log.head
    if text is None:
        return head
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise invalid("/after", "is not a position such as 1041")
    return int(text) if int(text) <= head else None


async def _pages(
    request: Request, after: int | None, wanted: Filter
) -> AsyncGenerator[tuple[bytes, list[StoredEvent]]]:
    """What to say first, then the events as they come."""
    log = services_of(request).control.log
    while True:
        opening = b""
        if after is None:  # a position of another log, or of the future: say so, and go on from now
            after = log.head
            opening = b"event: reset\ndata: %s\n\n" % _encode({"logId": log.log_id, "head": after})
        yield opening, []
        async with aclosing(follow(log, after, wanted)) as steps:
            async for events, _, _ in steps:
                reach = reach_of(request)
                if reach != wanted.reach:  # what was shown may be out of sight now: read anew
                    after, wanted = None, msgspec.structs.replace(wanted, reach=reach)
                    break
                yield b"", events


async def _messages(request: Request, after: int | None, wanted: Filter) -> AsyncGenerator[bytes, None]:
    async for opening, events in _pages(request, after, wanted):
        if data := opening + b"".join(b"id: %d\ndata: %s\n\n" % (event.seq, event.envelope()) for event in events):
            yield data


async def _desktop_messages(request: Request, after: int | None, wanted: Filter) -> AsyncGenerator[bytes, None]:
    services = services_of(request)
    async for opening, events in _pages(request, after, wanted):
        if data := opening + b"".join(_desktop_message(services, event) for event in events):
            yield data


class _StatusPayload(msgspec.Struct, rename="camel"):
    id: str
    name: str
    status: str
    ip_address: str | None
    cpu: float | None
    memory: float | None
    agent_ready: bool


def _desktop_message(services: Services, event: StoredEvent) -> bytes:
    """The documented shape: `desktop.status` for whatever changed it, with the desktop as the event left it."""
    said: dict[str, object] = msgspec.json.decode(event.body) if event.body else {}
    desktop: Desktop | None = services.control.journal.state.desktops.get(event.desktop_id or "")
    metrics = services.metrics().get(event.desktop_id or "")
    payload = _StatusPayload(
        id=event.desktop_id or "",
        name=str(said.get("name", "")),
        status=str(said.get("status", "")),
        ip_address=desktop.ip_address if desktop else None,
        cpu=metrics.cpu if metrics else None,
        memory=metrics.memory if metrics else None,
        agent_ready=bool(said.get("agentReady", desktop.agent_ready if desktop else False)),
    )
    type = "desktop.agentReady" if event.type == "desktop.agentReady" else "desktop.status"
    return b"id: %d\ndata: %s\n\n" % (event.seq, _encode({"type": type, "payload": payload}))
