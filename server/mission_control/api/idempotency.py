"""Idempotency-Key: the same request sent twice is carried out once, and answered twice in the same words.

An answer is kept for 24 hours for each principal, path and key. It is stored in the transaction of the events that it
reports: after a crash either both are there or neither. A request that failed is not remembered, it may be sent again.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ..domain.errors import IDEMPOTENCY_IN_PROGRESS, IDEMPOTENCY_KEY_REUSED, Refused, invalid
from ..log.event_log import Statement
from .services import header_of, principal_of, services_of

KEPT_US = 24 * 3600 * 1_000_000  # a trigger of the schema deletes what is older
KEY_CHARACTERS_MAX = 255
REPLAYED = "Idempotent-Replayed"

T = TypeVar("T")


class Once:
    """One request that is to be carried out once."""

    def __init__(self, principal: str, path: str, key: str, body_sha256: bytes) -> None:
        self.identity = (principal, path, key)
        self.body_sha256 = body_sha256
        self.is_remembered = False

    def statement(self, response: Response) -> Statement:
        """What remembers an answer."""
        self.is_remembered = True
        headers = {
            name: value for name, value in response.headers.items() if name not in ("content-length", "content-type")
        }
        row = (
            *self.identity,
            self.body_sha256,
            response.status_code,
            msgspec.json.encode(headers).decode(),
            bytes(response.body),
            _now_us(),
        )
        return Statement("insert or replace into idempotency values (?, ?, ?, ?, ?, ?, ?, ?)", row)


def _now_us() -> int:
    return time.time_ns() // 1000


class Idempotency:
    """Which keyed requests are under way in this process."""

    def __init__(self) -> None:
        self._under_way: set[tuple[str, str, str]] = set()

    def begin(self, request: Request, body: bytes) -> Once | None:
        """Take the request's key, if it has one; `end` gives it back. Raises Refused while it is under way."""
        key = header_of(request, b"idempotency-key")
        if key is None:
            return None
        if not 1 <= len(key) <= KEY_CHARACTERS_MAX or not (key.isascii() and key.isprintable()):
            raise invalid("/Idempotency-Key", f"must have 1 to {KEY_CHARACTERS_MAX} printable ASCII characters")
        query = request.url.query.encode()
        digest = hashlib.sha256(len(query).to_bytes(8, "big") + query + body).digest()
        once = Once(principal_of(request).id, request.scope["path"], key, digest)
        if once.identity in self._under_way:
            raise Refused(IDEMPOTENCY_IN_PROGRESS)
        self._under_way.add(once.identity)
        return once

    def end(self, once: Once) -> None:
        """The request is over, however it ended."""
        self._under_way.discard(once.identity)

    async def earlier(self, request: Request, once: Once) -> Response | None:
        """The answer that was given to the same request before. Raises Refused when its body was another."""
        async with services_of(request).control.log.snapshot() as snapshot:
            row = await snapshot.row(
                "select body_sha256, status, headers, response from idempotency"
                " where principal = ? and path = ? and key = ? and at > ?",
                (*once.identity, _now_us() - KEPT_US),
            )
        if row is None:
            return None
        body_sha256, status, headers, body = row
        if body_sha256 != once.body_sha256:
            raise Refused(IDEMPOTENCY_KEY_REUSED)
        told = msgspec.json.decode(headers, type=dict[str, str]) | {REPLAYED: "true"}
        return Response(body, status, told, media_type="application/json")


def remembering(request: Request, respond: Callable[[T], Response]) -> Callable[[T], Statement] | None:
    """What control is to store beside the events: the answer that `respond` makes of the result."""
    once: Once | None = request.scope["state"].get("once")
    if once is None:
        return None
    return lambda result: once.statement(respond(result))
