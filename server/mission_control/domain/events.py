"""Every event, as it stands in the log and on the wire: one frozen struct each, named by its `TYPE`.

The payload of a state event repeats what changed under the names that the object itself has, with the object's new
`version`. So one rule folds every event, here and in the browser: created → the object; later → overwrite its fields.
A field that did not change is absent (`UNSET`).
"""

from __future__ import annotations

from typing import ClassVar, Literal, TypeVar, Union, get_args

import msgspec
from msgspec import UNSET, UnsetType

from .entities import (
    Agent,
    ApprovalFacts,
    DesktopFacts,
    DesktopStatus,
    KnownHostFacts,
    LinkState,
    Marker,
    OutpostFacts,
    OutpostOptions,
    Phase,
    SecretFacts,
    Settings,
    Ssh,
    TaskFacts,
    TaskStatus,
)
from .progress import Progress
from .values import Error, LeftRunning, Role, StreamSums, Time, Usage, Value

T = TypeVar("T")
Maybe = Union[T, UnsetType]  # noqa: UP007 - a union that takes a parameter

Stream = Literal["stdout", "stderr", "response"]


class TaskCreated(TaskFacts, frozen=True, kw_only=True):
    """A task exists, in pending. The payload is the whole task."""

    TYPE: ClassVar[str] = "task.created"
    task_id: str


class TaskUpdated(Value, frozen=True, kw_only=True):
    """A pending task was edited."""

    TYPE: ClassVar[str] = "task.updated"
    task_id: str
    desktop_id: str
    status: TaskStatus
    version: int
    content: Maybe[str] = UNSET
    title: Maybe[str | None] = UNSET
    labels: Maybe[tuple[str, ...]] = UNSET
    requires_approval: Maybe[bool] = UNSET
    timeout_seconds: Maybe[int | None] = UNSET
    env: Maybe[dict[str, str]] = UNSET
    secrets: Maybe[tuple[str, ...]] = UNSET
    cwd: Maybe[str | None] = UNSET
    tty: Maybe[bool] = UNSET


class TaskStarted(Value, frozen=True, kw_only=True):
    """Somebody ran it; it waits for a place on its desktop."""

    TYPE: ClassVar[str] = "task.started"
    task_id: str
    desktop_id: str
    status: TaskStatus
    version: int
    phase: Phase
    started_at: Time


class TaskPhase(Value, frozen=True, kw_only=True):
    """What people wait for while it runs. Before anything is sent to an outpost the log has `starting` with the outpost
    that will be asked; a further `attempt` of a prompt may keep the phase that it is in."""

    TYPE: ClassVar[str] = "task.phase"
    task_id: str
    desktop_id: str
    status: TaskStatus
    version: int
    phase: Phase
    executed_at: Maybe[Time] = UNSET
    instance_id: Maybe[str] = UNSET
    boot_id: Maybe[str] = UNSET
    attempt: Maybe[int] = UNSET


class TaskCancelRequested(Value, frozen=True, kw_only=True):
    """Somebody wants a running task to end; it ends as cancelled when the desktop says so."""

    TYPE: ClassVar[str] = "task.cancelRequested"
    task_id: str
    desktop_id: str
    status: TaskStatus
    version: int
    cancel_requested_at: Time


class TaskEnd(Value, frozen=True, kw_only=True):
    """What is known when a run is over. Durations are milliseconds from `executedAt`; `streams` are the sums that were
    made at the command's pipes, which what is recorded was compared with."""

    task_id: str
    desktop_id: str
    status: TaskStatus
    version: int
    completed_at: Time | None
    phase: None = None
    executed_at: Maybe[Time] = UNSET
    exit_code: Maybe[int | None] = UNSET
    signal: Maybe[str | None] = UNSET
    duration_ms: Maybe[int | None] = UNSET
    error: Maybe[Error | None] = UNSET
    result: Maybe[str | None] = UNSET
    usage: Maybe[Usage | None] = UNSET
    left_running: Maybe[tuple[LeftRunning, ...] | None] = UNSET
    streams: Maybe[dict[Stream, StreamSums]] = UNSET
    masked_count: Maybe[int] = UNSET
    feedback: Maybe[str | None] = UNSET


