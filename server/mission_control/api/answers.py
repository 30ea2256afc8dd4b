"""How answers look: JSON, the position that a reading answer shows, and the link to the rest of a list."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..log.event_log import StoredEvent
from ..log.sqlite import Snapshot
from .services import sees_addresses, services_of

_encode = msgspec.json.Encoder().encode


def answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A value as JSON."""
    return raw_answer(_encode(value), status, headers)


def raw_answer(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON that is encoded already."""
    return Response(body, status, headers, media_type="application/json")


def events_answer(connection: HTTPConnection, events: Iterable[StoredEvent], headers: Mapping[str, str]) -> Response:
    """Events as a list, as far as who asks sees them."""
    if not sees_addresses(connection):
        events = [event.without_addresses() for event in events]
    return raw_answer(b"[%s]" % b",".join(event.envelope() for event in events), headers=headers)


def no_content() -> Response:
    """Done, and nothing to show."""
    return Response(status_code=204)


class Shown:
    """One moment that an answer shows: reads of it, and the headers that name it."""

    def __init__(self, snapshot: Snapshot, log_id: str) -> None:
        self._log_id = log_id
        self.snapshot = snapshot
        self.seq = snapshot.seq

    def headers(self, *, total: int | None = None, next_url: str | None = None) -> dict[str, str]:
        """`Mission-Control-Seq` and `-Log`: subscribe after them. For lists also how many there are, and the rest."""
        headers = {"Mission-Control-Seq": str(self.seq), "Mission-Control-Log": self._log_id}
        if total is not None:
            headers["Mission-Control-Total"] = str(total)
        if next_url is not None:
            headers["Link"] = f'<{next_url}>; rel="next"'
        return headers


@asynccontextmanager
async def shown(connection: HTTPConnection) -> AsyncGenerator[Shown]:
    """One moment of the log and what follows from it.

    What was committed but is not published yet may be in it; it is published before the answer leaves, so that the
    position is never beyond the head that streams know.
    """
    log = services_of(connection).control.log
    async with log.snapshot() as snapshot:
        yield Shown(snapshot, log.log_id)
    await log.wait_beyond(snapshot.seq - 1)


def next_url(connection: HTTPConnection, **changes: Any) -> str:
    """The address of the rest of this list: the same one with other parameters."""
    query = connection.url.include_query_params(**changes).query
    return f"{quote(connection.scope['path'])}?{query}"


FIELDS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cache-control": "no-store",
}
"""Of every answer that does not say otherwise: browsers take it for what it says it is, and run nothing in it. Nobody
may keep it: it is a moment, and it is private."""


_FIELDS = [(name.encode(), value.encode()) for name, value in FIELDS.items()]


async def send_answer(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Send an answer or an error, with the header fields of every answer and those that the door adds."""
    state = scope["state"]
    state["has_begun"] = True
    there = {name for name, _ in response.raw_headers}
    response.raw_headers += [field for field in (*state["fields"], *_FIELDS) if field[0] not in there]
    await response(scope, receive, send)
