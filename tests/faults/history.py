"""What was seen from outside while things went wrong: a record that the validators judge.

Nothing here knows how the server works. `log` is what its database file says, `watchers` what each WebSocket client put
together over all its reconnects, `runs` what the commands themselves know about what they wrote.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

FINAL = ("task.completed", "task.failed", "task.cancelled")
ENDS = ("task.review", *FINAL)  # of a run; a decision may follow a review


@dataclass(frozen=True)
class Seen:
    """One event as somebody saw it. The payload is kept as it came."""

    seq: int
    type: str
    raw: bytes

    @cached_property
    def payload(self) -> dict[str, Any]:
        return json.loads(self.raw)

    @property
    def task_id(self) -> str | None:
        return self.payload.get("taskId")

    @property
    def data(self) -> bytes:
        """The bytes of an event of output."""
        text = self.payload.get("text")
        return text.encode() if text is not None else b64decode(self.payload["base64"])

    def __str__(self) -> str:
        return f"{self.seq} {self.type} {self.raw[: 200 if self.type == 'task.output' else 900]!r}"


@dataclass(frozen=True)
class Watched:
    """What one watcher has, from after `after` up to `cursor`. `task_id` when it follows one task only."""

    name: str
    after: int
    cursor: int
    events: tuple[Seen, ...]
    task_id: str | None = None
    resets: int = 0  # how often it was told that its cursor means nothing here


@dataclass(frozen=True)
class Run:
    """A task, and what is known about it without asking the server."""

    task_id: str
    name: str
    written: dict[str, bytes] | None = None  # stream -> what it writes when nobody stops it; None when not known
    code: int | None = 0  # how it ends when nobody stops it
    signal: str | None = None
    starts: int | None = None  # lines in its side-effect file; None when it has none
    answer: str | None = None  # of a prompt: its text
    is_prompt: bool = False  # it has no exit code, and the agent answers well
    is_writer: bool = False  # the command is our writer, which counts its starts
    may_be_lost: frozenset[str] = frozenset()  # error codes with which a fault of this test excuses its end
    may_be_cancelled: bool = False


@dataclass(frozen=True)
class Process:
    """A process that lives on the desktop, with the task whose mark it carries."""

    pid: int
    task_id: str
    command: str


@dataclass(frozen=True)
class History:
    """Everything that was seen until all had ended."""

    log: tuple[Seen, ...]
    watchers: tuple[Watched, ...] = ()
    runs: tuple[Run, ...] = ()
    tasks: tuple[dict[str, Any], ...] = ()  # as REST shows them at the end
    alive: tuple[Process, ...] = ()
    verify: tuple[str, ...] = ()  # the problems that `mission-control log verify` found
    gaps_allowed: frozenset[str] = frozenset()  # ids of tasks of which a fault of this test destroyed bytes
    resets_allowed: int = 0
    _by_task: dict[str, list[Seen]] = field(default_factory=dict)

    def of(self, task_id: str) -> list[Seen]:
        """The events of a task, in order."""
        if not self._by_task:
            for seen in self.log:
                if seen.type.startswith("task.") and seen.task_id:
                    self._by_task.setdefault(seen.task_id, []).append(seen)
        return self._by_task.get(task_id, [])

    @property
    def task_ids(self) -> list[str]:
        self.of("")
        return list(self._by_task)


def of_type(events: Iterable[Seen], *types: str) -> list[Seen]:
    return [seen for seen in events if seen.type in types]
