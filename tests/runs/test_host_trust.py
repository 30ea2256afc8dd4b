"""Hosts that prove themselves by a certificate, keys that are revoked, ways through other hosts, and our certificates.

Everything against Debian's sshd.

ASVS 5.0: 12.3.1 (connections to desktops are encrypted, and do not fall back to what is less).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from msgspec.structs import replace

from mission_control.runs.connection import (
    ConfigAuth,
    KeyAuth,
    SshFailure,
    SshTarget,
    offered_host_keys,
    open_connection,
    public_line,
)
from tests.support.sshd import SshHost, key, open_sshd, private_text

DAY = 24 * 3600
CA, OTHER_CA = key("ssh-ed25519", "authority"), key("ssh-ed25519", "another authority")
HOST_KEY = key("ssh-ed25519")


def certified(folder: Path, ca: asyncssh.SSHKey = CA, **facts: Any) -> tuple[str, ...]:
    """The options of an sshd whose host key an authority has signed."""
    facts = {"principals": ["127.0.0.1"], "valid_after": 0, "valid_before": time.time() + DAY} | facts
    path = folder / "host-cert.pub"
    path.write_bytes(ca.generate_host_certificate(HOST_KEY, "host", **facts).export_certificate())
    path.chmod(0o644)
    return (f"HostCertificate {path}",)


def by_authority(host: SshHost, ca: asyncssh.SSHKey = CA, *revoked: asyncssh.SSHKey) -> SshTarget:
    """The host, trusted because of who signed its key."""
    target = host.target(host_key=None)
    return replace(target, host_authorities=(public_line(ca),), revoked_host_keys=tuple(map(public_line, revoked)))


async def failure_of(target: SshTarget) -> SshFailure:
    with pytest.raises(SshFailure) as caught:
        async with open_connection(target):
            pass
    return caught.value


async def said(target: SshTarget, command: str = "echo hi") -> str:
    async with open_connection(target) as connection:
        return str((await connection.ssh.run(command)).stdout).strip()


async def test_a_host_is_trusted_because_its_authority_signed_it(tmp_path: Path):
    async with open_sshd(options=certified(tmp_path)) as host:
        assert await said(by_authority(host)) == "hi"


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"ca": OTHER_CA}, "not trusted"),
        ({"valid_before": 1000}, "expired"),
        ({"valid_after": time.time() + DAY, "valid_before": time.time() + 2 * DAY}, "not yet valid"),
        ({"principals": ["another.example"]}, "principal"),
    ],
)
async def test_a_certificate_that_does_not_hold_is_refused_before_anything_is_sent(
    tmp_path: Path, facts: dict[str, Any], words: str
):
    async with open_sshd(options=certified(tmp_path, **facts)) as host:
        failure = await failure_of(by_authority(host))
        assert (failure.code, failure.is_permanent) == ("host_certificate_invalid", True)
        assert words in failure.message.lower()
        assert "userauth" not in host.log and "Accepted" not in host.log


async def test_a_host_without_a_certificate_does_not_fall_back_to_its_plain_key():
    async with open_sshd() as host:
        assert (await failure_of(by_authority(host))).code == "host_certificate_invalid"
        assert "Accepted" not in host.log


@pytest.mark.parametrize("revoked", [CA, HOST_KEY], ids=["the authority", "the host key"])
async def test_a_revoked_key_proves_nothing_though_it_is_signed(tmp_path: Path, revoked: asyncssh.SSHKey):
    async with open_sshd(options=certified(tmp_path)) as host:
        assert (await failure_of(by_authority(host, CA, revoked))).code == "host_key_revoked"
        assert "Accepted" not in host.log


async def test_a_revoked_key_proves_nothing_though_it_is_pinned():
    async with open_sshd() as host:
        target = replace(host.target(), revoked_host_keys=(public_line(HOST_KEY),))
        assert (await failure_of(target)).code == "host_key_revoked"
        assert "Accepted" not in host.log


async def test_the_way_leads_through_another_host_and_each_is_verified():
    async with open_sshd() as jump, open_sshd(host_keys={"ed25519": key("ssh-ed25519", "inner")}) as inner:
        target = replace(inner.target(), jump=jump.target())
        assert await said(target, "echo $SSH_CONNECTION") != ""
        assert "Accepted publickey" in jump.log and "Accepted publickey" in inner.log
        [offered] = await offered_host_keys(target)
        assert offered.public_key == public_line(key("ssh-ed25519", "inner"))


async def test_the_way_may_lead_through_several():
    async with open_sshd() as first, open_sshd() as second, open_sshd() as inner:
        way = replace(second.target(), jump=first.target())
        assert await said(replace(inner.target(), jump=way)) == "hi"


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda jump: replace(jump, host_key=public_line(OTHER_CA)), "jump_refused", "another host key"),
        (lambda jump: replace(jump, host_key=None), "jump_refused", "never confirmed"),
        (lambda jump: replace(jump, auth=KeyAuth(private_text(OTHER_CA))), "jump_refused", "authorized_keys"),
        (lambda jump: replace(jump, port=1), "jump_failed", "nothing listens"),
    ],
)
async def test_a_jump_host_that_fails_is_named_and_the_host_behind_it_hears_nothing(
    change: Callable[[SshTarget], SshTarget], code: str, words: str
):
    async with open_sshd() as jump, open_sshd() as inner:
        failure = await failure_of(replace(inner.target(), jump=change(jump.target())))
        assert failure.code == code
        assert words in failure.message and "leads through" in failure.message
        assert "Connection from" not in inner.log.partition("Server listening")[2].split("\n", 2)[2]


async def test_a_changed_key_behind_a_jump_host_is_refused_like_any_other():
    async with open_sshd() as jump, open_sshd(host_keys={"ed25519": key("ssh-ed25519", "inner")}) as inner:
        target = replace(inner.target(), host_key=public_line(OTHER_CA), jump=jump.target())
        assert (await failure_of(target)).code == "host_key_changed"
        assert "Accepted" not in inner.log


async def test_what_the_jump_host_cannot_reach_is_said():
    async with open_sshd() as jump:
        failure = await failure_of(replace(jump.target(port=1), jump=jump.target()))
        assert failure.code == "host_unreachable"
        assert "cannot reach" in failure.message


def user_certificate(host: SshHost, ca: asyncssh.SSHKey = CA, **facts: Any) -> KeyAuth:
    """A key that no authorized_keys names, with a certificate for it."""
    mine = key("ssh-ed25519", "certified user")
    facts = {"principals": [host.username], "valid_after": 0, "valid_before": time.time() + DAY} | facts
    certificate = ca.generate_user_certificate(mine, "me", **facts).export_certificate().decode()
    return KeyAuth(private_text(mine), certificate=certificate)


async def test_a_certificate_of_ours_opens_a_host_that_trusts_its_authority(tmp_path: Path):
    (tmp_path / "ca.pub").write_text(public_line(CA) + "\n")
    async with open_sshd(options=(f"TrustedUserCAKeys {tmp_path}/ca.pub",)) as host:
        assert await said(host.target(auth=user_certificate(host))) == "hi"
        wrongs: list[dict[str, Any]] = [{"ca": OTHER_CA}, {"valid_before": 1000}, {"principals": ["somebody"]}]
        for wrong in wrongs:
            failure = await failure_of(host.target(auth=user_certificate(host, **wrong)))
            assert failure.code == "auth_failed", wrong
        broken = KeyAuth(private_text(key("ssh-ed25519", "certified user")), certificate="ssh-ed25519 AAAA nonsense")
        assert (await failure_of(host.target(auth=broken))).code == "key_invalid"


async def test_a_configuration_names_certificate_and_jump_host_as_for_ssh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "ca.pub").write_text(public_line(CA) + "\n")
    async with (
        open_sshd() as jump,
        open_sshd(options=(f"TrustedUserCAKeys {tmp_path}/ca.pub",)) as inner,
    ):
        auth = user_certificate(inner)
        assert auth.certificate
        (tmp_path / "id").write_text(auth.private_key)
        (tmp_path / "id-cert.pub").write_text(auth.certificate)
        (tmp_path / "jump-id").write_text(private_text(jump.user_key))
        (tmp_path / "config").write_text(
            f"Host jump\n  HostName 127.0.0.1\n  Port {jump.port}\n  User {jump.username}\n"
            f"  IdentityFile {tmp_path}/jump-id\n"
            f"Host inner\n  HostName 127.0.0.1\n  Port {inner.port}\n  User {inner.username}\n"
            f"  IdentityFile {tmp_path}/id\n  CertificateFile {tmp_path}/id-cert.pub\n  ProxyJump jump\n"
        )
        monkeypatch.setenv("HOME", str(tmp_path))
        (tmp_path / ".ssh").mkdir()
        target = SshTarget(
            host="inner", auth=ConfigAuth(str(tmp_path / "config")), host_key=public_line(inner.host_keys["ed25519"])
        )
        assert "Accepted" not in jump.log
        with pytest.raises(SshFailure):  # the jump host is verified by the account's known_hosts, which is empty
            await said(target)
        known = f"[127.0.0.1]:{jump.port} {public_line(jump.host_keys['ed25519'])}\n"
        (tmp_path / ".ssh" / "known_hosts").write_text(known)
        assert await said(target) == "hi"
        assert "Accepted publickey" in jump.log