class TaskReview(TaskEnd, frozen=True, kw_only=True):
    """The run succeeded and waits for a person's decision."""

    TYPE: ClassVar[str] = "task.review"


class TaskCompleted(TaskEnd, frozen=True, kw_only=True):
    """Done: it ran successfully, or a person approved it."""

    TYPE: ClassVar[str] = "task.completed"


class TaskFailed(TaskEnd, frozen=True, kw_only=True):
    """Failed: it errored during execution, or a person rejected it."""

    TYPE: ClassVar[str] = "task.failed"


class TaskCancelled(TaskEnd, frozen=True, kw_only=True):
    """Cancelled by hand before completion."""

    TYPE: ClassVar[str] = "task.cancelled"


class TaskArchived(Value, frozen=True, kw_only=True):
    """Hidden from lists; the log keeps it."""

    TYPE: ClassVar[str] = "task.archived"
    task_id: str
    desktop_id: str
    version: int
    archived: bool = True


class TaskNote(Value, frozen=True, kw_only=True):
    """Something worth knowing about a task that does not change its state."""

    TYPE: ClassVar[str] = "task.note"
    task_id: str
    desktop_id: str
    text: str


class TaskOutput(Value, frozen=True, kw_only=True):
    """A piece of what the run wrote. `position`, `offset` and `length` count raw bytes, of the run and of the stream.

    `line` is the number of display lines before it, `lineBytes` how long the line is already that it goes on with,
    `ms` milliseconds since the run began, `crc` the running CRC-32 of the raw stream after it. The bytes are in `text`,
    or in `base64` where they are not valid UTF-8. `masked` tells where in the stream secrets stood, as offset and
    length: there, a `*` stands for each byte but line ends. `late` marks what came after the task had failed because
    its desktop was away.
    """

    TYPE: ClassVar[str] = "task.output"
    task_id: str
    stream: Stream
    position: int
    offset: int
    length: int
    line: int
    ms: int
    crc: int
    line_bytes: Maybe[int] = UNSET
    text: Maybe[str] = UNSET
    base64: Maybe[str] = UNSET
    masked: Maybe[tuple[tuple[int, int], ...]] = UNSET
    late: Maybe[bool] = UNSET


class TaskOutputGap(Value, frozen=True, kw_only=True):
    """Bytes of the run that are known to be lost, as positions of the run; `streams` are the offsets behind them."""

    TYPE: ClassVar[str] = "task.outputGap"
    task_id: str
    start: int = msgspec.field(name="from")
    to: int
    reason: str
    streams: dict[Stream, int] = {}


class TaskOutputRemoved(Value, frozen=True, kw_only=True):
    """A person removed what was recorded of its runs; `bytes` and `lines` say how much that was. The payloads of its
    output, progress and responses are gone from the log, while their digests stay."""

    TYPE: ClassVar[str] = "task.outputRemoved"
    task_id: str
    desktop_id: str
    version: int
    output_removed_at: Time
    bytes: int
    lines: int


class TaskResponse(Value, frozen=True, kw_only=True):
    """The head of an agent endpoint's answer, ahead of its body."""

    TYPE: ClassVar[str] = "task.response"
    task_id: str
    status: int
    content_type: str | None
    retry_after: str | None


class TaskProgress(Progress, frozen=True, kw_only=True):
    """What the agent does, derived from its answer."""

    TYPE: ClassVar[str] = "task.progress"
    task_id: str


class ApprovalCreated(ApprovalFacts, frozen=True, kw_only=True):
    """A finished task waits for a decision. The payload is the whole approval."""

    TYPE: ClassVar[str] = "approval.created"
    approval_id: str


class ApprovalResolved(ApprovalFacts, frozen=True, kw_only=True):
    """A person decided. The payload is the whole approval."""

    TYPE: ClassVar[str] = "approval.resolved"
    approval_id: str


class DesktopCreated(DesktopFacts, frozen=True, kw_only=True):
    """A desktop was added. The payload is the whole desktop."""

    TYPE: ClassVar[str] = "desktop.created"
    desktop_id: str


