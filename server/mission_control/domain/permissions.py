"""Who may do what: the one table. Every route of the API names one of these permissions."""

from __future__ import annotations

from typing import Literal

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
