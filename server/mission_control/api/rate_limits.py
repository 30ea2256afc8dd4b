"""Limits on how often and how much at once: requests of one key or session, wrong keys from one address (both token
buckets), and streams that one key or person holds open."""

from __future__ import annotations

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import NamedTuple

from ..domain.errors import TOO_MANY_STREAMS, Refused

REQUESTS_PER_MINUTE = 6000  # of one key or session
STREAMS_PER_KEY = 500  # sockets and event streams at once: a hall of screens, not a leak
STREAM_RETRY_SECONDS = 5  # after which one may have ended
WRONG_KEYS_PER_MINUTE = 10  # from one address; a right key opens all the same, so nobody can lock others out
HOLDERS_MAX = 10_000  # buckets in memory; the one unused longest gives way, and would be nearly full again anyway
WINDOW_SECONDS = 60


class Taken(NamedTuple):
    """What is left after taking one: `retry_seconds` is 0 when it was granted."""

    remaining: int
    retry_seconds: int
    reset_seconds: int


class RateLimit:
    """So many a minute for each holder, in any rhythm."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # holder → tokens, at

    def take(self, holder: str) -> Taken:
        """Take one, or learn when there will be one."""
        now, rate = self._clock(), self.per_minute / WINDOW_SECONDS
        tokens, at = self._buckets.get(holder, (float(self.per_minute), now))
        tokens = min(self.per_minute, tokens + (now - at) * rate)
        is_granted = tokens >= 1
        tokens -= is_granted
        self._buckets[holder] = tokens, now
        self._buckets.move_to_end(holder)
        while len(self._buckets) > HOLDERS_MAX:
            self._buckets.popitem(last=False)
        retry = 0 if is_granted else math.ceil((1 - tokens) / rate)
        return Taken(int(tokens), retry, math.ceil((self.per_minute - tokens) / rate))

    def fields(self, taken: Taken) -> list[tuple[bytes, bytes]]:
        """The RateLimit fields of draft-ietf-httpapi-ratelimit-headers-10."""
        return [
            (b"ratelimit-policy", b'"default";q=%d;w=%d' % (self.per_minute, WINDOW_SECONDS)),
            (b"ratelimit", b'"default";r=%d;t=%d' % (taken.remaining, taken.reset_seconds)),
        ]


class OpenStreams:
    """So many streams at once for each holder."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: Counter[str] = Counter()

    @contextmanager
    def held(self, holder: str) -> Generator[None]:
        """One more, while this is entered. Raises Refused beyond the limit; 0 is none."""
        if self._most and self._open[holder] >= self._most:
            raise Refused(TOO_MANY_STREAMS, count=self._most, seconds=STREAM_RETRY_SECONDS)
        self._open[holder] += 1
        try:
            yield
        finally:
            self._open[holder] -= 1
            if not self._open[holder]:
                del self._open[holder]
