"""When keys and sessions were last used: written now and then, all in one transaction."""

from __future__ import annotations

from collections.abc import Callable

from ..log.event_log import Statement
from .journal import Journal
from .principals import LOCAL

USES_SECONDS = 60  # between two writes


class LastUses:
    """What was used since that was last written."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._unwritten: dict[str, Callable[[str], Statement | None]] = {}
        self._written_us = 0

    def used(self, id: str, stored_by: Callable[[str], Statement | None]) -> None:
        """A key or session was used; `stored_by` says how it stands when that is written."""
        self._unwritten[id] = stored_by
        now_us = self._journal.now_us()
        if not 0 <= now_us - self._written_us < USES_SECONDS * 1_000_000:
            self._written_us = now_us
            self.write()

    def write(self) -> None:
        """Store the last uses. Where the disk refuses, they are written another time."""
        unwritten, self._unwritten = self._unwritten, {}
        beside = [statement for id, stored_by in unwritten.items() if (statement := stored_by(id))]
        self._journal.submit((), LOCAL.actor, beside)
