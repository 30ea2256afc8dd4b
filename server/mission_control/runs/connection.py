"""One kept SSH connection to a desktop, opened by rules that nobody's configuration can loosen.

- Nothing is sent to a host whose key is not the pinned one: the full public key is compared, and only its type is
  negotiated. (asyncssh would switch the check off when it is given no list of known hosts; it is always given one.)
- A host is offered the key, password or agent that its desktop names, and nothing else: not the server account's own
  keys, not its `~/.ssh/config`, unless the desktop's kind of authentication is exactly that.
- A link that is dead without saying so is noticed within `ConnectionLimits.silence_s_max`.
- Every way to fail is an `SshFailure` with a stable code and a sentence that says what to do.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from errno import ECONNABORTED, ECONNREFUSED, ECONNRESET, EPIPE, ETIMEDOUT
from pathlib import Path
from time import monotonic
from typing import Any, Literal, TypeAlias, cast

import anyio
import anyio.to_thread
import asyncssh
from msgspec import Struct

from ..domain.addresses import host_problem, username_problem

FailureCode = Literal[
    "address_invalid",
    "host_not_found",
    "host_unreachable",
    "connection_refused",
    "connect_timeout",
    "host_key_unknown",
    "host_key_changed",
    "host_key_revoked",
    "host_certificate_invalid",
    "auth_failed",
    "agent_unavailable",
    "key_invalid",
    "key_passphrase_wrong",
    "ssh_config_invalid",
    "jump_failed",
    "jump_refused",
    "connection_lost",
    "ssh_protocol_error",
]

PERMANENT: frozenset[FailureCode] = frozenset(
    {
        "address_invalid",
        "host_key_unknown",
        "host_key_changed",
        "host_key_revoked",
        "host_certificate_invalid",
        "auth_failed",
        "agent_unavailable",
        "key_invalid",
        "key_passphrase_wrong",
        "ssh_config_invalid",
        "jump_refused",
    }
)
"""Failures that trying again does not mend, a person does. Trying them often would fill the host's log, or lock the
account (fail2ban, pam_faillock)."""

SSH_PORT = 22
WINDOW_BYTES = 512 * 1024
PACKET_BYTES = 128 * 1024
REASON_CHARACTERS_MAX = 300  # of a peer's own words in our sentences

CIPHERS = (
    "aes128-gcm@openssh.com",  # in hardware on both ends nearly everywhere: 0.9 of OpenSSH's own client
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
)

HOST_KEY_ALGORITHMS: dict[str, tuple[str, ...]] = {
    "ed25519": ("ssh-ed25519",),
    "ecdsa": ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    "rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
"""Which signatures prove a host key of each type, newest first. SHA-1 (`ssh-rsa`) is not among them."""

HOST_CERTIFICATE_ALGORITHMS = (
    "ssh-ed25519-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "rsa-sha2-512-cert-v01@openssh.com",
    "rsa-sha2-256-cert-v01@openssh.com",
)


class SshFailure(Exception):
    """Why a desktop cannot be reached or used over SSH.

    `code` is a promise to scripts; the message is a sentence for people. For `host_key_changed`, `pinned` and `offered`
    are fingerprints as OpenSSH prints them.
    """

    def __init__(
        self, code: FailureCode, message: str, *, pinned: str | None = None, offered: Sequence[str] = ()
    ) -> None:
        self.code: FailureCode = code
        self.message = message
        self.pinned = pinned
        self.offered = tuple(offered)
        super().__init__(message)

    @property
    def is_permanent(self) -> bool:
        """Whether a person must act before another try can succeed."""
        return self.code in PERMANENT

    @property
    def is_final(self) -> bool:
        """Whether it is not tried again before a person says so."""
        return False

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class KeyAuth(Struct, frozen=True):
    """A private key in OpenSSH, PEM or PKCS#8 form, what opens it, and a certificate for it, as in its `…-cert.pub`."""

    private_key: str
    passphrase: str | None = None
    certificate: str | None = None

    def __repr__(self) -> str:
        return "KeyAuth(private_key=<secret>)"


class PasswordAuth(Struct, frozen=True):
    """A password, also for hosts that ask for it interactively."""

    password: str

    def __repr__(self) -> str:
        return "PasswordAuth(password=<secret>)"


class AgentAuth(Struct, frozen=True):
    """The keys of an SSH agent; `socket` is its path, by default that of the server's own environment."""

    socket: str | None = None


