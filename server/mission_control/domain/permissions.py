"""Who may do what: the one table. Every route of the API names one of these permissions."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal

from .entities import Desktop
from .values import ROLES, Role

Permission = Literal["read", "work", "administer"]

NEEDED: dict[Permission, Role] = {
    "read": "viewer",  # see tasks, output, desktops, the activity
    "work": "operator",  # create, edit, run, cancel, review, retry, archive
    "administer": "admin",  # desktops, keys, settings, removal of output
}


def may(role: Role, permission: Permission) -> bool:
    """Whether a role includes a permission; each role includes those before it."""
    return ROLES.index(role) >= ROLES.index(NEEDED[permission])


Reach = frozenset[str] | None
"""The ids of the desktops that somebody sees and acts on; None is all, now and later."""


def reach_of(labels: Collection[str], desktops: Iterable[Desktop]) -> Reach:
    """What a key that is restricted to labels reaches: desktops that carry one of them now. Without labels, all."""
    if not labels:
        return None
    return frozenset(desktop.id for desktop in desktops if not set(labels).isdisjoint(desktop.labels))
