"""Prefixed ids that sort by creation: `task_`, `desk_`, `batch_`, `appr_`, `key_`.

An id is its prefix, 12 characters of microseconds since 1970 and 13 characters of entropy, both in Crockford's
base 32 in lower case, so that ids made later sort later as plain text. Time and entropy are arguments.
"""

from __future__ import annotations

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford: no i, l, o, u
TIME_CHARACTERS = 12  # 60 bits of microseconds reach the year 38,500
_PAIRS = [a + b for a in ALPHABET for b in ALPHABET]  # 10 bits at a time
ENTROPY_BYTES = 8


def _base32(number: int, characters: int) -> str:
    last = characters + characters % 2 - 2
    return "".join([_PAIRS[number >> 5 * place & 1023] for place in range(last, -1, -2)])[-characters:]


def make_id(prefix: str, at_us: int, entropy: bytes) -> str:
    """An id such as `task_01jd…`; `at_us` is microseconds since 1970, `entropy` is 8 random bytes."""
    assert len(entropy) == ENTROPY_BYTES, "an id takes 8 bytes of entropy"
    return f"{first_id(prefix, at_us)}{_base32(int.from_bytes(entropy, 'big'), 13)}"


def first_id(prefix: str, at_us: int) -> str:
    """A bound for ids by time: it sorts before every id that was made at `at_us` or later, and behind all others."""
    return f"{prefix}_{_base32(at_us, TIME_CHARACTERS)}"