class ConfigAuth(Struct, frozen=True):
    """As `ssh` would: the host is looked up in the server account's configuration, with its keys and its agent.

    `path` is that file, by default `~/.ssh/config`. The host key is pinned all the same.
    """

    path: str | None = None


SshAuth: TypeAlias = KeyAuth | PasswordAuth | AgentAuth | ConfigAuth


class SshTarget(Struct, frozen=True, kw_only=True):
    """Where a desktop is, who we are there, and which host key proves that it is the one.

    With `ConfigAuth` the host may be an alias, and `username` and `port` override the configuration only when given.
    """

    host: str
    auth: SshAuth
    port: int | None = None
    username: str | None = None
    host_key: str | None = None  # the confirmed public key, as one line in OpenSSH's form
    host_authorities: tuple[str, ...] = ()  # instead: public keys, one of which signs its host certificate
    revoked_host_keys: tuple[str, ...] = ()  # keys of hosts and authorities that prove nothing
    jump: SshTarget | None = None  # the host that the connection leads through

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.username + '@' if self.username else ''}{host}{f':{self.port}' if self.port else ''}"


class OfferedKey(Struct, frozen=True):
    """A host key as the host showed it. `public_key` is what is pinned once somebody confirmed the fingerprint."""

    type: str  # ed25519, ecdsa, rsa
    fingerprint: str  # SHA256:… as OpenSSH prints it
    public_key: str


class ConnectionLimits(Struct, frozen=True, kw_only=True):
    """How long a connection may take, and how long it may be silent."""

    connect_s_max: float = 15.0  # from the first packet to the end of authentication
    keepalive_s: float = 3.0  # of silence before the host is asked whether it is there
    keepalive_count_max: int = 2  # questions without an answer; the next one due ends the connection

    @property
    def silence_s_max(self) -> float:
        """Seconds of silence after which the link counts as lost."""
        return self.keepalive_s * (self.keepalive_count_max + 1)


LIMITS = ConnectionLimits()


class Attempt:
    """What one attempt to connect has reached, in monotonic seconds: for the steps of a check."""

    def __init__(self) -> None:
        self.started_s = monotonic()
        self.connected_s: float | None = None
        self.verified_s: float | None = None
        self.authenticated_s: float | None = None


class SshConnection:
    """An open, authenticated connection. Made by `open_connection`, which also closes it."""

    def __init__(self, ssh: asyncssh.SSHClientConnection, target: SshTarget, client: _Client) -> None:
        self.ssh = ssh
        self.target = target
        self._client = client

    @property
    def is_open(self) -> bool:
        return not self._client.lost.is_set()

    @property
    def failure(self) -> SshFailure | None:
        """Why the connection ended, when it has ended and nobody here closed it."""
        return self._client.failure

    async def wait_lost(self) -> SshFailure:
        """Wait until the connection has ended, and say why."""
        await self._client.lost.wait()
        return self._client.failure or SshFailure("connection_lost", f"The connection to {self.target} was closed.")

    def statistics(self) -> dict[str, str]:
        """What was negotiated: for people who look for the reason of a slow or refused link."""
        names = ("server_version", "recv_cipher", "recv_mac", "send_cipher")
        return {name: str(cast(object, self.ssh.get_extra_info(name))) for name in names}


@asynccontextmanager
async def open_connection(
    target: SshTarget, *, limits: ConnectionLimits = LIMITS, attempt: Attempt | None = None
) -> AsyncGenerator[SshConnection]:
    """Connect, verify the host and authenticate; leaving the block closes the connection and all its channels.

    Raises `SshFailure`. Cancelling while it connects leaves nothing open. `attempt`, where given, records the steps.
    """
    check_address(target)
    if target.host_key is None and not target.host_authorities:
        raise SshFailure(
            "host_key_unknown", f"The host key of {target} was never confirmed. Compare its fingerprint and confirm it."
        )
    pinned = _read_public_key(target, target.host_key) if target.host_key else None
    async with _tunnel(target, limits) as tunnel:
        connection = await _connect(target, pinned, limits, attempt or Attempt(), tunnel)
        try:
            yield connection
        finally:
            connection.ssh.close()
            with anyio.CancelScope(shield=True):  # two turns of the loop: the socket is aborted, not drained
                await connection.ssh.wait_closed()


