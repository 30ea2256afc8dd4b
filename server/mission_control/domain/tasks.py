"""The life of a task: `pending → running → done | failed | cancelled`, through `review` where a person decides.

Functions take a task and what somebody wants, and return the events that follow or raise `Refused`; `fold.py` applies
them. Only a run that would be done enters review. A retry is a new task linked by `retryOf`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from . import limits
from .entities import OPEN, PHASES, Approval, Phase, Task, TaskStatus, TaskType
from .errors import (
    TASK_NOT_CANCELLABLE,
    TASK_NOT_FINISHED,
    TASK_NOT_IN_REVIEW,
    TASK_NOT_PENDING,
    FieldError,
    Refused,
    invalid_fields,
)
from .events import (
    ApprovalCreated,
    ApprovalResolved,
    Event,
    Stream,
    TaskArchived,
    TaskCancelled,
    TaskCancelRequested,
    TaskCompleted,
    TaskCreated,
    TaskFailed,
    TaskOutputRemoved,
    TaskPhase,
    TaskReview,
    TaskStarted,
    TaskUpdated,
)
from .masking import Patterns
from .shapes import Content, Cwd, Env, Id, Labels, SecretNames, TimeoutSeconds, Title
from .values import Actor, Error, LeftRunning, StreamSums, Time, Usage, Value, is_name

Decision = Literal["approve", "reject"]
E = TypeVar("E", TaskReview, TaskCompleted, TaskFailed, TaskCancelled)

REJECTED = "rejected"  # the error code of a task that a person rejected


class NewTask(Value, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What a person or a script asks for."""

    RULES: ClassVar[dict[str, Any]] = {
        "if": {"properties": {"type": {"const": "prompt"}}},
        "then": {
            "properties": {
                "env": {"maxProperties": 0},
                "secrets": {"maxItems": 0},
                "cwd": {"type": "null"},
                "tty": {"const": False},
            }
        },
        "else": {"properties": {"content": {"maxLength": limits.COMMAND_BYTES_MAX}}},
    }
    type: TaskType
    content: Content
    desktop_id: Id
    requires_approval: bool = False
    title: Title | None = None
    labels: Labels = ()
    timeout_seconds: TimeoutSeconds | None = None
    env: Env = {}
    secrets: SecretNames = ()
    cwd: Cwd | None = None
    tty: bool = False
    run: bool = False


