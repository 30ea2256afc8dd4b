"""Times on the wire and on disk: RFC 3339 in UTC with microseconds and `Z`, so that text sorts as time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(at_us: int) -> str:
    """Microseconds since 1970 as `2026-03-01T12:00:00.000000Z`."""
    seconds, us = divmod(at_us, 1_000_000)
    return f"{_to_the_second(seconds)}.{us:06d}Z"


@lru_cache(64)  # most times are of the present second
def _to_the_second(at: int) -> str:
    return (_EPOCH + timedelta(seconds=at)).isoformat()[:19]


def microseconds(time: str) -> int:
    """The inverse of `rfc3339`; any RFC 3339 time with an offset is understood.

    Raises ValueError for anything else.
    """
    parsed = datetime.fromisoformat(time)
    if parsed.tzinfo is None:
        raise ValueError("a time needs its offset, for example Z")
    return (parsed - _EPOCH) // timedelta(microseconds=1)