@asynccontextmanager
async def _tunnel(target: SshTarget, limits: ConnectionLimits) -> AsyncGenerator[asyncssh.SSHClientConnection | None]:
    """The connection to the host that the way leads through, verified like any other; None where there is none."""
    async with AsyncExitStack() as stack:
        tunnel = None
        if target.jump:
            try:
                tunnel = await stack.enter_async_context(open_connection(target.jump, limits=limits))
            except SshFailure as failure:
                code = "jump_refused" if failure.is_permanent else "jump_failed"
                message = f"The way to {target} leads through {target.jump}, which failed: {failure.message}"
                raise SshFailure(code, message) from failure
        yield tunnel.ssh if tunnel else None


async def offered_host_keys(target: SshTarget, *, limits: ConnectionLimits = LIMITS) -> list[OfferedKey]:
    """Every host key that the host can prove it owns, without telling it who we are.

    The conversation ends after the key exchange: no user name and no credential is ever sent. Raises `SshFailure`.
    """
    check_address(target)
    offered: list[OfferedKey] = []
    kinds = list(HOST_KEY_ALGORITHMS)
    async with _tunnel(target, limits) as tunnel:
        while kinds:
            try:
                key = await _host_key(target, kinds, limits, tunnel)
            except SshFailure as failure:
                if offered and _may_be_disagreement(failure):
                    break  # it has no key of the types that are left
                raise
            kind = _kind_of(key)
            offered.append(OfferedKey(type=kind, fingerprint=key.get_fingerprint(), public_key=public_line(key)))
            kinds.remove(kind)
    return offered


async def _host_key(
    target: SshTarget, kinds: Sequence[str], limits: ConnectionLimits, tunnel: asyncssh.SSHClientConnection | None
) -> asyncssh.SSHKey:
    """The key that the host prefers of these types."""
    algorithms = [algorithm for kind in kinds for algorithm in HOST_KEY_ALGORITHMS[kind]]
    settings = _settings(target, algorithms) | {"client_keys": None, "agent_path": None}
    with _failures(target):
        with anyio.fail_after(limits.connect_s_max):
            options = asyncssh.SSHClientConnectionOptions(**settings)
            key = await asyncssh.get_server_host_key(
                target.host,
                settings.get("port", ()),
                server_host_key_algs=algorithms,
                tunnel=tunnel or (),
                config=None,
                options=options,
            )
        if key is None:
            raise asyncssh.ProtocolError("no host key in the key exchange")
    return key


def _may_be_disagreement(failure: SshFailure) -> bool:
    """Whether the two ends may just have found no common key type. The host closes the connection as soon as it sees
    that, often before we have read enough to see it too."""
    return isinstance(failure.__cause__, asyncssh.KeyExchangeFailed) or failure.code == "connection_lost"


def fingerprint(public_key: str) -> str:
    """The fingerprint of a public key line, as OpenSSH prints it. Raises ValueError for none of a type used here."""
    key = asyncssh.import_public_key(public_key)
    _kind_of(key)
    return key.get_fingerprint()


def public_line(key: asyncssh.SSHKey) -> str:
    """A public key as one line, without its comment (which a host may choose)."""
    return " ".join(key.export_public_key("openssh").decode("ascii").split()[:2])


def check_address(target: SshTarget) -> None:
    """Refuse a host or user name that a program or a configuration on its way could take for anything but a name.

    The same rule as in OpenSSH's client: no leading `-`, no control character, blank or mark of a shell.
    """
    if reason := host_problem(target.host):
        raise SshFailure("address_invalid", f"The host {target.host!r} {reason}. Correct the desktop's address.")
    if target.username is not None and (reason := username_problem(target.username)):
        raise SshFailure("address_invalid", f"The user name {target.username!r} {reason}. Correct it.")
    if target.port is not None and not 1 <= target.port <= 65535:
        raise SshFailure("address_invalid", f"The port {target.port} is not between 1 and 65535. Correct it.")


class _Client(asyncssh.SSHClient):
    """Verifies the host, and remembers how far the connection came and why it ended."""

    def __init__(self, target: SshTarget, pinned: asyncssh.SSHKey | None, attempt: Attempt) -> None:
        self.target = target
        self.pinned = pinned
        self.attempt = attempt
        self.offered: asyncssh.SSHKey | None = None
        self.failure: SshFailure | None = None
        self.lost = anyio.Event()

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self.attempt.connected_s = monotonic()

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.offered = key
        if self.pinned is None or key.public_data != self.pinned.public_data:
            return False
        self.attempt.verified_s = monotonic()
        return True

    def auth_completed(self) -> None:
        if self.attempt.verified_s is None:  # by a certificate
            self.attempt.verified_s = monotonic()
        self.attempt.authenticated_s = monotonic()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            reason = _quoted(exc)
            self.failure = SshFailure("connection_lost", f"The connection to {self.target} was lost: {reason}")
        self.lost.set()


