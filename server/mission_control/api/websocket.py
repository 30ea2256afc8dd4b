"""`GET /api/mission-control/activity/ws`: the streams over one WebSocket."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection

import anyio
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketDisconnected, WebSocketState

from ..domain.filters import Filter
from ..domain.permissions import may
from ..log import queries
from ..log.event_log import StoredEvent
from ..streams import wire
from ..streams.live_socket import PeerStalled, Socket
from .connections import CUT_SECONDS
from .services import principal_of, services_of
from .websocket_protocol import TEXT_BYTES


async def activity_ws(websocket: WebSocket) -> None:
    """Follow the log: subscribe with a cursor and a filter, receive history and then live events."""
    services, principal = services_of(websocket), principal_of(websocket)
    access = services.control.access
    await websocket.accept()

    def metrics() -> list[object]:
        reach = access.reach(principal)
        return [newest for id, newest in services.metrics().items() if reach is None or id in reach]

    async def recent(wanted: Filter, until: int, task_ids: Collection[str] | None) -> AsyncGenerator[list[StoredEvent]]:
        if wanted.task_id is not None:
            seen = [wanted.task_id]
        else:
            known = services.control.journal.state.tasks
            some = known.values() if task_ids is None else [known[id] for id in task_ids if id in known]
            tasks = [task for task in some if task.status == "running"]
            seen = [task.id for task in tasks if wanted.matches("task.started", task.id, task.desktop_id)]
        async with services.control.log.snapshot() as snapshot:
            for id in seen:
                query = queries.newest_output(id, until)
                yield (await snapshot.events(query.sql, query.parameters))[::-1]

    async def send(data: bytes) -> None:
        await websocket.send({"type": "websocket.send", "text": data.decode()})

    async def send_as_it_is(data: bytes) -> None:
        await websocket.send({"type": "websocket.send", TEXT_BYTES: data})

    socket = Socket(
        services.control.log,
        send_as_it_is if TEXT_BYTES in websocket.scope.get("extensions", ()) else send,
        hello={"version": services.version, "serverId": services.control.log.server_id},
        metrics=metrics,
        is_allowed=lambda: access.is_valid(principal),
        may=lambda permission: access.is_valid(principal) and may(principal.role, permission),
        reach=lambda: access.reach(principal),
        recent=recent,
        frames=services.frames,
    )

    async def receive() -> str | bytes | None:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        return message.get("text") or message.get("bytes") or ""

    code = wire.SIGNED_OUT
    is_gone = False
    try:
        async with anyio.create_task_group() as group:

            async def restart() -> None:
                nonlocal code
                await services.stopping.wait()
                code = wire.RESTARTING
                group.cancel_scope.cancel()

            async def sign_out() -> None:
                await access.ended(principal)
                group.cancel_scope.cancel()

            group.start_soon(restart)
            group.start_soon(sign_out)
            await socket.serve(receive)
            group.cancel_scope.cancel()
    except* PeerStalled:
        code = wire.SLOW
    except* (WebSocketDisconnect, WebSocketDisconnected):  # the second where several were sending
        is_gone = True
    if not is_gone and websocket.client_state is not WebSocketState.DISCONNECTED:
        with anyio.move_on_after(CUT_SECONDS, shield=True):
            try:
                await websocket.close(code)
            except (RuntimeError, WebSocketDisconnect):
                pass
