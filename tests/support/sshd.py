"""Real SSH servers for these tests: Debian's sshd, and a small one of asyncssh for what needs a password."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import anyio
import asyncssh

from mission_control.runs.connection import KeyAuth, SshAuth, SshTarget, public_line
from tests.support.processes import children_of

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", ""))


@cache
def key(algorithm: str, name: str = "host") -> asyncssh.SSHKey:
    """One key of a type for the whole test session: making RSA keys takes long."""
    return asyncssh.generate_private_key(algorithm)


def private_text(key_: asyncssh.SSHKey, passphrase: str | None = None) -> str:
    """As a person pastes it. PKCS#8 where it has a passphrase: OpenSSH's own form needs bcrypt to write."""
    return key_.export_private_key("pkcs8-pem" if passphrase else "openssh", passphrase).decode()


@dataclass
class SshHost:
    """A running sshd, and who may log in."""

    port: int
    username: str
    process: subprocess.Popen[bytes]
    folder: Path
    user_key: asyncssh.SSHKey
    host_keys: Mapping[str, asyncssh.SSHKey]
    home: Path  # the account's as its sessions see it: nothing is left in the real one

    def target(
        self, *, port: int | None = None, auth: SshAuth | None = None, host_key: str | None = "ed25519"
    ) -> SshTarget:
        pinned = public_line(self.host_keys[host_key]) if host_key else None
        return SshTarget(
            host="127.0.0.1",
            port=port or self.port,
            username=self.username,
            host_key=pinned,
            auth=auth or KeyAuth(private_text(self.user_key)),
        )

    def ssh(self, **facts: Any) -> dict[str, Any]:
        """What the API is told to reach and sign in to it, without a host key."""
        auth = {"kind": "key", "privateKey": private_text(self.user_key)}
        return {"host": "127.0.0.1", "port": self.port, "username": self.username, "auth": auth} | facts

    @property
    def fingerprint(self) -> str:
        """Of the host key that is pinned at first."""
        return self.host_keys["ed25519"].get_fingerprint()

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def kill_sessions(self) -> None:
        """End the processes that serve connections, as an administrator or the kernel's OOM killer might."""
        for pid in _descendants(self.process.pid):
            if _name(pid) == "sshd":
                _kill(pid)


@asynccontextmanager
async def open_sshd(
    *,
    account: str | None = None,
    host_keys: Mapping[str, asyncssh.SSHKey] | None = None,
    user_key: asyncssh.SSHKey | None = None,
    port: int | None = None,
    home: Path | None = None,
    options: tuple[str, ...] = (),
) -> AsyncGenerator[SshHost]:
    """Start sshd on a free loopback port for one account (by default the one that runs the test)."""
    assert SSHD, "these tests need Debian's openssh-server: apt-get install openssh-server"
    account = account or pwd.getpwuid(os.getuid()).pw_name
    user_key = user_key or key("ssh-ed25519", "user")
    host_keys = host_keys or {"ed25519": key("ssh-ed25519")}
    port = port or _free_port()
    folder = Path(tempfile.mkdtemp(prefix="sshd-"))
    folder.chmod(0o755)
    try:
        for name, host_key in host_keys.items():
            path = folder / f"host_{name}"
            path.write_bytes(host_key.export_private_key("openssh"))
            path.chmod(0o600)
        home = home or folder / "home"
        home.mkdir(mode=0o700, exist_ok=True)
        (folder / "authorized_keys").write_bytes(user_key.export_public_key())
        lines = [
            f"ListenAddress 127.0.0.1:{port}",
            *(f"HostKey {folder}/host_{name}" for name in host_keys),
            f"AuthorizedKeysFile {folder}/authorized_keys",
            "PidFile none",
            "UsePAM no",
            "StrictModes no",
            "PermitRootLogin prohibit-password",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "MaxStartups 100",
            "LogLevel VERBOSE",
            "AcceptEnv MISSION_CONTROL_TASK_ID GREETING",
            f"SetEnv HOME={home}",
            *options,
        ]
        (folder / "config").write_text("\n".join(lines) + "\n")
        entry = pwd.getpwnam(account)
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
            for path in (folder, *folder.iterdir()):
                os.chown(path, entry.pw_uid, entry.pw_gid)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", folder / "config"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=entry.pw_uid if os.getuid() != entry.pw_uid else None,  # then a locked password does not matter
                group=entry.pw_gid if os.getuid() != entry.pw_uid else None,
            )
        host = SshHost(port, account, process, folder, user_key, host_keys, home)
        try:
            await _until_it_answers(host)
            yield host
        finally:
            for pid in [*_descendants(process.pid), process.pid]:
                if pid == process.pid or _name(pid) == "sshd":
                    _kill(pid)
            process.wait()
            end_processes_of(host.home)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _PasswordServer(asyncssh.SSHServer):
    def __init__(self, password: str, interactive: bool) -> None:
        self._password, self._interactive = password, interactive

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return not self._interactive

    def validate_password(self, username: str, password: str) -> bool:
        return password == self._password

    def kbdint_auth_supported(self) -> bool:
        return self._interactive

    def get_kbdint_challenge(
        self, username: str, lang: str, submethods: str
    ) -> tuple[str, str, str, list[tuple[str, bool]]]:
        return "", "", "", [("Password: ", False)]

    def validate_kbdint_response(self, username: str, responses: Sequence[str]) -> bool:
        return list(responses) == [self._password]


@asynccontextmanager
async def open_password_server(password: str, *, interactive: bool = False) -> AsyncGenerator[int]:
    """An SSH server that lets anybody with the password in, and answers every command with `hello`. Gives its port."""

    async def answer(process: asyncssh.SSHServerProcess[str]) -> None:
        process.stdout.write("hello\n")
        process.exit(0)

    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=lambda: _PasswordServer(password, interactive),
        server_host_keys=[key("ssh-ed25519")],
        process_factory=answer,
        config=[],
    )
    async with server:
        yield server.get_port()


def regular_account() -> str | None:
    """An account that is not root and has a shell: OpenSSH refuses signals for root."""
    if os.getuid() != 0:
        return pwd.getpwuid(os.getuid()).pw_name
    for entry in pwd.getpwall():
        if 1000 <= entry.pw_uid < 60000 and entry.pw_shell.endswith("sh"):
            return entry.pw_name
    return None


async def _until_it_answers(host: SshHost) -> None:
    with anyio.fail_after(20):
        while True:
            assert host.process.poll() is None, host.log
            try:
                async with await anyio.connect_tcp("127.0.0.1", host.port) as stream:
                    if (await stream.receive()).startswith(b"SSH-2.0"):
                        return
            except (OSError, anyio.EndOfStream):
                await anyio.sleep(0.01)  # nothing tells when it listens


def end_processes_of(home: Path) -> None:
    """Kill what runs with this home: outposts, their runs, and what those left behind."""
    mark = b"HOME=" + os.fsencode(home)
    for proc in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            handle = os.pidfd_open(int(proc.name))  # a pid alone may belong to somebody else by the time of the kill
            try:
                if mark in (proc / "environ").read_bytes().split(b"\0"):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
            finally:
                os.close(handle)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _descendants(pid: int) -> list[int]:
    """Deepest first, so that none is adopted by init while we go through them."""
    found: list[int] = []
    for child in children_of(pid):
        found += [*_descendants(child), child]
    return found


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
