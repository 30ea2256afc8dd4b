"""Which events a reader wants. Pure: matching decides the same for history and for live events."""

from __future__ import annotations

from .events import EVENTS
from .permissions import Reach
from .values import Value

BULK_TYPES = frozenset(("task.output", "task.progress", "task.response"))
"""What runs produce in bulk; readers that do not want it are served by an index that leaves it out."""

PATTERNS = ("*", *sorted({f"{name.partition('.')[0]}.*" for name in EVENTS}))


OF_EVERYBODY = frozenset(("settings.updated",))
"""Events without a desktop that a reader sees although it reaches only some desktops."""


class Filter(Value, frozen=True, kw_only=True):
    """Types (None = all), and optionally one task or one desktop; `reach` are the desktops that the reader sees, and
    `without_addresses` says that it does not see where people were."""

    types: frozenset[str] | None = None
    task_id: str | None = None
    desktop_id: str | None = None
    reach: Reach = None
    without_addresses: bool = False

    def matches(self, type: str, task_id: str | None, desktop_id: str | None) -> bool:
        return (
            (self.types is None or type in self.types)
            and (self.task_id is None or self.task_id == task_id)
            and (self.desktop_id is None or self.desktop_id == desktop_id)
            and (self.reach is None or desktop_id in self.reach or type in OF_EVERYBODY)
        )

    @property
    def wants_bulk(self) -> bool:
        return self.types is None or not self.types.isdisjoint(BULK_TYPES)


def types_of(patterns: list[str], *, bulk: bool = True) -> frozenset[str]:
    """The event types that exact names and `prefix.*` patterns mean; without `bulk`, patterns leave bulk types out.

    Raises ValueError, with a sentence, for a pattern that matches no event type.
    """
    types: set[str] = set()
    for pattern in patterns:
        if pattern in EVENTS:
            types.add(pattern)
            continue
        if pattern not in PATTERNS:
            raise ValueError(f"{pattern[:100]!r} names no event type; examples are task.completed, task.*, desktop.*")
        found = {name for name in EVENTS if pattern == "*" or name.startswith(pattern[:-1])}
        types |= found if bulk else found - BULK_TYPES
    return frozenset(types)
