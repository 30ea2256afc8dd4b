"""What is seen of a desktop and not logged: its metrics, and what a check of it found."""

from __future__ import annotations

from typing import Literal

from .values import Error, Value

CheckName = Literal["connect", "host_key", "authenticate", "shell", "outpost", "agent"]


class Metrics(Value, frozen=True, kw_only=True):
    """The newest figures of a desktop, by its id; None is unknown.

    `cpu`, `memory` and `disk` are shares in use from 0 to 1, `load` is the load average over one minute, `runs` counts
    what the outpost keeps alive there.
    """

    id: str
    cpu: float | None = None
    memory: float | None = None
    disk: float | None = None
    load: float | None = None
    runs: int | None = None


class CheckStep(Value, frozen=True, kw_only=True):
    """One step of a check: `ok` is None when it was not reached, `detail` says what was found or what to do."""

    name: CheckName
    ok: bool | None
    detail: str
    ms: int


class CheckReport(Value, frozen=True, kw_only=True):
    """What a check found, step by step."""

    ok: bool
    steps: tuple[CheckStep, ...]


class Unreachable(Exception):
    """A host did not show its keys; `error` says why and what to do."""

    def __init__(self, error: Error) -> None:
        super().__init__(error.message)
        self.error = error
