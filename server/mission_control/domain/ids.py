"""Prefixed ids that sort by creation: `task_`, `desk_`, `batch_`, `appr_`, `key_`.

An id is its prefix, 12 characters of microseconds since 1970 and 13 characters of entropy, both in Crockford's
base 32 in lower case, so that ids made later sort later as plain text. Time and entropy are arguments.
"""

from __future__ import annotations

from functools import lru_cache

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford: no i, l, o, u
TIME_CHARACTERS = 12  # 60 bits of microseconds reach the year 38,500
_PAIRS = [a + b for a in ALPHABET for b in ALPHABET]  # 10 bits at a time
ENTROPY_BYTES = 8


def make_id(prefix: str, at_us: int, entropy: bytes) -> str:
    """An id such as `task_01jd…`; `at_us` is microseconds since 1970, `entropy` is 8 random bytes."""
    assert len(entropy) == ENTROPY_BYTES, "an id takes 8 bytes of entropy"
    of, n = _PAIRS, int.from_bytes(entropy, "big")
    low = f"{of[n >> 30 & 1023]}{of[n >> 20 & 1023]}{of[n >> 10 & 1023]}{of[n & 1023]}"
    return f"{first_id(prefix, at_us)}{ALPHABET[n >> 60]}{of[n >> 50 & 1023]}{of[n >> 40 & 1023]}{low}"


def first_id(prefix: str, at_us: int) -> str:
    """A bound for ids by time: it sorts before every id that was made at `at_us` or later, and behind all others."""
    return f"{prefix}_{_of_time(at_us >> 20)}{_PAIRS[at_us >> 10 & 1023]}{_PAIRS[at_us & 1023]}"


@lru_cache(64)  # most ids are of the present second
def _of_time(high: int) -> str:
    return "".join([_PAIRS[high >> 5 * place & 1023] for place in range(TIME_CHARACTERS - 6, -1, -2)])