async def _connect(
    target: SshTarget,
    pinned: asyncssh.SSHKey | None,
    limits: ConnectionLimits,
    attempt: Attempt,
    tunnel: asyncssh.SSHClientConnection | None,
) -> SshConnection:
    client = _Client(target, pinned, attempt)
    algorithms = HOST_KEY_ALGORITHMS[_kind_of(pinned)] if pinned else HOST_CERTIFICATE_ALGORITHMS
    try:
        with _failures(target):
            async with _credentials(target) as credentials:
                attempt.started_s = monotonic()
                with anyio.fail_after(limits.connect_s_max):
                    ssh = await asyncssh.connect(
                        client_factory=lambda: client,
                        keepalive_interval=limits.keepalive_s,
                        keepalive_count_max=limits.keepalive_count_max,
                        **({"tunnel": tunnel} if tunnel else {}),
                        **_settings(target, algorithms),
                        **credentials,
                    )
    except SshFailure as failure:
        cause = failure.__cause__
        if isinstance(cause, asyncssh.HostKeyNotVerifiable) and "revoked" in str(cause):
            raise _revoked(target, cause) from cause
        if pinned is None:
            if isinstance(cause, asyncssh.HostKeyNotVerifiable):
                raise _uncertified(target, _quoted(cause)) from cause
            is_cut = attempt.connected_s and not attempt.verified_s and _may_be_disagreement(failure)
            if is_cut and await offered_host_keys(target, limits=limits):  # it speaks, but not of certificates
                raise _uncertified(target, "it shows no host certificate") from cause
            raise
        if isinstance(cause, asyncssh.HostKeyNotVerifiable) and client.offered is not None:
            raise _changed(target, pinned, [client.offered.get_fingerprint()]) from cause
        if attempt.connected_s and not attempt.verified_s and _may_be_disagreement(failure):
            offered = [key.fingerprint for key in await offered_host_keys(target, limits=limits)]
            if pinned.get_fingerprint() not in offered:  # it no longer has a key of the pinned type
                raise _changed(target, pinned, offered) from cause
        raise
    return SshConnection(ssh, target, client)


def _settings(target: SshTarget, host_key_algorithms: Sequence[str]) -> dict[str, Any]:
    """What holds for every connection. Each of these would otherwise come from a default or from a configuration."""
    return {
        **_where(target),
        "config": _config_files(target),
        # Nobody is trusted by a list of host keys: `_Client` compares with the pinned one.
        "known_hosts": ([], _read_keys(target, target.host_authorities), _read_keys(target, target.revoked_host_keys)),
        "server_host_key_algs": list(host_key_algorithms),
        "encryption_algs": list(CIPHERS),
        "compression_algs": None,  # a flood is faster without, and compressed secrets leak by their length
        "agent_forwarding": False,
        "x11_forwarding": False,
        "host_based_auth": False,
        "gss_auth": False,
        "gss_kex": False,
        "gss_host": None,
        "x509_trusted_certs": None,
        "x509_trusted_cert_paths": [],
        "command": None,
        "send_env": None,
        "request_pty": False,
        "login_timeout": 0,  # connect_s_max covers it
    }


@asynccontextmanager
async def _credentials(target: SshTarget) -> AsyncGenerator[dict[str, Any]]:
    """What this host is offered. `client_keys=None` is no key at all; an empty list would be the account's own."""
    auth = target.auth
    if isinstance(auth, PasswordAuth):
        yield {"password": auth.password, "client_keys": None, "agent_path": None, "public_key_auth": False}
    elif isinstance(auth, ConfigAuth):
        yield {"password_auth": False, "kbdint_auth": False}
    elif isinstance(auth, AgentAuth):
        async with _agent_keys(target, auth) as keys:
            yield {"client_keys": keys, "agent_path": None, "password_auth": False, "kbdint_auth": False}
    else:
        key = await anyio.to_thread.run_sync(_read_private_key, target, auth)  # opening one may take 100 ms
        pair = (key, _read_certificate(target, auth.certificate)) if auth.certificate else key
        yield {"client_keys": [pair], "agent_path": None, "password_auth": False, "kbdint_auth": False}