class _DesktopChange(Value, frozen=True, kw_only=True):
    desktop_id: str
    name: str
    status: DesktopStatus
    version: int
    error: Maybe[Error | None] = UNSET
    link: Maybe[LinkState] = UNSET
    next_try_at: Maybe[Time | None] = UNSET
    last_seen_at: Maybe[Time | None] = UNSET
    ip_address: Maybe[str | None] = UNSET
    agent_ready: Maybe[bool] = UNSET


class DesktopUpdated(_DesktopChange, frozen=True, kw_only=True):
    """Its description changed."""

    TYPE: ClassVar[str] = "desktop.updated"
    ssh: Maybe[Ssh] = UNSET
    agent: Maybe[Agent | None] = UNSET
    labels: Maybe[tuple[str, ...]] = UNSET
    max_concurrent_tasks: Maybe[int] = UNSET
    outpost_options: Maybe[OutpostOptions] = UNSET


class _DesktopReached(_DesktopChange, frozen=True, kw_only=True):
    durable: Maybe[bool] = UNSET
    not_durable_because: Maybe[str | None] = UNSET
    os: Maybe[str | None] = UNSET
    outpost: Maybe[OutpostFacts | None] = UNSET


class DesktopStarted(_DesktopReached, frozen=True, kw_only=True):
    """It can be used: connected, authenticated, and its shell answers."""

    TYPE: ClassVar[str] = "desktop.started"


class DesktopStopped(_DesktopChange, frozen=True, kw_only=True):
    """A person took it out of service."""

    TYPE: ClassVar[str] = "desktop.stopped"


class DesktopError(_DesktopChange, frozen=True, kw_only=True):
    """It cannot be used, and `error` says why and what to do."""

    TYPE: ClassVar[str] = "desktop.error"


class DesktopLink(_DesktopReached, frozen=True, kw_only=True):
    """The connection to it came, went, or is being tried again."""

    TYPE: ClassVar[str] = "desktop.link"


class DesktopAgentReady(_DesktopChange, frozen=True, kw_only=True):
    """Its agent became ready, or stopped being so."""

    TYPE: ClassVar[str] = "desktop.agentReady"


class DesktopRemoved(_DesktopChange, frozen=True, kw_only=True):
    """It is gone from the fleet; its history stays readable."""

    TYPE: ClassVar[str] = "desktop.removed"
    removed_at: Time


class KnownHostAdded(KnownHostFacts, frozen=True, kw_only=True):
    """An authority is trusted, or a key is not, for all desktops that match. The payload is the whole known host."""

    TYPE: ClassVar[str] = "knownHost.added"
    known_host_id: str


class KnownHostRemoved(Value, frozen=True, kw_only=True):
    """That does not hold any more; the payload repeats what it was."""

    TYPE: ClassVar[str] = "knownHost.removed"
    known_host_id: str
    marker: Marker
    hosts: tuple[str, ...]
    fingerprint: str
    removed_at: Time


class SettingsUpdated(Settings, frozen=True, kw_only=True):
    """The payload is all settings as they now are."""

    TYPE: ClassVar[str] = "settings.updated"


class SecretCreated(SecretFacts, frozen=True, kw_only=True):
    """A named secret was made; its value is not in the log. The payload is all that may be known of it."""

    TYPE: ClassVar[str] = "secret.created"
    secret_name: str


class SecretUpdated(SecretFacts, frozen=True, kw_only=True):
    """A named secret got another value. The payload is as when it was made."""

    TYPE: ClassVar[str] = "secret.updated"
    secret_name: str


class SecretRemoved(Value, frozen=True, kw_only=True):
    """A named secret is gone, with its value."""

    TYPE: ClassVar[str] = "secret.removed"
    secret_name: str
    removed_at: Time


class SealKeyChanged(Value, frozen=True, kw_only=True):
    """So many sealed secrets, of whatever kind, were sealed anew with another key."""

    TYPE: ClassVar[str] = "sealKey.changed"
    secrets: int


class KeyCreated(Value, frozen=True, kw_only=True):
    """A key was made; neither the key nor its digest is in the log."""

    TYPE: ClassVar[str] = "key.created"
    key_id: str
    name: str
    role: Role
    last4: str
    desktop_labels: tuple[str, ...] = ()
    created_at: Time
    expires_at: Time | None


