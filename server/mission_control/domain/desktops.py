"""The life of a desktop: `pending → booting → running ⇄ stopped`, and `error` with a code while it cannot be used.

pending: no host key is confirmed yet. booting: it is being connected. running: it takes tasks. stopped: a person took
it out of service. An unreachable desktop stays running with `link: reconnecting` for a while, and is then `error`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, ClassVar
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, UnsetType

from . import limits
from .addresses import host_problem, username_problem
from .entities import (
    Agent,
    AgentKind,
    AgentVia,
    Auth,
    AuthKind,
    Desktop,
    HostKey,
    KnownHost,
    LinkState,
    OutpostFacts,
    OutpostOptions,
    Ssh,
    Task,
)
from .errors import (
    DESKTOP_HAS_RUNNING_TASKS,
    DESKTOP_IS_JUMP,
    DESKTOP_REMOVED,
    SECRET_NEEDED,
    FieldError,
    Refused,
    invalid,
    invalid_fields,
)
from .events import (
    DesktopAgentReady,
    DesktopCreated,
    DesktopError,
    DesktopLink,
    DesktopRemoved,
    DesktopStarted,
    DesktopStopped,
    DesktopUpdated,
    Event,
)
from .shapes import (
    FINGERPRINT_PATTERN,
    PUBLIC_KEY_PATTERN,
    PYTHON_PATTERN,
    URL_PATTERN,
    ConcurrentTasks,
    Directory,
    Fingerprint,
    Host,
    Id,
    Labels,
    Model,
    Name,
    Port,
    PublicKey,
    Python,
    RevokedKeys,
    Secret,
    Url,
    Username,
)
from .tasks import cancel, labels_problem
from .values import Error, Time, Value, is_name


class NewAuth(Value, forbid_unknown_fields=True, tag_field="kind", frozen=True, kw_only=True):
    """How to sign in; secrets are write-only."""


class KeyAuth(NewAuth, tag="key", frozen=True, kw_only=True):
    """A private key in OpenSSH or PEM form, and where its hosts want one, the certificate (`…-cert.pub`) that goes
    with it."""

    private_key: Secret
    passphrase: Secret | None = None
    certificate: Secret | None = None


class PasswordAuth(NewAuth, tag="password", frozen=True, kw_only=True):
    """A password of the account."""

    password: Secret


class AgentAuth(NewAuth, tag="agent", frozen=True, kw_only=True):
    """The SSH agent of the account that the server runs as."""


class ConfigAuth(NewAuth, tag="config", frozen=True, kw_only=True):
    """What `~/.ssh/config` of the account that the server runs as says for this host alias."""


AnyAuth = KeyAuth | PasswordAuth | AgentAuth | ConfigAuth


class NewSsh(Value, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Where a desktop is. It is trusted by the fingerprint of its host key, or because `hostAuthority` signed it.

    `jump` is the id of another desktop through which the way leads.
    """

    RULES: ClassVar[dict[str, Any]] = {
        "not": {
            "properties": {"hostKeyFingerprint": {"type": "string"}, "hostAuthority": {"type": "string"}},
            "required": ["hostKeyFingerprint", "hostAuthority"],
        }
    }

    host: Host
    port: Port = 22
    username: Username | None = None
    host_key_fingerprint: Fingerprint | None = None
    host_authority: PublicKey | None = None
    revoked_host_keys: RevokedKeys = ()
    jump: Id | None = None
    auth: AnyAuth


