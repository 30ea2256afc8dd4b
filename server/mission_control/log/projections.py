"""From objects to rows: what is written beside the events, in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ..domain.entities import Approval, Desktop, Key, KnownHost, Secret, Settings, Task
from .event_log import Row, RunRow

_encode = msgspec.json.Encoder().encode

TASK = """
insert into tasks values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (id) do update set
    status = excluded.status, desktop_id = excluded.desktop_id, ended_at = excluded.ended_at,
    archived = excluded.archived, doc = excluded.doc
"""
RUN = """
insert into runs values (?, ?, ?, ?) on conflict (task_id) do update set
    bytes = excluded.bytes, lines = excluded.lines, doc = excluded.doc
"""
APPROVAL = """
insert into approvals values (?, ?, ?, ?) on conflict (id) do update set status = excluded.status, doc = excluded.doc
"""
DESKTOP = """
insert into desktops values (?, ?, ?) on conflict (id) do update set removed = excluded.removed, doc = excluded.doc
"""
KEY = "insert into keys values (?, ?) on conflict (id) do update set doc = excluded.doc"
NAMED = "insert into named_secrets values (?, ?) on conflict (name) do update set doc = excluded.doc"
KNOWN_HOST = "insert into known_hosts values (?, ?) on conflict (id) do update set doc = excluded.doc"
SETTINGS = "insert into settings values (1, ?) on conflict (id) do update set doc = excluded.doc"


def _row(row: Row) -> tuple[str, str, tuple[object, ...]]:
    """The statement, the identity and the values of one row."""
    doc = _encode(row.position if isinstance(row, RunRow) else row)
    match row:
        case Task():
            values = (row.id, row.status, row.type, row.desktop_id, row.batch_id, row.completed_at, row.archived, doc)
            return TASK, row.id, values
        case RunRow():
            return RUN, row.task_id, (row.task_id, row.position.position, row.position.lines, doc)
        case Approval():
            return APPROVAL, row.id, (row.id, row.task_id, row.status, doc)
        case Desktop():
            return DESKTOP, row.id, (row.id, row.removed_at is not None, doc)
        case Key():
            return KEY, row.id, (row.id, doc)
        case Secret():
            return NAMED, row.name, (row.name, doc)
        case KnownHost():
            return KNOWN_HOST, row.id, (row.id, doc)
        case Settings():
            return SETTINGS, "settings", (doc,)


def upserts(rows: Iterable[Row]) -> dict[str, list[tuple[object, ...]]]:
    """Statement → values, each object once as it stands last."""
    newest: dict[str, dict[str, tuple[object, ...]]] = {}
    for row in rows:
        statement, identity, values = _row(row)
        newest.setdefault(statement, {})[identity] = values
    return {statement: list(by_id.values()) for statement, by_id in newest.items()}