@asynccontextmanager
async def _agent_keys(target: SshTarget, auth: AgentAuth) -> AsyncGenerator[Sequence[asyncssh.SSHKeyPair]]:
    """The agent's keys; the agent stays connected, since it is the one that signs."""
    path = auth.socket or os.environ.get("SSH_AUTH_SOCK")
    if not path:
        raise SshFailure(
            "agent_unavailable", "The server knows no SSH agent: start it with SSH_AUTH_SOCK set, or use another key."
        )
    try:
        agent = await asyncssh.connect_agent(path)
    except OSError as error:
        raise SshFailure(
            "agent_unavailable", f"The SSH agent at {path} does not answer ({error.strerror}). Start it again."
        ) from error
    async with agent:
        try:
            keys = list(await agent.get_keys())
        except ValueError as error:
            raise SshFailure("agent_unavailable", f"The SSH agent at {path} failed: {_quoted(error)}") from error
        if not keys:
            raise SshFailure("auth_failed", f"The SSH agent at {path} holds no key. Add one with ssh-add.")
        yield keys


def _read_private_key(target: SshTarget, auth: KeyAuth) -> asyncssh.SSHKey:
    text = "\n".join(line.strip() for line in auth.private_key.strip().splitlines()) + "\n"  # as browsers paste it
    try:
        return asyncssh.import_private_key(text, auth.passphrase)
    except ValueError as error:
        if "bcrypt" in str(error):
            code, message = "key_invalid", f"The private key for {target} cannot be opened here: {_quoted(error)}."
        elif not _needs_passphrase(text):
            code, message = (
                "key_invalid",
                f"The private key for {target} cannot be read ({_quoted(error)}). Paste the whole file.",
            )
        elif auth.passphrase is None:
            code, message = "key_passphrase_wrong", f"The private key for {target} needs its passphrase. Enter both."
        else:
            code, message = (
                "key_passphrase_wrong",
                f"The passphrase does not open the private key for {target}. Enter both again.",
            )
        raise SshFailure(code, message) from error


def _read_certificate(target: SshTarget, text: str) -> asyncssh.SSHCertificate:
    try:
        return asyncssh.import_certificate(text.strip() + "\n")
    except ValueError as error:
        message = f"The certificate for {target} cannot be read ({_quoted(error)}). Paste the whole …-cert.pub file."
        raise SshFailure("key_invalid", message) from error


def _needs_passphrase(text: str) -> bool:
    try:
        asyncssh.import_private_key(text)
    except ValueError as error:
        return "Passphrase" in str(error)
    return False


def _read_keys(target: SshTarget, lines: Sequence[str]) -> list[asyncssh.SSHKey]:
    return [_read_public_key(target, line) for line in lines]


def _read_public_key(target: SshTarget, line: str) -> asyncssh.SSHKey:
    try:
        key = asyncssh.import_public_key(line)
        _kind_of(key)
    except ValueError as error:
        raise SshFailure(
            "host_key_unknown",
            f"A stored key by which {target} is verified cannot be read. Confirm its host key again.",
        ) from error
    return key


def _kind_of(key: asyncssh.SSHKey) -> str:
    algorithm = key.get_algorithm()
    if algorithm == "ssh-rsa":
        return "rsa"
    for kind, algorithms in HOST_KEY_ALGORITHMS.items():
        if algorithm in algorithms:
            return kind
    raise ValueError(f"no host key type for {algorithm}")


def _where(target: SshTarget) -> dict[str, Any]:
    """Only what is given, so that a configuration (where it is read) may say the rest."""
    where: dict[str, Any] = {"host": target.host}
    if target.port is not None or not isinstance(target.auth, ConfigAuth):
        where["port"] = target.port or SSH_PORT
    if target.username is not None:
        where["username"] = target.username
    return where


def _config_files(target: SshTarget) -> list[str]:
    if not isinstance(target.auth, ConfigAuth):
        return []
    path = Path(target.auth.path or "~/.ssh/config").expanduser()
    return [str(path)] if os.access(path, os.R_OK) else []


def _revoked(target: SshTarget, error: Exception) -> SshFailure:
    return SshFailure(
        "host_key_revoked",
        f"{target} shows a key that is marked as revoked ({_quoted(error)}). Nothing was sent to it. Whoever holds that"
        " key may not be your desktop: give it a new host key.",
    )