class TaskEdit(Value, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What may be changed while a task is pending; absent fields stay."""

    content: Content | UnsetType = UNSET
    desktop_id: Id | UnsetType = UNSET
    requires_approval: bool | UnsetType = UNSET
    title: Title | UnsetType | None = UNSET
    labels: Labels | UnsetType = UNSET
    timeout_seconds: TimeoutSeconds | UnsetType | None = UNSET
    env: Env | UnsetType = UNSET
    secrets: SecretNames | UnsetType = UNSET
    cwd: Cwd | UnsetType | None = UNSET
    tty: bool | UnsetType = UNSET


class RunEnd(Value, frozen=True, kw_only=True):
    """How a run ended. `error` is set exactly when it did not succeed."""

    exit_code: int | None = None
    signal: str | None = None
    error: Error | None = None
    duration_ms: int | None = None
    result: str | None = None
    usage: Usage | None = None
    left_running: tuple[LeftRunning, ...] | None = None
    streams: dict[Stream, StreamSums] | None = None
    masked_count: int = 0
    executed_at: Time | None = None  # where it ended before anybody had said that it began


def _content_errors(type: TaskType, content: str) -> str | None:
    try:
        size = len(content.encode())
    except UnicodeEncodeError:
        return "holds a lone surrogate, which is not text"
    limit = limits.COMMAND_BYTES_MAX if type == "command" else limits.PROMPT_BYTES_MAX
    if size > limit:
        return f"is {size} bytes long; a {type} may have {limit}"
    if not any(character.isprintable() and character != " " for character in content):
        return "is empty"
    if "\0" in content:
        return "holds a NUL character, which no command can carry"
    return None


def problems_of(task: NewTask) -> list[FieldError]:
    """What is wrong with a new task, one entry a field; empty when nothing is."""
    errors: list[FieldError] = []

    def check(pointer: str, wrong: str | None) -> None:
        if wrong:
            errors.append(FieldError(pointer, wrong))

    check("/content", _content_errors(task.type, task.content))
    if task.title is not None and len(task.title) > limits.TITLE_CHARACTERS_MAX:
        check("/title", f"is longer than {limits.TITLE_CHARACTERS_MAX} characters")
    check("/labels", labels_problem(task.labels))
    if task.timeout_seconds is not None and not 1 <= task.timeout_seconds <= limits.TIMEOUT_SECONDS_MAX:
        check("/timeoutSeconds", f"is not between 1 and {limits.TIMEOUT_SECONDS_MAX}")
    check("/env", _env_problem(task.env))
    check("/secrets", _secrets_problem(task))
    if task.cwd is not None and (not task.cwd or "\0" in task.cwd or len(task.cwd) > 4096):
        check("/cwd", "is not a path")
    if task.type == "prompt":
        only = (
            ("/env", bool(task.env)),
            ("/secrets", bool(task.secrets)),
            ("/cwd", task.cwd is not None),
            ("/tty", task.tty),
        )
        for pointer, given in only:
            if given:
                check(pointer, "belongs to commands; a prompt has none")
    return errors


def labels_problem(labels: Sequence[str]) -> str | None:
    """What is wrong with a set of labels, or None."""
    if len(labels) > limits.LABELS_MAX:
        return f"must be at most {limits.LABELS_MAX}"
    for label in labels:
        if not is_name(label, limits.LABEL_CHARACTERS_MAX):
            return f"must have 1 to {limits.LABEL_CHARACTERS_MAX} printable characters each"
    if len(set(labels)) != len(labels):
        return "must not name one twice"
    return None


def _env_problem(env: dict[str, str]) -> str | None:
    if len(env) > limits.ENV_VARIABLES_MAX:
        return f"must be at most {limits.ENV_VARIABLES_MAX} variables"
    for name, value in env.items():
        if not name.isascii() or not name.isidentifier():
            return f"holds {name!r}, which is not the name of a variable"
        if "\0" in value:
            return f"holds a NUL character in the value of {name}"
    if sum(len(name) + len(value.encode(errors="replace")) for name, value in env.items()) > limits.ENV_BYTES_MAX:
        return f"must be at most {limits.ENV_BYTES_MAX} bytes"
    return None


def _secrets_problem(task: NewTask) -> str | None:
    if len(task.secrets) > limits.TASK_SECRETS_MAX:
        return f"must be at most {limits.TASK_SECRETS_MAX}"
    if len(set(task.secrets)) != len(task.secrets):
        return "must not name one twice"
    both = sorted(set(task.secrets) & set(task.env))
    return f"must not name {both[0]}, which is a variable in env, too" if both else None


def create(
    new: NewTask,
    *,
    id: str,
    at: Time,
    actor: Actor,
    batch_id: str | None = None,
    retry_of: str | None = None,
    session_id: str | None = None,
) -> list[Event]:
    """A new task in pending. A prompt without a session to continue begins its own, named after it."""
    session = (session_id or id) if new.type == "prompt" else None
    return [
        TaskCreated(
            task_id=id,
            type=new.type,
            content=new.content,
            status="pending",
            desktop_id=new.desktop_id,
            requires_approval=new.requires_approval,
            created_at=at,
            title=new.title or None,
            labels=new.labels,
            batch_id=batch_id,
            retry_of=retry_of,
            session_id=session,
            timeout_seconds=new.timeout_seconds,
            env=new.env,
            secrets=new.secrets,
            cwd=new.cwd,
            tty=new.tty,
            created_by=actor.who,
        )
    ]


def edit(task: Task, changes: TaskEdit) -> list[Event]:
    """Change a pending task; nothing when nothing differs. The type cannot change."""
    if task.status != "pending":
        raise Refused(TASK_NOT_PENDING, id=task.id, status=task.status)
    given = {
        name: value
        for name in changes.__struct_fields__
        if (value := getattr(changes, name)) is not UNSET and value != getattr(task, name)
    }
    if not given:
        return []
    if wrong := problems_of(as_new(msgspec.structs.replace(task, **given))):
        raise invalid_fields(wrong)
    target = given.pop("desktop_id", task.desktop_id)
    return [TaskUpdated(task_id=task.id, desktop_id=target, status="pending", version=task.version + 1, **given)]


def as_new(task: Task) -> NewTask:
    """What one would ask for to get this task again."""
    return NewTask(**{name: getattr(task, name) for name in NewTask.__struct_fields__ if name != "run"})


def run(task: Task, *, at: Time) -> list[Event]:
    """Start a pending task; it queues until its desktop has a place."""
    if task.status != "pending":
        raise Refused(TASK_NOT_PENDING, id=task.id, status=task.status)
    return [
        TaskStarted(
            task_id=task.id,
            desktop_id=task.desktop_id,
            status="running",
            version=task.version + 1,
            phase="queued",
            started_at=at,
        )
    ]


def enter_phase(task: Task, phase: Phase, *, executed_at: Time | UnsetType = UNSET) -> list[Event]:
    """Say what a running task is waiting for; nothing when it is over, already there or further on."""
    if task.status != "running" or task.phase is None or PHASES.index(phase) <= PHASES.index(task.phase):
        return []
    return [
        TaskPhase(
            task_id=task.id,
            desktop_id=task.desktop_id,
            status="running",
            version=task.version + 1,
            phase=phase,
            executed_at=executed_at,
        )
    ]


def begin(task: Task, *, instance_id: str, boot_id: str, attempt: int) -> list[Event]:
    """Say which outpost is asked to run it, and for the how manieth time, before it is; nothing when it is over."""
    if task.status != "running":
        return []
    assert task.phase is not None and attempt > task.attempt, "each attempt is a run of its own"
    phase: Phase = "starting" if task.phase == "queued" else task.phase
    return [
        TaskPhase(
            task_id=task.id,
            desktop_id=task.desktop_id,
            status="running",
            version=task.version + 1,
            phase=phase,
            instance_id=instance_id,
            boot_id=boot_id,
            attempt=attempt,
        )
    ]


def cancel(task: Task, *, at: Time) -> list[Event]:
    """End a task by hand: at once while nothing runs on the desktop, else as a request to the desktop.

    Asking twice changes nothing.
    """
    if task.status == "pending" or (task.status == "running" and task.phase == "queued"):
        return [
            TaskCancelled(
                task_id=task.id,
                desktop_id=task.desktop_id,
                status="cancelled",
                version=task.version + 1,
                completed_at=at,
            )
        ]
    if task.status != "running":
        raise Refused(TASK_NOT_CANCELLABLE, id=task.id, status=task.status)
    if task.cancel_requested_at:
        return []
    return [
        TaskCancelRequested(
            task_id=task.id,
            desktop_id=task.desktop_id,
            status="running",
            version=task.version + 1,
            cancel_requested_at=at,
        )
    ]


def masked(end: RunEnd, patterns: Patterns) -> RunEnd:
    """The same end without the secrets that stand in its words."""
    error, left = end.error, end.left_running
    return msgspec.structs.replace(
        end,
        result=end.result and patterns.mask(end.result),
        error=error and msgspec.structs.replace(error, message=patterns.mask(error.message)),
        left_running=left and tuple(msgspec.structs.replace(one, command=patterns.mask(one.command)) for one in left),
    )


def finish(task: Task, end: RunEnd, *, at: Time, approval_mode: bool, approval_id: str) -> list[Event]:
    """A run is over. Once a cancel was requested it ends cancelled, whatever its exit; else failed, review or done.

    Nothing when the task is not running any more.
    """
    if task.status != "running":
        return []
    if task.cancel_requested_at:
        return [_ended(TaskCancelled, task, "cancelled", end, at)]
    if end.error:
        return [_ended(TaskFailed, task, "failed", end, at)]
    if not (task.requires_approval or approval_mode):
        return [_ended(TaskCompleted, task, "done", end, at)]
    return [
        _ended(TaskReview, task, "review", end, None),
        ApprovalCreated(
            approval_id=approval_id, task_id=task.id, desktop_id=task.desktop_id, status="pending", created_at=at
        ),
    ]


def _ended(kind: type[E], task: Task, status: TaskStatus, end: RunEnd, completed_at: Time | None) -> E:
    return kind(
        task_id=task.id,
        desktop_id=task.desktop_id,
        status=status,
        version=task.version + 1,
        completed_at=completed_at,
        exit_code=end.exit_code,
        signal=end.signal,
        duration_ms=end.duration_ms,
        error=end.error or UNSET,
        result=end.result,
        usage=end.usage,
        left_running=end.left_running,
        streams=UNSET if end.streams is None else end.streams,
        masked_count=end.masked_count or UNSET,
        executed_at=UNSET if end.executed_at is None or task.executed_at else end.executed_at,
    )


def review(
    task: Task, approval: Approval | None, decision: Decision, feedback: str | None, *, at: Time, actor: Actor
) -> list[Event]:
    """A person's decision on a finished task: approved → done, rejected → failed with the feedback."""
    if task.status != "review" or approval is None or approval.status != "pending":
        raise Refused(TASK_NOT_IN_REVIEW, id=task.id, status=task.status)
    approved = decision == "approve"
    resolved = ApprovalResolved(
        approval_id=approval.id,
        task_id=task.id,
        desktop_id=task.desktop_id,
        status="approved" if approved else "rejected",
        created_at=approval.created_at,
        resolved_at=at,
        resolved_by=actor.who,
        feedback=feedback,
    )
    kind = TaskCompleted if approved else TaskFailed
    ended = kind(
        task_id=task.id,
        desktop_id=task.desktop_id,
        status="done" if approved else "failed",
        version=task.version + 1,
        completed_at=at,
        feedback=feedback,
        error=UNSET if approved else Error(code=REJECTED, message=f"Rejected by {actor.name}."),
    )
    return [resolved, ended]


def retry(task: Task, *, id: str, at: Time, actor: Actor, feedback: str | None = None) -> list[Event]:
    """A new pending task with the same content.

    After a rejection with feedback a prompt carries the feedback and continues in the same agent session, so that the
    agent revises what it did; a command is simply repeated.
    """
    if task.status in OPEN:
        raise Refused(TASK_NOT_FINISHED, id=task.id, status=task.status)
    new, session = as_new(task), None
    if task.type == "prompt" and feedback:
        session = task.session_id
        said = f"Feedback on the previous attempt:\n{feedback}"
        revised = f"{task.content}\n\n{said}"
        fits = len(revised.encode()) <= limits.PROMPT_BYTES_MAX
        new = msgspec.structs.replace(new, content=revised if fits else said)  # the session knows what was asked
    return create(new, id=id, at=at, actor=actor, retry_of=task.id, session_id=session)


def archive(task: Task, *, at: Time) -> list[Event]:
    """Hide a task from lists; a pending one is cancelled first. Archiving twice changes nothing."""
    if task.archived:
        return []
    cancelled = cancel(task, at=at) if task.status == "pending" else []
    if task.status in ("running", "review"):
        raise Refused(TASK_NOT_FINISHED, id=task.id, status=task.status)
    version = task.version + 1 + len(cancelled)
    return [*cancelled, TaskArchived(task_id=task.id, desktop_id=task.desktop_id, version=version)]


def remove_output(task: Task, *, at: Time, bytes: int, lines: int) -> list[Event]:
    """Remove what is recorded of its runs, which is so much; not while it runs."""
    if task.status == "running":
        raise Refused(TASK_NOT_FINISHED, id=task.id, status=task.status)
    return [
        TaskOutputRemoved(
            task_id=task.id,
            desktop_id=task.desktop_id,
            version=task.version + 1,
            output_removed_at=at,
            bytes=bytes,
            lines=lines,
        )
    ]
