"""What the API shows: the objects of the domain with what stands beside them. Secrets are in none of them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from ..control.keys import Use
from ..control.sessions import Session
from ..domain import limits
from ..domain.entities import Decision, Desktop, Key, Task, TaskStatus, TaskType
from ..domain.events import SignInMethod
from ..domain.keys import PREFIX
from ..domain.shapes import Feedback, Id
from ..domain.tasks import NewTask
from ..domain.values import Actor, Role, Time, Value
from ..domain.watching import CheckStep, Metrics

PrincipalKind = Literal["key", "session", "local"]
SEVERAL: dict[str, Any] = {"type": "array", "minItems": 1, "maxItems": limits.BATCH_TASKS_MAX}


class TaskView(Task, frozen=True, kw_only=True):
    """A task, and how much output of it is recorded."""

    output_bytes: int = 0
    output_lines: int = 0

    @staticmethod
    def of(task: Task, output_bytes: int = 0, output_lines: int = 0) -> TaskView:
        """A task as it stands."""
        return TaskView(**msgspec.structs.asdict(task), output_bytes=output_bytes, output_lines=output_lines)

    @staticmethod
    def of_row(row: tuple[bytes, int | None, int | None]) -> TaskView:
        """From `doc, bytes, lines`; the last two are None before the first output."""
        doc, output_bytes, output_lines = row
        view = _task_view.decode(doc)
        if not output_bytes:
            return view
        return msgspec.structs.replace(view, output_bytes=output_bytes, output_lines=output_lines or 0)


_task_view = msgspec.json.Decoder(TaskView)


class DesktopView(Desktop, frozen=True, kw_only=True):
    """A desktop with its newest metrics; null while they are unknown."""

    metrics: Metrics | None = None

    @staticmethod
    def of(desktop: Desktop, metrics: Metrics | None) -> DesktopView:
        """A desktop as it stands."""
        return DesktopView(**msgspec.structs.asdict(desktop), metrics=metrics)


class CheckView(Value, frozen=True, kw_only=True):
    """What a check found, and the desktop after it."""

    ok: bool
    steps: tuple[CheckStep, ...]
    desktop: DesktopView


class StatusCounts(Value, frozen=True, kw_only=True):
    """How many tasks there are of each status."""

    pending: int = 0
    running: int = 0
    review: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0

    @staticmethod
    def of(counts: dict[TaskStatus, int]) -> StatusCounts:
        """From status → count; what is missing is 0."""
        return StatusCounts(**counts)


class NewBatch(Value, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Tasks that belong together: a list of them, or one for each of several desktops. `run` starts them all."""

    RULES: ClassVar[dict[str, Any]] = {
        "oneOf": [
            {
                "properties": {"tasks": SEVERAL, "task": {"type": "null"}, "desktopIds": {"type": "null"}},
                "required": ["tasks"],
            },
            {
                "properties": {
                    "tasks": {"type": "null"},
                    "task": {"type": "object"},
                    "desktopIds": SEVERAL | {"uniqueItems": True},
                },
                "required": ["task", "desktopIds"],
            },
        ]
    }
    tasks: tuple[NewTask, ...] | None = None
    task: BatchTask | None = None
    desktop_ids: tuple[Id, ...] | None = None
    run: bool = False


class BatchTask(NewTask, frozen=True, kw_only=True):
    """The task that each of several desktops gets; which ones stands in `desktopIds`."""

    desktop_id: Annotated[str, Meta(extra_json_schema={"maxLength": 0})] = ""


class BatchCreated(Value, frozen=True, kw_only=True):
    """A new batch with its tasks, in the order given."""

    id: str
    tasks: tuple[TaskView, ...]


class BatchView(Value, frozen=True, kw_only=True):
    """A batch: how its tasks stand, archived ones included, and what its first task says about all of them."""

    id: str
    total: int
    counts: StatusCounts
    title: str | None
    content: str
    type: TaskType
    created_at: Time
    created_by: Actor


class DesktopCounts(Value, frozen=True, kw_only=True):
    """How the tasks of a batch stand on one desktop."""

    desktop_id: str
    counts: StatusCounts


class BatchDetail(BatchView, frozen=True, kw_only=True):
    """A batch, and how it stands on each of its desktops."""

    desktops: tuple[DesktopCounts, ...]


class Skipped(Value, frozen=True, kw_only=True):
    """A task that a command passed over, and why: a code of the error table, or `nothing_to_do`."""

    task_id: str
    code: str


class AppliedView(Value, frozen=True, kw_only=True):
    """What a command to a batch did: the ids of the tasks it applied to, and those it passed over."""

    applied: tuple[str, ...]
    skipped: tuple[Skipped, ...]