def _uncertified(target: SshTarget, said: str) -> SshFailure:
    return SshFailure(
        "host_certificate_invalid",
        f"{target} does not prove itself by a certificate of an authority that is trusted for it: {said}. Nothing was"
        " sent to it. Sign its host key for this name, or confirm its fingerprint instead.",
    )


def _changed(target: SshTarget, pinned: asyncssh.SSHKey, offered: list[str]) -> SshFailure:
    expected, found = pinned.get_fingerprint(), " and ".join(offered) or "no key of a known type"
    return SshFailure(
        "host_key_changed",
        f"{target} shows another host key. Confirmed: {expected}. Shown now: {found}. Nothing was sent to it. If it was"
        " set up anew, compare the fingerprint there and confirm it; otherwise somebody may be in between.",
        pinned=expected,
        offered=offered,
    )


@contextmanager
def _failures(target: SshTarget) -> Generator[None]:
    """Turn what the network, the peer and the library raise into `SshFailure`, the original as its cause."""
    try:
        yield
    except SshFailure:
        raise
    except Exception as error:  # asyncssh hands on whatever a peer's bytes made it raise
        code, message = _explain(target, error)
        raise SshFailure(code, message) from error


def _explain(target: SshTarget, error: Exception) -> tuple[FailureCode, str]:
    said = _quoted(error)
    match error:
        case TimeoutError():
            return (
                "connect_timeout",
                f"{target} did not answer in time. Is it on, and is its SSH port reachable from here?",
            )
        case socket.gaierror():
            return "host_not_found", f"The name {target.host} is not known here. Correct it, or use an address."
        case OSError():
            return _explain_refusal(target, error)
        case asyncssh.PermissionDenied():
            return "auth_failed", _auth_sentence(target)
        case asyncssh.DisconnectError() if "authentication failures" in str(error):
            return "auth_failed", f"{target} had enough of our keys: {said}. Name one key for this desktop."
        case asyncssh.ChannelOpenError():
            return "host_unreachable", f"{target.jump} cannot reach {target}: {said}. Check the address as seen there."
        case asyncssh.ConnectionLost():
            return "connection_lost", f"{target} closed the connection before it was ready: {said}"
        case asyncssh.HostKeyNotVerifiable():
            return "host_key_changed", f"{target} cannot prove its host key: {said}"
        case asyncssh.KeyExchangeFailed():
            return "ssh_protocol_error", f"{target} and this server have no common way to encrypt or sign: {said}"
        case asyncssh.ConfigParseError():
            return "ssh_config_invalid", f"The SSH configuration for {target.host} cannot be read: {said}"
        case _:
            return "ssh_protocol_error", f"{target} did not speak SSH as expected: {said}"


def _auth_sentence(target: SshTarget) -> str:
    match target.auth:
        case PasswordAuth():
            return f"{target} refused the password. Check user name and password, and that its sshd allows passwords."
        case KeyAuth():
            return f"{target} refused the key. Is its public key in ~/.ssh/authorized_keys of that user?"
        case AgentAuth():
            return f"{target} refused every key of the SSH agent. Add the right one with ssh-add."
        case ConfigAuth():
            return f"{target} refused. Does `ssh {target.host}` work for the account that runs this server?"


def _explain_refusal(target: SshTarget, error: OSError) -> tuple[FailureCode, str]:
    """A host with several addresses fails with the errors of each in one sentence (asyncio's own, and uvloop's)."""
    errors = {error.errno} if error.errno else {int(number) for number in re.findall(r"Errno (-?\d+)\]", str(error))}
    port = target.port or SSH_PORT
    if errors and errors <= {ECONNREFUSED}:
        return (
            "connection_refused",
            f"{target.host} answers, but nothing listens on port {port}. Is sshd running, and is the port right?",
        )
    if errors and errors <= {ETIMEDOUT}:
        return "connect_timeout", f"{target} did not answer in time. Is it on, and is its SSH port reachable from here?"
    if errors and errors <= {ECONNRESET, ECONNABORTED, EPIPE}:
        return "connection_lost", f"{target} closed the connection before it was ready: {_quoted(error)}"
    return "host_unreachable", f"There is no way to {target.host}: {_quoted(error)}. Check the network and the address."


def _quoted(error: BaseException) -> str:
    """A peer's or a library's own words, in bounds and without anything that a terminal would obey."""
    words = "".join(character if character.isprintable() else " " for character in str(error)) or type(error).__name__
    return words[:REASON_CHARACTERS_MAX]