class NewAgent(Value, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The chat endpoint of its agent."""

    kind: AgentKind
    url: Url
    token: Secret | None = None
    model: Model | None = None
    via: AgentVia = "ssh"


class NewOutpost(Value, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How its outpost is started, where the usual way does not do: another Python, another place for its files."""

    python: Python = OutpostOptions().python
    directory: Directory | None = None


class NewDesktop(Value, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What a person or a script gives to add a desktop."""

    name: Name
    ssh: NewSsh
    agent: NewAgent | None = None
    labels: Labels = ()
    max_concurrent_tasks: ConcurrentTasks = limits.CONCURRENT_TASKS_DEFAULT
    outpost: NewOutpost = NewOutpost()


class SshEdit(Value, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Changes of the address or sign-in; absent fields stay. A confirmed fingerprint takes the place of an authority,
    and an authority that of a fingerprint."""

    RULES: ClassVar[dict[str, Any]] = NewSsh.RULES

    host: Host | UnsetType = UNSET
    port: Port | UnsetType = UNSET
    username: Username | UnsetType | None = UNSET
    host_key_fingerprint: Fingerprint | UnsetType = UNSET
    host_authority: PublicKey | UnsetType | None = UNSET
    revoked_host_keys: RevokedKeys | UnsetType = UNSET
    jump: Id | UnsetType | None = UNSET
    auth: AnyAuth | UnsetType = UNSET


class DesktopEdit(Value, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What may be changed; absent fields stay."""

    name: Name | UnsetType = UNSET
    ssh: SshEdit | UnsetType = UNSET
    agent: NewAgent | UnsetType | None = UNSET
    labels: Labels | UnsetType = UNSET
    max_concurrent_tasks: ConcurrentTasks | UnsetType = UNSET
    outpost: NewOutpost | UnsetType = UNSET


class Reached(Value, frozen=True, kw_only=True):
    """What is found when a desktop is connected: its system, and its outpost or why there is none."""

    os: str | None = None
    outpost: OutpostFacts | None = None
    not_durable_because: str | None = None

    @property
    def durable(self) -> bool:
        return self.outpost is not None


DEFAULT_PORT = 22

_PYTHON = re.compile(PYTHON_PATTERN)
_FINGERPRINT = re.compile(FINGERPRINT_PATTERN)
_PUBLIC_KEY = re.compile(PUBLIC_KEY_PATTERN)
_URL = re.compile(URL_PATTERN)


def problems_of(new: NewDesktop) -> list[FieldError]:
    """What is wrong with a new desktop, one entry a field; empty when nothing is."""
    errors: list[FieldError] = []

    def check(pointer: str, wrong: str | None) -> None:
        if wrong:
            errors.append(FieldError(pointer, wrong))

    check("/name", _name_problem(new.name))
    check("/ssh/host", host_problem(new.ssh.host))
    if new.ssh.username is not None:
        check("/ssh/username", username_problem(new.ssh.username))
    if not 1 <= new.ssh.port <= 65535:
        check("/ssh/port", "is not between 1 and 65535")
    fingerprint = new.ssh.host_key_fingerprint
    if fingerprint is not None and not _FINGERPRINT.fullmatch(fingerprint):
        check("/ssh/hostKeyFingerprint", "is not of the form SHA256:… that ssh-keygen -l prints")
    if new.ssh.host_authority is not None:
        check("/ssh/hostAuthority", public_key_problem(new.ssh.host_authority))
        if fingerprint is not None:
            check("/ssh/hostAuthority", "cannot be combined with hostKeyFingerprint")
    if len(new.ssh.revoked_host_keys) > limits.REVOKED_KEYS_MAX:
        check("/ssh/revokedHostKeys", f"must be at most {limits.REVOKED_KEYS_MAX}")
    for index, key in enumerate(new.ssh.revoked_host_keys):
        check(f"/ssh/revokedHostKeys/{index}", public_key_problem(key))
    check("/labels", labels_problem(new.labels))
    if not 1 <= new.max_concurrent_tasks <= limits.CONCURRENT_TASKS_MAX:
        check("/maxConcurrentTasks", f"is not between 1 and {limits.CONCURRENT_TASKS_MAX}")
    errors += _auth_problems(new.ssh.auth)
    if new.agent:
        errors += _agent_problems(new.agent)
    check("/outpost/python", _python_problem(new.outpost.python))
    if new.outpost.directory is not None:
        check("/outpost/directory", _directory_problem(new.outpost.directory))
    return errors


def public_key_problem(line: str) -> str | None:
    """What is wrong with a line as in a .pub file; None when nothing is, by its form."""
    if len(line) > limits.PUBLIC_KEY_CHARACTERS_MAX or not _PUBLIC_KEY.fullmatch(line):
        return "is not a public key as in a .pub file without its comment: ssh-ed25519 AAAA…"
    return None


def _agent_problems(agent: NewAgent) -> list[FieldError]:
    found = {
        "url": _url_problem(agent.url),
        "token": _secret_problem(agent.token),
        "model": f"is longer than {limits.MODEL_CHARACTERS_MAX} characters"
        if len(agent.model or "") > limits.MODEL_CHARACTERS_MAX
        else None,
    }
    return [FieldError(f"/agent/{name}", wrong) for name, wrong in found.items() if wrong]


def _auth_problems(auth: AnyAuth) -> list[FieldError]:
    secrets: dict[str, str | None] = {}
    match auth:
        case KeyAuth():
            secrets = {
                "privateKey": auth.private_key,
                "passphrase": auth.passphrase,
                "certificate": auth.certificate,
            }
        case PasswordAuth():
            secrets = {"password": auth.password}
        case _:
            pass
    found = {name: _secret_problem(secret) for name, secret in secrets.items()}
    return [FieldError(f"/ssh/auth/{name}", wrong) for name, wrong in found.items() if wrong]


def _secret_problem(secret: str | None) -> str | None:
    if len(secret or "") > limits.SECRET_CHARACTERS_MAX:
        return f"is longer than {limits.SECRET_CHARACTERS_MAX} characters"
    return None


def _python_problem(python: str) -> str | None:
    if not _PYTHON.fullmatch(python) or len(python) > limits.PATH_CHARACTERS_MAX:
        return "is not the name or path of a Python interpreter, in letters, digits and _ . / + -"
    return None


def _directory_problem(directory: str) -> str | None:
    is_absolute = directory.startswith(("/", "~/"))
    if not is_absolute or not directory.isprintable() or len(directory) > limits.PATH_CHARACTERS_MAX:
        return "is not a path on the desktop that begins with / or ~/"
    return None


def _name_problem(name: str) -> str | None:
    if not is_name(name, limits.NAME_CHARACTERS_MAX):
        return f"must have 1 to {limits.NAME_CHARACTERS_MAX} printable characters"
    return None


def _url_problem(url: str) -> str | None:
    if len(url) > limits.URL_CHARACTERS_MAX:
        return f"is longer than {limits.URL_CHARACTERS_MAX} characters"
    if _URL.fullmatch(url):
        return None
    if re.match("https?://[^/]*@|[^?#]+[?#]", url):
        return "carries a user, a query or a fragment; give the plain base address and the token apart"
    return "is not an http or https URL, for example http://127.0.0.1:18789/v1"


def base_url(url: str) -> str:
    """The base address as in OPENAI_BASE_URL; a bare host gets `/v1`."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/") or "/v1"
    return f"{parts.scheme}://{parts.netloc}{path}"


def create(
    new: NewDesktop,
    *,
    id: str,
    at: Time,
    offered: Sequence[HostKey],
    error: Error | None = None,
    known: Iterable[KnownHost] = (),
) -> list[Event]:
    """A new desktop: booting when the given fingerprint is one that the host offers, or an authority was given or is
    known for such hosts, else pending.

    Raises Refused when a fingerprint is given that the host does not offer.
    """
    confirmed = None
    if new.ssh.host_key_fingerprint and offered:
        confirmed = _offered_key(offered, new.ssh.host_key_fingerprint)
    ssh = Ssh(
        host=new.ssh.host,
        port=new.ssh.port,
        username=new.ssh.username,
        auth=Auth(kind=_kind_of(new.ssh.auth)),
        host_key_fingerprint=new.ssh.host_key_fingerprint,
        host_key=confirmed.public_key if confirmed else None,
        offered_fingerprints=tuple(key.fingerprint for key in offered),
        offered_host_keys=tuple(offered),
        host_authority=new.ssh.host_authority,
        revoked_host_keys=new.ssh.revoked_host_keys,
        jump=new.ssh.jump,
    )
    ssh = _with_known_hosts(ssh, known)
    return [
        DesktopCreated(
            desktop_id=id,
            name=new.name,
            status="booting" if ssh.is_confirmed else "pending",
            created_at=at,
            ssh=ssh,
            agent=_agent_of(new.agent),
            labels=new.labels,
            max_concurrent_tasks=new.max_concurrent_tasks,
            outpost_options=_options_of(new.outpost),
            error=error,
        )
    ]


def _offered_key(offered: Sequence[HostKey], fingerprint: str) -> HostKey:
    for key in offered:
        if key.fingerprint == fingerprint:
            return key
    shown = ", ".join(key.fingerprint for key in offered) or "none yet"
    raise invalid("/ssh/hostKeyFingerprint", f"is not one that the host offers ({shown})")


def _kind_of(auth: AnyAuth) -> AuthKind:
    match auth:
        case KeyAuth():
            return "key"
        case PasswordAuth():
            return "password"
        case AgentAuth():
            return "agent"
        case ConfigAuth():
            return "config"


def _agent_of(new: NewAgent | None) -> Agent | None:
    if new is None:
        return None
    return Agent(kind=new.kind, url=base_url(new.url), model=new.model, via=new.via, has_token=bool(new.token))


def _options_of(new: NewOutpost) -> OutpostOptions:
    return OutpostOptions(python=new.python, directory=new.directory)


def edit(desktop: Desktop, changes: DesktopEdit, *, known: Iterable[KnownHost] = ()) -> list[Event]:
    """Change a desktop; nothing when nothing differs. A new address or sign-in connects it anew.

    A changed address needs its secret again, and so does an agent that is reached elsewhere: a stored secret is never
    sent to another place.
    """
    _refuse_removed(desktop)
    old, ssh, boots, moved = desktop.ssh, desktop.ssh, False, False
    if changes.ssh is not UNSET:
        names = ("host", "port", "username", "host_authority", "revoked_host_keys", "jump")
        given = {name: value for name in names if (value := getattr(changes.ssh, name)) is not UNSET}
        ssh = msgspec.structs.replace(ssh, **given)
        if changes.ssh.auth is not UNSET:
            if wrong := _auth_problems(changes.ssh.auth):
                raise invalid_fields(wrong)
            ssh = msgspec.structs.replace(ssh, auth=Auth(kind=_kind_of(changes.ssh.auth)))
            boots = True
        moved = (ssh.host, ssh.port, ssh.jump) != (old.host, old.port, old.jump)
        if moved and old.auth.kind in ("key", "password") and changes.ssh.auth is UNSET:
            raise Refused(SECRET_NEEDED, errors=(FieldError("/ssh/auth", "is needed"),), what="SSH address")
        if moved:
            ssh = msgspec.structs.replace(
                ssh, host_key_fingerprint=None, host_key=None, offered_fingerprints=(), offered_host_keys=()
            )
        if ssh.host_authority and ssh.host_authority != old.host_authority:
            ssh = msgspec.structs.replace(ssh, host_key_fingerprint=None, host_key=None)
        if changes.ssh.host_key_fingerprint is not UNSET:
            if changes.ssh.host_authority is UNSET:
                ssh = msgspec.structs.replace(ssh, host_authority=None)
            ssh = pin(ssh, changes.ssh.host_key_fingerprint)
        ssh = _with_known_hosts(ssh, known)
        boots = boots or ssh != old
    agent, rekeyed = _edited_agent(desktop, changes.agent, moved=moved)
    name = desktop.name if changes.name is UNSET else changes.name
    labels = desktop.labels if changes.labels is UNSET else changes.labels
    most = desktop.max_concurrent_tasks if changes.max_concurrent_tasks is UNSET else changes.max_concurrent_tasks
    options = desktop.outpost_options if changes.outpost is UNSET else _options_of(changes.outpost)
    boots = boots or options != desktop.outpost_options
    _check_edit(name, ssh, labels, most, options)
    status = desktop.status
    if boots and status != "stopped":
        status = "booting" if ssh.is_confirmed else "pending"
    changed = msgspec.structs.replace(
        desktop,
        name=name,
        ssh=ssh,
        agent=agent,
        labels=labels,
        max_concurrent_tasks=most,
        outpost_options=options,
    )
    if changed == desktop and not boots and not rekeyed:
        return []
    return [
        DesktopUpdated(
            desktop_id=desktop.id,
            name=name,
            status=status,
            version=desktop.version + 1,
            ssh=ssh,
            agent=agent,
            agent_ready=desktop.agent_ready and agent == desktop.agent and not rekeyed,
            labels=labels,
            max_concurrent_tasks=most,
            outpost_options=options,
            error=None if boots else desktop.error,
            link="down" if boots else desktop.link,
            next_try_at=None if boots else desktop.next_try_at,
        )
    ]


def _edited_agent(desktop: Desktop, new: NewAgent | UnsetType | None, *, moved: bool) -> tuple[Agent | None, bool]:
    """The agent after an edit, and whether its token was given anew. A token goes only where it went before."""
    old = desktop.agent
    if new is UNSET:
        agent = old
    else:
        if new is not None and (wrong := _agent_problems(new)):
            raise invalid_fields(wrong)
        agent = _agent_of(new)
        if agent and agent.has_token:
            return agent, True
    if agent and old and old.has_token:
        # "Over SSH" the same URL names another place once the desktop's address has changed.
        if (agent.url, agent.via) != (old.url, old.via) or (moved and agent.via == "ssh"):
            raise Refused(SECRET_NEEDED, errors=(FieldError("/agent/token", "is needed"),), what="agent address")
        agent = msgspec.structs.replace(agent, has_token=True)
    return agent, False


def _check_edit(name: str, ssh: Ssh, labels: tuple[str, ...], most: int, options: OutpostOptions) -> None:
    as_new = NewDesktop(
        name=name,
        ssh=NewSsh(
            host=ssh.host,
            port=ssh.port,
            username=ssh.username,
            host_key_fingerprint=ssh.host_key_fingerprint,
            host_authority=ssh.host_authority,
            revoked_host_keys=ssh.revoked_host_keys,
            auth=AgentAuth(),
        ),
        labels=labels,
        max_concurrent_tasks=most,
        outpost=NewOutpost(python=options.python, directory=options.directory),
    )
    if wrong := problems_of(as_new):
        raise invalid_fields(wrong)


def apply_known_hosts(desktop: Desktop, known: Iterable[KnownHost]) -> list[Event]:
    """What the fleet knows of its host has changed. It is connected anew where that changes how it proves itself."""
    ssh = _with_known_hosts(desktop.ssh, known)
    if desktop.removed_at or ssh == desktop.ssh:
        return []
    if desktop.status == "stopped" or _proof(ssh) == _proof(desktop.ssh):
        return [_updated(desktop, ssh=ssh)]
    status = "booting" if ssh.is_confirmed else "pending"
    return [_updated(desktop, ssh=ssh, status=status, error=None, link="down")]


def _with_known_hosts(ssh: Ssh, known: Iterable[KnownHost]) -> Ssh:
    """The address with what the fleet's known hosts say of it."""
    found = [one for one in known if matches(one.hosts, ssh.host, ssh.port)]
    return msgspec.structs.replace(
        ssh,
        fleet_authorities=tuple({one.public_key: None for one in found if one.marker == "cert-authority"}),
        fleet_revoked_keys=tuple({one.public_key: None for one in found if one.marker == "revoked"}),
    )


def matches(patterns: Iterable[str], host: str, port: int) -> bool:
    """Whether a host is meant, as in known_hosts: one pattern matches, and none that begins with `!`.

    `[host]:port` means that port only; a bare name any port, as `ssh` does with certificates.
    """
    names = (host.lower(), f"[{host.lower()}]:{port}")
    is_meant = False
    for pattern in patterns:
        glob = pattern.removeprefix("!").lower().replace("[", "[[]")  # a bracket means itself
        if any(fnmatchcase(name, glob) for name in names):
            if pattern.startswith("!"):
                return False
            is_meant = True
    return is_meant


def _proof(ssh: Ssh) -> tuple[object, ...]:
    """What decides whether the host is the one. Of a pinned key it does not matter which others are revoked."""
    revoked = set(ssh.all_revoked_keys)
    return ssh.host_key, ssh.authorities, revoked if ssh.authorities else revoked & {ssh.host_key}


def pin(ssh: Ssh, fingerprint: str) -> Ssh:
    """The address with one of the offered host keys confirmed; one that has offered none yet is compared when it does.

    Raises Refused when the host did not offer it.
    """
    if not ssh.offered_host_keys:
        return msgspec.structs.replace(ssh, host_key_fingerprint=fingerprint, host_key=None)
    key = _offered_key(ssh.offered_host_keys, fingerprint)
    return msgspec.structs.replace(ssh, host_key_fingerprint=fingerprint, host_key=key.public_key)


def offer(desktop: Desktop, offered: Sequence[HostKey]) -> list[Event]:
    """Take down which host keys the host shows; a fingerprint that was given before is pinned if it is among them."""
    if desktop.removed_at or not offered:
        return []
    ssh = msgspec.structs.replace(
        desktop.ssh,
        offered_fingerprints=tuple(key.fingerprint for key in offered),
        offered_host_keys=tuple(offered),
    )
    if ssh.host_key_fingerprint and ssh.host_key is None:
        ssh = pin(ssh, ssh.host_key_fingerprint)
    if ssh == desktop.ssh and desktop.error is None:
        return []
    status = desktop.status
    if status == "error":  # it answers again
        status = "booting" if ssh.is_confirmed else "pending"
    return [_updated(desktop, ssh=ssh, status=status, error=None)]


def _updated(desktop: Desktop, **changes: object) -> DesktopUpdated:
    facts: dict[str, object] = {"name": desktop.name, "status": desktop.status} | changes
    return DesktopUpdated(desktop_id=desktop.id, version=desktop.version + 1, **facts)  # type: ignore[arg-type]


def started(desktop: Desktop, *, at: Time, ip_address: str | None, reached: Reached) -> list[Event]:
    """It is connected and its shell answers. Nothing for one that is out of service or already known to be up."""
    if desktop.status in ("stopped", "pending") or desktop.removed_at:
        return []
    if desktop.status == "running" and desktop.link == "up":
        return []
    return [
        DesktopStarted(
            desktop_id=desktop.id,
            name=desktop.name,
            status="running",
            version=desktop.version + 1,
            error=None,
            link="up",
            next_try_at=None,
            last_seen_at=at,
            ip_address=ip_address,
            os=reached.os,
            durable=reached.durable,
            not_durable_because=reached.not_durable_because,
            outpost=reached.outpost,
        )
    ]


def failed(desktop: Desktop, error: Error, *, next_try_at: Time | None) -> list[Event]:
    """It cannot be used. A desktop that is out of service or not confirmed keeps its status and only shows why."""
    if desktop.removed_at or (desktop.error == error and desktop.link == "down"):
        return []
    status = desktop.status if desktop.status in ("stopped", "pending") else "error"
    return [
        DesktopError(
            desktop_id=desktop.id,
            name=desktop.name,
            status=status,
            version=desktop.version + 1,
            error=error,
            link="down",
            next_try_at=next_try_at,
            agent_ready=False,
        )
    ]


def link_changed(
    desktop: Desktop,
    link: LinkState,
    *,
    at: Time,
    error: Error | None = None,
    next_try_at: Time | None = None,
    reached: Reached | None = None,
) -> list[Event]:
    """The connection came or went; the status stays until it has been away for long, and an error keeps its reason.

    Where it came, `reached` is what was found.
    """
    if desktop.status == "error" and error is None:
        error = desktop.error
    found: dict[str, object] = {}
    if reached:
        found = {name: getattr(reached, name) for name in ("os", "durable", "not_durable_because", "outpost")}
    is_news = any(getattr(desktop, name) != value for name, value in found.items())
    if desktop.removed_at or (desktop.link == link and desktop.error == error and not is_news):
        return []
    return [
        DesktopLink(
            desktop_id=desktop.id,
            name=desktop.name,
            status=desktop.status,
            version=desktop.version + 1,
            link=link,
            error=error,
            next_try_at=next_try_at,
            last_seen_at=at if link == "up" or desktop.link == "up" else desktop.last_seen_at,
            **found,  # type: ignore[arg-type]
        )
    ]


def agent_ready(desktop: Desktop, ready: bool) -> list[Event]:
    """Its agent answers, or does not any more."""
    if desktop.agent_ready == ready or desktop.removed_at:
        return []
    return [
        DesktopAgentReady(
            desktop_id=desktop.id,
            name=desktop.name,
            status=desktop.status,
            version=desktop.version + 1,
            agent_ready=ready,
        )
    ]


def stop(desktop: Desktop) -> list[Event]:
    """Take it out of service: no new runs. Stopping twice changes nothing."""
    _refuse_removed(desktop)
    if desktop.status == "stopped":
        return []
    return [
        DesktopStopped(
            desktop_id=desktop.id, name=desktop.name, status="stopped", version=desktop.version + 1, error=None
        )
    ]


def start(desktop: Desktop) -> list[Event]:
    """Bring it back into service; it is connected first."""
    _refuse_removed(desktop)
    status = "booting" if desktop.ssh.is_confirmed else "pending"
    if desktop.status in ("running", status):
        return []
    return [_updated(desktop, status=status, error=None)]


def restart(desktop: Desktop) -> list[Event]:
    """Connect it anew."""
    _refuse_removed(desktop)
    status = "booting" if desktop.ssh.is_confirmed else "pending"
    return [_updated(desktop, status=status, error=None, link="down")]


def jump_problem(desktop_id: str | None, jump: str, desktops: Mapping[str, Desktop]) -> str | None:
    """Why the way to a desktop (None: a new one) cannot lead through another; None when it can."""
    passed = 0
    at: str | None = jump
    while at is not None:
        found = desktops.get(at)
        if found is None or found.removed_at:
            return f"there is no desktop {at}"
        if at == desktop_id:
            return "leads back to this desktop"
        passed += 1
        if passed > limits.JUMPS_MAX:
            return f"leads through more than {limits.JUMPS_MAX} desktops"
        at = found.ssh.jump
    return None


def remove(desktop: Desktop, tasks: Sequence[Task], others: Iterable[Desktop] = (), *, at: Time) -> list[Event]:
    """Take it out of the fleet for good; its pending tasks are cancelled. Not while something runs on it, nor while
    the way to one of the others leads through it."""
    _refuse_removed(desktop)
    behind = [other.name for other in others if other.ssh.jump == desktop.id and not other.removed_at]
    if behind:
        raise Refused(DESKTOP_IS_JUMP, name=desktop.name, others=", ".join(behind[:5]))
    mine = [task for task in tasks if task.desktop_id == desktop.id]
    running = [task for task in mine if task.status == "running"]
    if running:
        raise Refused(DESKTOP_HAS_RUNNING_TASKS, name=desktop.name, count=len(running))
    cancelled = [event for task in mine if task.status == "pending" for event in cancel(task, at=at)]
    removed = DesktopRemoved(
        desktop_id=desktop.id,
        name=desktop.name,
        status="stopped",
        version=desktop.version + 1,
        link="down",
        agent_ready=False,
        error=None,
        removed_at=at,
    )
    return [*cancelled, removed]


def _refuse_removed(desktop: Desktop) -> None:
    if desktop.removed_at:
        raise Refused(DESKTOP_REMOVED, name=desktop.name)
