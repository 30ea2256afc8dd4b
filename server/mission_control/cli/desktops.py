"""`mission-control desktops …`: the hosts that tasks run on."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from cyclopts import App, Parameter

from .connection import HERE, Connection, open_client
from .failures import FAILED, INTERRUPTED, OK, USAGE, Failed
from .help import examples
from .tasks import AsJson, find_desktop

if TYPE_CHECKING:
    from ..domain.entities import Desktop
    from ..domain.watching import CheckStep
    from .client import Client

PATH = "/api/desktops"
READY_SECONDS_MAX = 30  # from the confirmed host key until the desktop takes tasks
POLL_SECONDS = 0.3

app = App(name="desktops", help="Add, check and remove desktops.")

DesktopName = Annotated[str, Parameter(help="Its id or name.")]


class Target(NamedTuple):
    """Where SSH goes: `user@host:port`, or an alias of `~/.ssh/config` for all of it."""

    host: str
    port: int | None
    username: str | None


def parse_target(text: str) -> Target:
    """`alias`, `user@host`, `host:2222`, `user@[::1]:22`. Raises ValueError with a sentence."""
    username, at, address = text.rpartition("@")
    if at and not username:
        raise ValueError(f"{text!r} has no user before the @")
    if address.startswith("["):
        host, bracket, rest = address[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r} is not of the form user@[address]:port")
        port = rest[1:]
        has_port = bool(rest)
    elif address.count(":") > 1:  # a bare IPv6 address
        host, port, has_port = address, "", False
    else:
        host, colon, port = address.partition(":")
        has_port = bool(colon)
    if has_port and not (port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= 65535):
        raise ValueError(f"{text!r} has a port that is not between 1 and 65535")
    if not host or host.startswith("-") or any(character.isspace() for character in text):
        raise ValueError(f"{text!r} is neither user@host nor an alias of ~/.ssh/config")
    return Target(host, int(port) if has_port else None, username or None)


@app.command(name="list", help_epilogue=examples("mission-control desktops list --json"))
def list_(
    *,
    removed: Annotated[bool, Parameter(help="Also those that were removed.")] = False,
    json: AsJson = False,
    server: Connection = HERE,
) -> None:
    """List desktops."""
    from ..domain.entities import Desktop
    from .render import print_json
    from .tables import print_desktops

    with open_client(server) as client:
        page = client.list(PATH, 10_000, removed="true" if removed else None)
    if json:
        print_json(page.body)
    else:
        print_desktops(page.of(Desktop))


@app.command(
    help_epilogue=examples(
        "mission-control desktops add deploy@build-1.example --identity ~/.ssh/id_ed25519",
        "mission-control desktops add build-1            (an alias of ~/.ssh/config on the server's machine)",
        "mission-control desktops add me@mac --password --agent-url http://127.0.0.1:18789/v1 --agent-token-file token",
        "mission-control desktops add ci@10.0.0.7:2222 --accept-fingerprint SHA256:…",
        "mission-control desktops add me@build-7 --known-hosts ~/.ssh/known_hosts --jump bastion",
    )
)
def add(
    target: Annotated[str, Parameter(help="user@host[:port], or an alias of the server's ~/.ssh/config.")],
    /,
    *,
    name: Annotated[str | None, Parameter(help="What people call it. [default: the host]")] = None,
    identity: Annotated[Path | None, Parameter(name=["--identity", "-i"], help="Private key to sign in with.")] = None,
    password: Annotated[bool, Parameter(help="Sign in with a password; it is asked for, or read from stdin.")] = False,
    ssh_agent: Annotated[bool, Parameter(help="Sign in with the SSH agent of the server's account.")] = False,
    ssh_config: Annotated[
        bool, Parameter(help="Sign in as ~/.ssh/config of the server's account says. This is the default.")
    ] = False,
    agent_url: Annotated[str | None, Parameter(help="Its agent's base address, as in OPENAI_BASE_URL.")] = None,
    agent_token_file: Annotated[Path | None, Parameter(help="File with the agent's token.")] = None,
    agent_model: Annotated[str | None, Parameter(help="Model to ask for.")] = None,
    agent_kind: Annotated[Literal["openai", "openclaw"], Parameter(help="What answers there.")] = "openai",
    agent_via: Annotated[
        Literal["ssh", "direct"],
        Parameter(help="Who asks it: the desktop itself (ssh), or this server (direct), whose prompts end with it."),
    ] = "ssh",
    label: Annotated[list[str] | None, Parameter(help="A label; may be given several times.")] = None,
    outpost_python: Annotated[
        str | None, Parameter(help="Another Python to start its outpost with. [default: python3]")
    ] = None,
    outpost_directory: Annotated[
        str | None,
        Parameter(help="Where its outpost keeps its files. [default: ~/.local/state/mission-control]"),
    ] = None,
    concurrent: Annotated[int | None, Parameter(help="How many tasks may run there at once. [default: 4]")] = None,
    accept_fingerprint: Annotated[
        str | None, Parameter(metavar="SHA256:…", help="Accept exactly this host key, instead of asking.")
    ] = None,
    known_hosts: Annotated[
        Path | None,
        Parameter(help="Trust the host as this file says, as ~/.ssh/known_hosts: keys, @cert-authority, @revoked."),
    ] = None,
    host_authority: Annotated[
        Path | None,
        Parameter(help="Trust the host if this public key, such as ca.pub, signed its host certificate."),
    ] = None,
    certificate: Annotated[
        Path | None, Parameter(help="Certificate for --identity. [default: IDENTITY-cert.pub, if it is there]")
    ] = None,
    jump: Annotated[str | None, Parameter(metavar="DESKTOP", help="Desktop that the way leads through.")] = None,
    json: AsJson = False,
    server: Connection = HERE,
) -> int:
    """Add a desktop: its host key is shown for confirmation, then it is checked step by step.

    Compare the fingerprint with what `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints on the desktop.
    """
    from ..domain.entities import Desktop
    from .client import decoded, desktop_path

    try:
        where = parse_target(target)
    except ValueError as error:
        raise Failed(f"{error}.", USAGE) from None
    ssh: dict[str, object] = {
        "host": where.host,
        "auth": _auth(target, identity, certificate, password=password, agent=ssh_agent, config=ssh_config),
    }
    ssh |= {key: value for key, value in (("port", where.port), ("username", where.username)) if value is not None}
    if sum(given is not None for given in (accept_fingerprint, known_hosts, host_authority)) > 1:
        raise Failed("Choose one of --accept-fingerprint, --known-hosts and --host-authority.", USAGE)
    if accept_fingerprint:
        ssh["hostKeyFingerprint"] = accept_fingerprint
    if host_authority:
        ssh["hostAuthority"] = _public_key(host_authority)
    known: Known | None = None
    if known_hosts:
        known = known_in(_read_secret(known_hosts, "file"), where, str(known_hosts))
        ssh["revokedHostKeys"] = known.revoked
        if known.authority:
            ssh["hostAuthority"] = known.authority
    body: dict[str, object] = {"name": name or where.host, "ssh": ssh}
    if agent_url:
        agent = {
            "kind": agent_kind,
            "url": agent_url,
            "via": agent_via,
            "model": agent_model,
            "token": _token(agent_token_file),
        }
        body["agent"] = {key: value for key, value in agent.items() if value is not None}
    elif agent_token_file or agent_model:
        raise Failed("--agent-token-file and --agent-model need --agent-url.", USAGE)
    if label:
        body["labels"] = label
    if outpost_python or outpost_directory:
        outpost = {"python": outpost_python, "directory": outpost_directory}
        body["outpost"] = {key: value for key, value in outpost.items() if value is not None}
    if concurrent is not None:
        body["maxConcurrentTasks"] = concurrent
    with open_client(server) as client:
        if jump:
            ssh["jump"] = find_desktop(client, jump).id
        desktop = decoded(client.post_once(PATH, body), Desktop)
        if desktop.status == "pending":
            fingerprint = _confirmed(client, desktop, known)
            change = {"ssh": {"hostKeyFingerprint": fingerprint}}
            desktop = decoded(client.patch(desktop_path(desktop.id), change), Desktop)
        desktop = _wait_until_ready(client, desktop)
        if json:
            from .render import print_json

            print_json(client.get(desktop_path(desktop.id)))
        else:
            print(desktop.id)
        return OK if desktop.status == "running" else FAILED


@app.command(help_epilogue=examples("mission-control desktops check build-1"))
def check(desktop: DesktopName, /, *, json: AsJson = False, server: Connection = HERE) -> int:
    """Try a desktop now, step by step: connect, host key, sign-in, shell, agent. Exits with 1 when a step fails."""
    from .render import print_json

    with open_client(server) as client:
        id = find_desktop(client, desktop).id
        answer, is_fine = _check(client, id, show=not json)
        if json:
            print_json(answer)
        return OK if is_fine else FAILED


@app.command(help_epilogue=examples("mission-control desktops remove build-1"))
def remove(desktop: DesktopName, /, *, server: Connection = HERE) -> None:
    """Take a desktop out of the fleet. Its pending tasks are cancelled, its history stays."""
    from .client import desktop_path

    with open_client(server) as client:
        id = find_desktop(client, desktop).id
        client.delete(desktop_path(id))
        print(id)


class Known(NamedTuple):
    """What a known_hosts file says about a host: fingerprints of its keys, who signs them, and what is revoked."""

    fingerprints: list[str]
    authority: str | None
    revoked: list[str]


def known_in(text: str, where: Target, file: str) -> Known:
    """What a known_hosts file says about a host; names may be hashed. Raises Failed when that is nothing."""
    import asyncssh

    try:
        # `[host]:port` is how the file names a host on another port than 22.
        port = where.port if where.port not in (None, 22) else None
        keys, authorities, revoked, *_ = asyncssh.import_known_hosts(text).match(where.host, "", port)
    except ValueError as error:
        raise Failed(f"{file} cannot be read as known_hosts: {error}.", USAGE) from None
    if len(authorities) > 1:
        raise Failed(f"{file} names several authorities for {where.host}. Choose one with --host-authority.", USAGE)
    if not keys and not authorities:
        raise Failed(f"{file} does not name {where.host}{f' on port {port}' if port else ''}.", USAGE)
    trusted = [key.get_fingerprint() for key in keys if key not in revoked]
    if not authorities and not trusted:
        raise Failed(f"{file} marks every key of {where.host} as revoked.", USAGE)

    def line(key: asyncssh.SSHKey) -> str:
        return " ".join(key.export_public_key("openssh").decode("ascii").split()[:2])

    return Known(trusted, line(authorities[0]) if authorities else None, [line(key) for key in revoked])


def _public_key(file: Path) -> str:
    """A .pub file without its comment."""
    return " ".join(_read_secret(file, "public key").split()[:2])


def _auth(
    target: str, identity: Path | None, certificate: Path | None, *, password: bool, agent: bool, config: bool
) -> dict[str, str]:
    """How to sign in, with its secret read from where it is. Raises Failed."""
    if sum((identity is not None, password, agent, config)) > 1:
        raise Failed("Choose one of --identity, --password, --ssh-agent and --ssh-config.", USAGE)
    if certificate and identity is None:
        raise Failed("--certificate goes with --identity.", USAGE)
    if password:
        return {"kind": "password", "password": _secret(f"Password of {target}: ")}
    if agent:
        return {"kind": "agent"}
    if identity is None:
        return {"kind": "config"}
    key = _read_secret(identity, "private key")
    if key.startswith(("ssh-", "ecdsa-", "sk-")):
        raise Failed(f"{identity} is a public key. Name the private one, usually the file without .pub.", USAGE)
    auth = {"kind": "key", "privateKey": key}
    beside = identity.with_name(f"{identity.name}-cert.pub")
    if certificate is None and beside.expanduser().is_file():
        certificate = beside  # as ssh does
    if certificate:
        auth["certificate"] = _read_secret(certificate, "certificate")
    if is_encrypted(key):
        auth["passphrase"] = _secret(f"Passphrase of {identity}: ")
    return auth


def is_encrypted(private_key: str) -> bool:
    """Whether a private key needs a passphrase. OpenSSH's form names its cipher first (PROTOCOL.key)."""
    import base64
    import binascii

    lines = [line.strip() for line in private_key.strip().splitlines()]
    if lines and lines[0] == "-----BEGIN OPENSSH PRIVATE KEY-----":
        try:
            body = base64.b64decode("".join(lines[1:-1]))
        except binascii.Error:
            return False
        return body.startswith(b"openssh-key-v1\0") and not body.startswith(b"openssh-key-v1\0\0\0\0\x04none")
    return any("ENCRYPTED" in line for line in lines[:3])


def _read_secret(file: Path, what: str) -> str:
    try:
        return file.expanduser().read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise Failed(f"The {what} {file} cannot be read: {reason}.", USAGE) from None


def _token(file: Path | None) -> str | None:
    return _read_secret(file, "token file").strip() if file else None


def _secret(question: str) -> str:
    """A secret from the person, not shown while it is typed; without a terminal the next line of stdin."""
    if sys.stdin.isatty():
        import getpass

        try:
            return getpass.getpass(question)
        except EOFError:
            raise Failed("Nothing was typed.", USAGE) from None
    return sys.stdin.readline().rstrip("\r\n")


def _confirmed(client: Client, desktop: Desktop, known: Known | None) -> str:
    """The fingerprint that the person confirms. Otherwise the desktop is removed again: nothing was trusted."""
    from .client import desktop_path
    from .terminal import ask, can_ask

    keys = desktop.ssh.offered_host_keys
    try:
        if not keys:
            reason = desktop.error.message if desktop.error else "It showed no host key."
            raise Failed(f"{desktop.ssh.host} was not added: {reason}")
        if known:
            for key in keys:
                if key.fingerprint in known.fingerprints:
                    return key.fingerprint
            offered = " and ".join(key.fingerprint for key in keys)
            raise Failed(
                f"{desktop.ssh.host} was not added: it shows {offered}, which the known_hosts file does not name."
            )
        shown = "\n".join(f"  {key.fingerprint}  {key.type}" for key in keys)
        print(
            f"{desktop.ssh.host} shows {'this host key' if len(keys) == 1 else 'these host keys'}:\n{shown}",
            file=sys.stderr,
        )
        if not can_ask():
            raise Failed(
                f"{desktop.ssh.host} was not added: nobody is here to confirm its host key. Compare it, then say"
                " --accept-fingerprint SHA256:… with it."
            )
        try:
            answer = ask(f"Is {keys[0].fingerprint} the desktop's key? Type yes, or paste the one that it has: ")
        except KeyboardInterrupt:
            print(file=sys.stderr)
            raise Failed(f"{desktop.ssh.host} was not added.", INTERRUPTED) from None
        chosen = keys[0].fingerprint if answer.lower() == "yes" else answer
        if chosen not in [key.fingerprint for key in keys]:
            raise Failed(f"{desktop.ssh.host} was not added: its host key was not confirmed.")
    except Failed:
        client.delete(desktop_path(desktop.id))
        raise
    return chosen


def _wait_until_ready(client: Client, desktop: Desktop) -> Desktop:
    """The desktop when it runs or cannot; what a check of it finds is said on the way."""
    from ..domain.entities import Desktop
    from .client import decoded, desktop_path
    from .render import note

    _check(client, desktop.id, show=True)
    until = time.monotonic() + READY_SECONDS_MAX
    while True:
        desktop = decoded(client.get(desktop_path(desktop.id)), Desktop)
        if desktop.status not in ("pending", "booting"):
            break
        if time.monotonic() > until:
            note(f"{desktop.name} is still {desktop.status}. Later: mission-control desktops check {desktop.id}")
            return desktop
        time.sleep(POLL_SECONDS)
    note(f"{desktop.name} is {desktop.status}." + (f" {desktop.error.message}" if desktop.error else ""))
    return desktop


def _check(client: Client, id: str, *, show: bool) -> tuple[bytes, bool]:
    """What a check answered, and whether every step went well."""
    from ..domain.watching import CheckReport
    from .client import decoded, desktop_path

    answer = client.post(desktop_path(id, "/check"))
    report = decoded(answer, CheckReport)
    if show:
        for step in report.steps:
            print(_step(step), file=sys.stderr)
    return answer, report.ok


def _step(step: CheckStep) -> str:
    from .terminal import one_line

    mark = {True: "✓", False: "✗", None: "·"}[step.ok]
    took = f"  ({step.ms} ms)" if step.ok is not None else ""
    return f"{mark} {step.name.replace('_', ' '):<13} {one_line(step.detail)}{took}"
