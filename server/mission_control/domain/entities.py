"""What exists: tasks, approvals, desktops, settings and keys, as they stand now.

Each is an immutable value. `…Facts` is an object without its id: what its created-event carries beside the id.
Decisions about them stand in the module of each concept; `fold.py` applies events to them.
"""

from __future__ import annotations

from typing import Literal

from .values import Actor, Error, LeftRunning, Role, Time, Usage, Value

TaskType = Literal["prompt", "command"]
TaskStatus = Literal["pending", "running", "review", "done", "failed", "cancelled"]
STATUSES: tuple[TaskStatus, ...] = ("pending", "running", "review", "done", "failed", "cancelled")
OPEN: frozenset[TaskStatus] = frozenset(("pending", "running", "review"))
NEXT: dict[TaskStatus, frozenset[TaskStatus]] = {
    "pending": frozenset(("running", "cancelled")),
    "running": frozenset(("review", "done", "failed", "cancelled")),
    "review": frozenset(("done", "failed")),
    "done": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
}
"""The life of a task: where it may go from each status. There is no other way; a retry is a new task."""
Phase = Literal["queued", "starting", "streaming", "draining"]
PHASES: tuple[Phase, ...] = ("queued", "starting", "streaming", "draining")
"""In the order in which a run goes through them; it may leave some out and never goes back."""
Decision = Literal["approve", "reject"]


class TaskFacts(Value, frozen=True, kw_only=True):
    """What is known about a task."""

    type: TaskType
    content: str
    status: TaskStatus
    desktop_id: str
    requires_approval: bool
    created_at: Time
    started_at: Time | None = None  # somebody ran it
    completed_at: Time | None = None
    phase: Phase | None = None
    executed_at: Time | None = None  # the desktop began; timeout and duration count from here
    cancel_requested_at: Time | None = None
    instance_id: str | None = None  # the outpost that was asked to run it; None in direct mode
    boot_id: str | None = None  # and since which boot of its desktop
    attempt: int = 0  # a prompt's requests are numbered from 1; a command has one run
    duration_ms: int | None = None
    title: str | None = None
    labels: tuple[str, ...] = ()
    batch_id: str | None = None
    retry_of: str | None = None
    session_id: str | None = None  # prompts that share it continue one conversation with the agent
    exit_code: int | None = None
    signal: str | None = None
    left_running: tuple[LeftRunning, ...] | None = None
    error: Error | None = None
    result: str | None = None
    feedback: str | None = None
    timeout_seconds: int | None = None
    env: dict[str, str] = {}
    secrets: tuple[str, ...] = ()  # names; the command gets their values as variables
    cwd: str | None = None
    tty: bool = False
    masked_count: int = 0  # secrets that were masked in what it produced; known when the run is over
    usage: Usage | None = None
    created_by: Actor
    archived: bool = False
    output_removed_at: Time | None = None
    version: int = 1


class Task(TaskFacts, frozen=True, kw_only=True):
    """A task as it is now."""

    id: str


ApprovalStatus = Literal["pending", "approved", "rejected"]


class ApprovalFacts(Value, frozen=True, kw_only=True):
    """That a finished task waits for a decision, and the decision."""

    task_id: str
    desktop_id: str
    status: ApprovalStatus
    created_at: Time
    resolved_at: Time | None = None
    resolved_by: Actor | None = None
    feedback: str | None = None


class Approval(ApprovalFacts, frozen=True, kw_only=True):
    """An approval as it is now."""

    id: str


DesktopStatus = Literal["pending", "booting", "running", "stopped", "error"]
LinkState = Literal["up", "reconnecting", "down"]
AuthKind = Literal["key", "password", "agent", "config"]
AgentKind = Literal["openai", "openclaw"]
AgentVia = Literal["ssh", "direct"]


class HostKey(Value, frozen=True, kw_only=True):
    """A host key as the host offers it; `public_key` is its line as in known_hosts, without the host."""

    type: str
    fingerprint: str
    public_key: str


Marker = Literal["cert-authority", "revoked"]


class KnownHostFacts(Value, frozen=True, kw_only=True):
    """What holds for every desktop whose host matches one of the patterns: its host certificate counts when this key
    signed it, or, `revoked`, this key proves nothing."""

    marker: Marker
    hosts: tuple[str, ...]
    public_key: str
    fingerprint: str
    created_at: Time
    created_by: Actor


class KnownHost(KnownHostFacts, frozen=True, kw_only=True):
    """A line of the fleet's known_hosts, with its marker."""

    id: str