class Review(Value, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A person's decision; with `retry`, a rejection makes a follow-up task that carries the feedback."""

    RULES: ClassVar[dict[str, Any]] = {
        "if": {"properties": {"decision": {"const": "approve"}}},
        "then": {"properties": {"retry": {"const": False}}},
    }
    decision: Decision
    feedback: Feedback | None = None
    retry: bool = False


class SignIn(Value, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An API key, or the token of a one-time link."""

    RULES: ClassVar[dict[str, Any]] = {
        "oneOf": [
            {"properties": {"key": {"type": "string"}, "link": {"type": "null"}}, "required": ["key"]},
            {"properties": {"key": {"type": "null"}, "link": {"type": "string"}}, "required": ["link"]},
        ]
    }
    key: str | None = None
    link: str | None = None


class SignInLink(Value, frozen=True, kw_only=True):
    """A link that signs in once, for ten minutes."""

    url: str
    token: str


class Me(Value, frozen=True, kw_only=True):
    """Who asks, and what they ask."""

    id: str
    name: str
    kind: PrincipalKind
    role: Role
    desktop_labels: tuple[str, ...] = ()
    session_id: str | None = None
    server_id: str
    log_id: str
    version: str


class SessionView(Value, frozen=True, kw_only=True):
    """A signed-in browser; `current` is the one that asks."""

    id: str
    actor: Actor
    role: Role
    key_id: str | None
    method: SignInMethod
    created_at: Time
    last_used_at: Time
    expires_at: Time
    address: str | None
    user_agent: str | None
    current: bool

    @staticmethod
    def of(session: Session, current_id: str | None) -> SessionView:
        """A session as it stands."""
        return SessionView(
            id=session.id,
            actor=session.principal.actor.who,
            role=session.principal.role,
            key_id=session.principal.key_id,
            method=session.method,
            created_at=session.created_at,
            last_used_at=session.seen_at,
            expires_at=session.expires_at,
            address=session.address,
            user_agent=session.user_agent,
            current=session.id == current_id,
        )


class KeyChangeView(Value, frozen=True, kw_only=True):
    """How many sealed secrets, of whatever kind, were sealed anew."""

    secrets: int


class KeyView(Value, frozen=True, kw_only=True):
    """An API key, masked. With `desktopLabels` it reaches only the desktops that carry one of them."""

    id: str
    name: str
    role: Role
    desktop_labels: tuple[str, ...]
    key: str
    last4: str
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None = None
    last_used_from: str | None = None

    @staticmethod
    def of(key: Key, secret: str | None = None, use: Use | None = None) -> KeyView:
        """A key masked to its last 4 characters, or, once, as it is."""
        return KeyView(
            id=key.id,
            name=key.name,
            role=key.role,
            desktop_labels=key.desktop_labels,
            key=secret or f"{PREFIX}…{key.last4}",
            last4=key.last4,
            created_at=key.created_at,
            expires_at=key.expires_at,
            last_used_at=use.at if use else None,
            last_used_from=use.address if use else None,
        )


class Hour(Value, frozen=True, kw_only=True):
    """How many tasks ended within an hour that begins at `hour`."""

    hour: Time
    done: int = 0
    failed: int = 0
    cancelled: int = 0


class Durations(Value, frozen=True, kw_only=True):
    """How long (ms) tasks ran that are done: half of them at most `p50`, nine of ten at most `p90`, and so on."""

    count: int
    mean: float
    p50: int
    p90: int
    p99: int
    max: int


class AgeCount(Value, frozen=True, kw_only=True):
    """How many are at least `fromSeconds` old and less than `toSeconds`; null is without end."""

    from_seconds: int
    to_seconds: int | None
    count: int


class WaitingApprovals(Value, frozen=True, kw_only=True):
    """What waits for a decision, youngest first."""

    count: int
    oldest_at: Time | None
    ages: tuple[AgeCount, ...]


class Failing(Value, frozen=True, kw_only=True):
    """What failed `count` times: the beginning of its content, and the newest task of it."""

    content: str
    type: TaskType
    count: int
    task_id: str
    ended_at: Time


class Overview(Value, frozen=True, kw_only=True):
    """The fleet in figures, over the hours that were asked for.

    `counts` are the tasks on the board. `completionRate` is the share of the tasks that ended within the hours and are
    done, `meanDurationMs` how long those ran; null when none ended. `cpu` and `memory` are means over the running
    desktops that report them, from 0 to 1. `throughput` are the hours of the clock, oldest first. `durations` and
    `failing` look at no more than the newest 2,000 tasks of their kind.
    """

    counts: StatusCounts
    completion_rate: float | None
    mean_duration_ms: float | None
    durations: Durations | None
    waiting: WaitingApprovals
    failing: tuple[Failing, ...]
    active_desktops: int
    desktops: int
    cpu: float | None
    memory: float | None
    throughput: tuple[Hour, ...]


class Health(Value, frozen=True, kw_only=True):
    """`ok`, as long as this can be answered at all."""

    status: str = "ok"


class Envelope(Value, frozen=True, kw_only=True):
    """An event of the log, in the envelope that it has everywhere. `payload` is described by its type."""

    seq: int
    at: Time
    type: str
    actor: Actor
    payload: dict[str, Any]
