"""The one rule that applies events to what exists: created → the object; later → overwrite what the event repeats.

The browser folds by the same rule. `State` is everything that exists; the server keeps the part that decisions need in
one, a check of the log rebuilds a whole one from the first event on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TypeVar

import msgspec
from msgspec import UNSET

from .entities import OPEN, Approval, Desktop, Key, KnownHost, Secret, SecretFacts, Settings, Task
from .events import (
    ApprovalCreated,
    ApprovalResolved,
    DesktopCreated,
    Event,
    KeyCreated,
    KeyRevoked,
    KnownHostAdded,
    KnownHostRemoved,
    SecretCreated,
    SecretRemoved,
    SecretUpdated,
    SettingsUpdated,
    TaskCreated,
)

E = TypeVar("E", Task, Approval, Desktop, Key, KnownHost)

Entity = Task | Approval | Desktop | Settings | Key | Secret | KnownHost


@cache
def _shared(event: type[Event], entity: type[Entity]) -> tuple[str, ...]:
    """The fields that an event repeats under the names that the object has."""
    return tuple(name for name in event.__struct_fields__ if name in entity.__struct_fields__)


def evolve(entity: E, event: Event) -> E:
    """The object after the event."""
    changes = {
        name: value for name in _shared(type(event), type(entity)) if (value := getattr(event, name)) is not UNSET
    }
    return msgspec.structs.replace(entity, **changes)


def _created(kind: type[E], event: Event, id_field: str) -> E:
    facts = msgspec.structs.asdict(event)
    return kind(id=facts.pop(id_field), **facts)


@dataclass
class State:
    """What exists, by id. An event about a task that is not held here is passed over."""

    tasks: dict[str, Task] = field(default_factory=dict[str, Task])
    approvals: dict[str, Approval] = field(default_factory=dict[str, Approval])
    desktops: dict[str, Desktop] = field(default_factory=dict[str, Desktop])
    keys: dict[str, Key] = field(default_factory=dict[str, Key])
    secrets: dict[str, Secret] = field(default_factory=dict[str, Secret])
    known_hosts: dict[str, KnownHost] = field(default_factory=dict[str, KnownHost])
    settings: Settings = field(default_factory=Settings)

    def apply(self, event: Event) -> Entity | None:
        """Take in one event; the object that it made or changed, or None when it changed none."""
        match event:
            case TaskCreated(task_id=id):
                self.tasks[id] = entity = _created(Task, event, "task_id")
            case ApprovalCreated(approval_id=id) | ApprovalResolved(approval_id=id):
                self.approvals[id] = entity = _created(Approval, event, "approval_id")
            case DesktopCreated(desktop_id=id):
                self.desktops[id] = entity = _created(Desktop, event, "desktop_id")
            case KeyCreated(key_id=id):
                self.keys[id] = entity = _created(Key, event, "key_id")
            case KeyRevoked(key_id=id):
                self.keys[id] = entity = evolve(self.keys[id], event)
            case SecretCreated(secret_name=name) | SecretUpdated(secret_name=name):
                facts = {field: getattr(event, field) for field in SecretFacts.__struct_fields__}
                self.secrets[name] = entity = Secret(name=name, **facts)
            case SecretRemoved(secret_name=name):
                del self.secrets[name]
                return None
            case KnownHostAdded(known_host_id=id):
                self.known_hosts[id] = entity = _created(KnownHost, event, "known_host_id")
            case KnownHostRemoved(known_host_id=id):
                del self.known_hosts[id]
                return None
            case SettingsUpdated():
                self.settings = entity = _settings(event)
            case _:
                return self._evolve(event)
        return entity

    def _evolve(self, event: Event) -> Entity | None:
        if not hasattr(event, "version"):
            return None
        task_id: str | None = getattr(event, "task_id", None)
        if task_id is not None:
            if task := self.tasks.get(task_id):
                self.tasks[task_id] = task = evolve(task, event)
            return task
        desktop_id: str = event.desktop_id  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
        self.desktops[desktop_id] = desktop = evolve(self.desktops[desktop_id], event)
        return desktop

    def open_tasks(self) -> list[Task]:
        """The tasks that are not over, oldest first."""
        return [task for _, task in sorted(self.tasks.items()) if task.status in OPEN]


def _settings(event: SettingsUpdated) -> Settings:
    return Settings(**{name: getattr(event, name) for name in Settings.__struct_fields__})