class Auth(Value, frozen=True, kw_only=True):
    """How the server signs in; the secret itself is sealed elsewhere."""

    kind: AuthKind


class Ssh(Value, frozen=True, kw_only=True):
    """Where and how a desktop is reached.

    It proves itself by the pinned `hostKey`, or else by a certificate for its name of `hostAuthority`, or where it has
    none, of one of `fleetAuthorities`; never by one of `revokedHostKeys` or `fleetRevokedKeys`. Those of the fleet are
    what its known hosts say of this address. `offeredHostKeys` is what it showed at first. `jump` is the desktop that
    the way leads through.
    """

    host: str
    port: int
    username: str | None
    auth: Auth
    host_key_fingerprint: str | None = None
    host_key: str | None = None
    offered_fingerprints: tuple[str, ...] = ()
    offered_host_keys: tuple[HostKey, ...] = ()
    host_authority: str | None = None
    revoked_host_keys: tuple[str, ...] = ()
    fleet_authorities: tuple[str, ...] = ()
    fleet_revoked_keys: tuple[str, ...] = ()
    jump: str | None = None

    @property
    def authorities(self) -> tuple[str, ...]:
        """Whose host certificates are taken: none where a key was confirmed, its own before the fleet's."""
        if self.host_key_fingerprint:
            return ()
        return (self.host_authority,) if self.host_authority else self.fleet_authorities

    @property
    def all_revoked_keys(self) -> tuple[str, ...]:
        """What proves nothing, whoever says so."""
        return (*self.revoked_host_keys, *(key for key in self.fleet_revoked_keys if key not in self.revoked_host_keys))

    @property
    def is_confirmed(self) -> bool:
        """Whether somebody has said how this host proves that it is the one."""
        return bool(self.host_key_fingerprint or self.authorities)


class Agent(Value, frozen=True, kw_only=True):
    """The chat endpoint of a desktop's agent; `url` is its base address, as in OPENAI_BASE_URL."""

    kind: AgentKind
    url: str
    model: str | None = None
    via: AgentVia = "ssh"
    has_token: bool = False


class OutpostFacts(Value, frozen=True, kw_only=True):
    """What keeps runs alive on the desktop, as it said when it was attached. `warning` says what may still end it."""

    version: str
    python: str
    directory: str
    warning: str | None = None


class OutpostOptions(Value, frozen=True, kw_only=True):
    """How the outpost of a desktop is started: its interpreter, and where its files are (None: the usual place)."""

    python: str = "python3"
    directory: str | None = None


class DesktopFacts(Value, frozen=True, kw_only=True):
    """What is known about a desktop. `durable` tells whether its runs survive a lost connection, and if they do not,
    `notDurableBecause` why."""

    name: str
    status: DesktopStatus
    created_at: Time
    ssh: Ssh
    agent: Agent | None = None
    agent_ready: bool = False
    labels: tuple[str, ...] = ()
    max_concurrent_tasks: int
    ip_address: str | None = None
    tier: None = None
    keep_alive: bool = False
    link: LinkState = "down"
    next_try_at: Time | None = None
    durable: bool = False
    not_durable_because: str | None = None
    outpost: OutpostFacts | None = None
    outpost_options: OutpostOptions = OutpostOptions()
    os: str | None = None
    last_seen_at: Time | None = None
    error: Error | None = None
    removed_at: Time | None = None
    version: int = 1


class Desktop(DesktopFacts, frozen=True, kw_only=True):
    """A desktop as it is now."""

    id: str


class Settings(Value, frozen=True, kw_only=True):
    """What people change at run time."""

    task_approval_mode: bool = False


class SecretFacts(Value, frozen=True, kw_only=True):
    """What is known about a secret that tasks may be given: never any part of its value."""

    created_at: Time
    created_by: Actor
    updated_at: Time
    updated_by: Actor


class Secret(SecretFacts, frozen=True, kw_only=True):
    """A named secret as it is now. Its name is that of the variable in which a command gets it."""

    name: str

    @property
    def id(self) -> str:
        return self.name


class Key(Value, frozen=True, kw_only=True):
    """An API key: never the key itself, only its last 4 characters. With `desktopLabels` it reaches only the desktops
    that carry one of them."""

    id: str
    name: str
    role: Role
    last4: str
    desktop_labels: tuple[str, ...] = ()
    created_at: Time
    expires_at: Time | None = None
    revoked_at: Time | None = None
