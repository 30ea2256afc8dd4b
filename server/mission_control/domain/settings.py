"""What people change at run time."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from .entities import Settings
from .events import Event, SettingsUpdated
from .values import Value


class SettingsEdit(Value, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Changes; absent fields stay."""

    task_approval_mode: bool | UnsetType = UNSET


def edit(settings: Settings, changes: SettingsEdit) -> list[Event]:
    """Change settings; nothing when nothing differs."""
    given = {name: value for name in changes.__struct_fields__ if (value := getattr(changes, name)) is not UNSET}
    changed = msgspec.structs.replace(settings, **given)
    return [] if changed == settings else [SettingsUpdated(**msgspec.structs.asdict(changed))]
