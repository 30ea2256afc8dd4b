"""The log's head, kept elsewhere: whoever rewrites history on the disk cannot rewrite what was noted outside.

The chain's digest at a position stands for everything up to it. `log verify --head` compares a log with noted heads.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from ..domain.times import rfc3339
from ..domain.values import Time, Value
from .sqlite import Snapshot

HEADS_MAX = 1_000_000  # of a file that is compared
LINE_CHARACTERS_MAX = 10_000


class Head(Value, frozen=True, kw_only=True):
    """The newest event of a log: its position, its time, and the chain's digest in hexadecimal."""

    seq: int
    at: Time | None
    chain: str
    log_id: str


class BadHeads(Exception):
    """A file is not one of noted heads; the message names the line."""


class NotedHead(NamedTuple):
    """A head with the line that it was noted on."""

    line: int
    head: Head


async def head_of(snapshot: Snapshot, log_id: str) -> Head:
    """The head of a log at one moment; of an empty one, position 0 and the chain's beginning."""
    row = await snapshot.row("select seq, at, lower(hex(chain)) from events order by seq desc limit 1")
    if row is None:
        return Head(seq=0, at=None, chain="00" * 32, log_id=log_id)
    return Head(seq=row[0], at=rfc3339(row[1]), chain=row[2], log_id=log_id)


def read_heads(lines: Iterable[str]) -> list[NotedHead]:
    """The heads of a file with one JSON object a line; empty lines are passed over. Raises BadHeads."""
    found: list[NotedHead] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if len(found) >= HEADS_MAX or len(line) > LINE_CHARACTERS_MAX:
            raise BadHeads(f"line {number} is more than can be compared at once")
        try:
            head = msgspec.json.decode(line, type=Head)
        except msgspec.DecodeError as error:
            raise BadHeads(f"line {number} is not a head of a log: {error}") from None
        found.append(NotedHead(number, head))
    return found