class KeyRevoked(Value, frozen=True, kw_only=True):
    """A key no longer opens anything; sessions that began by it have ended with it."""

    TYPE: ClassVar[str] = "key.revoked"
    key_id: str
    revoked_at: Time


SignInMethod = Literal["key", "link"]


class AuthSignedIn(Value, frozen=True, kw_only=True):
    """A browser session began. The actor says who, and to admins from where, as `userAgent` says with what."""

    TYPE: ClassVar[str] = "auth.signedIn"
    session_id: str
    method: SignInMethod
    user_agent: str | None
    expires_at: Time


class AuthSignedOut(Value, frozen=True, kw_only=True):
    """A browser session was ended; the actor says by whom, `name` whose it was."""

    TYPE: ClassVar[str] = "auth.signedOut"
    session_id: str
    name: str


class AuthFailed(Value, frozen=True, kw_only=True):
    """Somebody showed a key or link that opens nothing. `count` attempts from one address are one event, and those of
    further addresses one without an address, so that nobody can fill the disk with them. Admins see the address."""

    TYPE: ClassVar[str] = "auth.failed"
    address: str | None
    method: SignInMethod
    count: int


Event = (
    TaskCreated
    | TaskUpdated
    | TaskStarted
    | TaskPhase
    | TaskCancelRequested
    | TaskReview
    | TaskCompleted
    | TaskFailed
    | TaskCancelled
    | TaskArchived
    | TaskNote
    | TaskOutput
    | TaskOutputGap
    | TaskOutputRemoved
    | TaskResponse
    | TaskProgress
    | ApprovalCreated
    | ApprovalResolved
    | DesktopCreated
    | DesktopUpdated
    | DesktopStarted
    | DesktopStopped
    | DesktopError
    | DesktopLink
    | DesktopAgentReady
    | DesktopRemoved
    | KnownHostAdded
    | KnownHostRemoved
    | SettingsUpdated
    | SecretCreated
    | SecretUpdated
    | SecretRemoved
    | SealKeyChanged
    | KeyCreated
    | KeyRevoked
    | AuthSignedIn
    | AuthSignedOut
    | AuthFailed
)

EVENTS: dict[str, type[Event]] = {kind.TYPE: kind for kind in get_args(Event)}
"""Every event by its wire name."""

_DECODERS = {name: msgspec.json.Decoder(kind) for name, kind in EVENTS.items()}


def decode_event(type: str, body: bytes) -> Event:
    """The event of a stored or received payload; unknown fields are ignored.

    Raises KeyError for a type that this version does not know, msgspec.ValidationError for a foreign payload.
    """
    return _DECODERS[type].decode(body)


_WHERE = {AuthFailed.TYPE: ("address",), AuthSignedIn.TYPE: ("user_agent",)}
"""What payloads say of where a person was, beside the actor's `from`."""


def without_address(type: str, body: bytes) -> bytes:
    """A payload as those read it who do not see from where people came, and with what."""
    if type not in _WHERE:
        return body
    return msgspec.json.encode(msgspec.structs.replace(decode_event(type, body), **dict.fromkeys(_WHERE[type])))


def _fields_of_subject(kind: type[Event]) -> tuple[str | None, str | None, str | None]:
    """The fields that name an event's task, desktop and entity; settings and failed sign-ins are about no object."""

    def first(*names: str) -> str | None:
        return next((name for name in names if name in kind.__struct_fields__), None)

    names = ("approval_id", "key_id", "secret_name", "known_host_id", "task_id", "desktop_id", "session_id")
    return first("task_id"), first("desktop_id"), first(*names)


_SUBJECT = {kind: _fields_of_subject(kind) for kind in EVENTS.values()}  # asked for every event that is appended


def subject_of(event: Event) -> tuple[str | None, str | None, str]:
    """The task, the desktop and the entity (what it is about) of an event, as the log indexes them."""
    task, desktop, entity = _SUBJECT[type(event)]
    return (
        None if task is None else getattr(event, task),
        None if desktop is None else getattr(event, desktop),
        event.TYPE.partition(".")[0] if entity is None else getattr(event, entity),
    )
