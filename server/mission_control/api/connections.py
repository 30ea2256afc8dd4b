"""Cutting a connection: at once, whatever still waits to be sent on it.

Closing one waits until the peer has taken what was sent, which one that takes nothing never does.
"""

from __future__ import annotations

import asyncio
import socket
import struct

import anyio
from starlette.types import Receive, Scope
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

CUT = "mission_control.cut"
"""The ASGI extension that holds the function which cuts a request's connection."""
CUT_SECONDS = 0.5  # for which a connection that is being closed may still take what it is told

_NO_LINGER = struct.pack("ii", 1, 0)


class Ended(Exception):
    """What opened the door does so no more, while an answer was being sent."""


def reset(transport: asyncio.Transport) -> None:
    """Cut a connection, and have the system drop what it holds for the peer."""
    found: socket.socket | None = transport.get_extra_info("socket")
    if found is not None and found.family != socket.AF_UNIX:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()


def whole_body(receive: Receive) -> bytes | None:
    """The body of a request, when all of it has come already; by uvicorn's own way to receive, which knows that."""
    cycle = getattr(receive, "__self__", None)
    return bytes(cycle.body) if isinstance(cycle, RequestResponseCycle) and not cycle.more_body else None


async def cut(scope: Scope, receive: Receive) -> None:
    """Cut the connection of a request, and return when it is gone."""
    if cut := scope.get("extensions", {}).get(CUT):
        cut()
        with anyio.move_on_after(CUT_SECONDS):
            while (await receive())["type"] != "http.disconnect":
                pass
