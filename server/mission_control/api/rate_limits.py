"""Limits on how often: requests of one key or session, and wrong keys from one address. Both are token buckets."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

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

    def fields(self, taken: Taken) -> dict[str, str]:
        """The RateLimit fields of draft-ietf-httpapi-ratelimit-headers-10."""
        return {
            "ratelimit-policy": f'"default";q={self.per_minute};w={WINDOW_SECONDS}',
            "ratelimit": f'"default";r={taken.remaining};t={taken.reset_seconds}',
        }
