"""What a desktop's connection is offered, what it verifies, and what people read when it fails."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from time import monotonic
from typing import get_args

import anyio
import asyncssh
import pytest
from anyio.abc import SocketAttribute, SocketStream
from msgspec.structs import replace

from mission_control.runs import connection as connection_module
from mission_control.runs.connection import (
    AgentAuth,
    Attempt,
    ConfigAuth,
    ConnectionLimits,
    FailureCode,
    KeyAuth,
    PasswordAuth,
    SshConnection,
    SshFailure,
    SshTarget,
    fingerprint,
    offered_host_keys,
    open_connection,
    public_line,
)
from tests.support.proxy import open_proxy
from tests.support.sshd import key, open_password_server, open_sshd, private_text
from tests.support.waiting import until

QUICK = ConnectionLimits(connect_s_max=10, keepalive_s=0.1, keepalive_count_max=2)
IMPATIENT = ConnectionLimits(connect_s_max=0.3)


async def output_of(connection: SshConnection, command: str) -> str:
    result = await connection.ssh.run(command)
    return str(result.stdout)


async def failure_of(target: SshTarget, limits: ConnectionLimits = QUICK) -> SshFailure:
    with pytest.raises(SshFailure) as caught:
        async with open_connection(target, limits=limits):
            pass
    return caught.value


def password_target(port: int, password: str) -> SshTarget:
    return SshTarget(
        host="127.0.0.1",
        port=port,
        username="someone",
        auth=PasswordAuth(password),
        host_key=public_line(key("ssh-ed25519")),
    )


async def test_a_key_opens_a_connection_with_aes_gcm():
    async with open_sshd() as host, open_connection(host.target()) as connection:
        assert await output_of(connection, "echo $((6 * 7))") == "42\n"
        assert connection.statistics()["recv_cipher"] == "aes128-gcm@openssh.com"
        assert connection.is_open


async def test_leaving_the_block_closes_the_connection():
    async with open_sshd() as host:
        async with open_connection(host.target()) as connection:
            pass
        assert not connection.is_open
        assert connection.failure is None


async def test_a_key_with_a_passphrase_is_opened_by_it():
    async with open_sshd() as host:
        text = private_text(host.user_key, "open sesame")
        async with open_connection(host.target(auth=KeyAuth(text, "open sesame"))) as connection:
            assert connection.is_open
        for passphrase in ("wrong", None):
            failure = await failure_of(host.target(auth=KeyAuth(text, passphrase)))
            assert failure.code == "key_passphrase_wrong"


@pytest.mark.parametrize(
    "text", ["", "not a key", "ssh-ed25519 AAAA public", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"]
)
async def test_a_text_that_is_no_private_key_is_said_to_be_none(text: str):
    target = SshTarget(host="127.0.0.1", port=1, host_key=public_line(key("ssh-ed25519")), auth=KeyAuth(text))
    assert (await failure_of(target)).code == "key_invalid"


async def test_a_key_that_the_host_does_not_know_is_auth_failed():
    async with open_sshd() as host:
        failure = await failure_of(host.target(auth=KeyAuth(private_text(key("ssh-ed25519", "stranger")))))
        assert failure.code == "auth_failed"
        assert failure.is_permanent
        assert "authorized_keys" in failure.message


@pytest.mark.parametrize("interactive", [False, True])
async def test_a_password_opens_a_connection_however_the_host_asks_for_it(interactive: bool):
    async with open_password_server("s3cret", interactive=interactive) as port:
        async with open_connection(password_target(port, "s3cret")) as connection:
            assert await output_of(connection, "anything") == "hello\n"
        assert (await failure_of(password_target(port, "guess"))).code == "auth_failed"


async def test_an_agent_opens_a_connection_with_its_keys():
    async with open_sshd() as host, open_agent(host.user_key) as path:
        async with open_connection(host.target(auth=AgentAuth(path))) as connection:
            assert await output_of(connection, "echo hi") == "hi\n"


async def test_an_agent_without_a_key_and_no_agent_say_what_to_do():
    async with open_sshd() as host, open_agent(None) as path:
        failure = await failure_of(host.target(auth=AgentAuth(path)))
        assert (failure.code, "ssh-add" in failure.message) == ("auth_failed", True)
        failure = await failure_of(host.target(auth=AgentAuth(path + "-gone")))
        assert failure.code == "agent_unavailable"


async def test_a_config_alias_connects_as_ssh_would(tmp_path: Path):
    async with open_sshd() as host:
        (tmp_path / "id").write_text(private_text(host.user_key))
        (tmp_path / "config").write_text(
            f"Host build-box\n  HostName 127.0.0.1\n  Port {host.port}\n  User {host.username}\n"
            f"  IdentityFile {tmp_path}/id\n  ForwardAgent yes\n  RequestTTY force\n  RemoteCommand echo hijacked\n"
        )
        target = SshTarget(
            host="build-box",
            auth=ConfigAuth(str(tmp_path / "config")),
            host_key=public_line(host.host_keys["ed25519"]),
        )
        async with open_connection(target) as connection:
            assert await output_of(connection, "echo hi; tty; echo ${SSH_AUTH_SOCK-none}") == "hi\nnot a tty\nnone\n"
        [offered] = await offered_host_keys(target)
        assert offered.public_key == target.host_key


async def test_the_server_accounts_own_keys_and_configuration_are_offered_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The account's key would be accepted, its agent holds it too, and its configuration points to it: not used."""
    async with open_sshd() as host, open_agent(host.user_key) as agent:
        (tmp_path / ".ssh").mkdir()
        (tmp_path / ".ssh" / "id_ed25519").write_text(private_text(host.user_key))
        (tmp_path / ".ssh" / "config").write_text(f"Host *\n  IdentityFile {tmp_path}/.ssh/id_ed25519\n  Port 1\n")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("SSH_AUTH_SOCK", agent)
        stranger = KeyAuth(private_text(key("ssh-ed25519", "stranger")))
        for auth in (stranger, PasswordAuth("guess")):
            assert (await failure_of(host.target(auth=auth))).code == "auth_failed"
        assert "Accepted" not in host.log
        assert await offered_host_keys(host.target())
        async with open_connection(replace(host.target(), auth=ConfigAuth())):
            assert "Accepted publickey" in host.log


async def test_another_host_key_is_refused_and_both_fingerprints_are_shown():
    confirmed = key("ssh-ed25519", "confirmed")
    async with open_sshd() as host:
        target = replace(host.target(), host_key=public_line(confirmed))
        failure = await failure_of(target)
        shown = host.host_keys["ed25519"].get_fingerprint()
        assert failure.code == "host_key_changed"
        assert (failure.pinned, failure.offered) == (confirmed.get_fingerprint(), (shown,))
        assert confirmed.get_fingerprint() in failure.message and shown in failure.message
        assert "userauth" not in host.log  # not even the user name was sent
        assert "Accepted" not in host.log


async def test_a_host_that_no_longer_has_a_key_of_the_pinned_type_has_changed():
    async with open_sshd(host_keys={"ecdsa": key("ecdsa-sha2-nistp256")}) as host:
        failure = await failure_of(replace(host.target(host_key="ecdsa"), host_key=public_line(key("ssh-ed25519"))))
        assert failure.code == "host_key_changed"
        assert failure.offered == (key("ecdsa-sha2-nistp256").get_fingerprint(),)


@pytest.mark.parametrize("name", ["ed25519", "ecdsa", "rsa"])
async def test_any_of_the_hosts_keys_can_be_the_pinned_one(name: str):
    async with open_sshd(host_keys=all_host_keys()) as host, open_connection(host.target(host_key=name)) as connection:
        assert connection.is_open


@pytest.mark.parametrize("host_key", [None, "nonsense", "ssh-dss AAAA"])
async def test_a_host_that_nobody_confirmed_gets_no_connection(host_key: str | None):
    target = SshTarget(host="127.0.0.1", port=1, host_key=host_key, auth=PasswordAuth("x"))
    failure = await failure_of(target)
    assert (failure.code, failure.is_permanent) == ("host_key_unknown", True)


async def test_all_host_keys_are_shown_before_anybody_logs_in():
    keys = all_host_keys()
    async with open_sshd(host_keys=keys) as host:
        offered = await offered_host_keys(host.target(host_key=None))
        assert {key.type: key.fingerprint for key in offered} == {
            name: key.get_fingerprint() for name, key in keys.items()
        }
        assert all(fingerprint(key.public_key) == key.fingerprint for key in offered)
        assert "userauth" not in host.log and "preauth" in host.log


def all_host_keys() -> dict[str, asyncssh.SSHKey]:
    return {"ed25519": key("ssh-ed25519"), "ecdsa": key("ecdsa-sha2-nistp256"), "rsa": key("ssh-rsa")}


@pytest.mark.parametrize(
    "host", ["", "-oProxyCommand=id", "a b", "a\nb", "a\0b", "$(id)", "a;id", "`id`", "a/b", "x\u202ey", "a" * 256]
)
async def test_a_host_that_is_not_a_name_is_refused_before_anything_is_done(host: str):
    target = SshTarget(host=host, auth=ConfigAuth(), host_key=public_line(key("ssh-ed25519")))
    assert (await failure_of(target)).code == "address_invalid"
    with pytest.raises(SshFailure, match="address_invalid"):
        await offered_host_keys(target)


@pytest.mark.parametrize("username", ["", "-l", "a\tb", "a\nb", "me;id", "me\\", "$(id)"])
async def test_a_user_name_that_is_not_one_is_refused(username: str):
    target = SshTarget(host="127.0.0.1", username=username, auth=PasswordAuth("x"), host_key=None)
    assert (await failure_of(target)).code == "address_invalid"


@pytest.mark.parametrize("port", [0, -1, 65536])
async def test_a_port_that_is_not_one_is_refused(port: int):
    assert (await failure_of(SshTarget(host="h", port=port, auth=PasswordAuth("x")))).code == "address_invalid"


async def test_nothing_listens_there():
    async with open_proxy("127.0.0.1", 1) as proxy:
        port = proxy.port
    for host in ("127.0.0.1", "localhost"):
        target = SshTarget(host=host, port=port, auth=PasswordAuth("x"), host_key=public_line(key("ssh-ed25519")))
        failure = await failure_of(target)
        assert (failure.code, failure.is_permanent) == ("connection_refused", False)
        assert str(port) in failure.message


async def test_a_name_that_nobody_knows():
    target = SshTarget(host="no-such-host.invalid", auth=PasswordAuth("x"), host_key=public_line(key("ssh-ed25519")))
    assert (await failure_of(target)).code == "host_not_found"


async def test_no_way_to_the_host():
    target = SshTarget(host="255.255.255.255", auth=PasswordAuth("x"), host_key=public_line(key("ssh-ed25519")))
    assert (await failure_of(target)).code == "host_unreachable"


async def test_a_host_that_accepts_and_then_says_nothing():
    async with open_sshd() as host, open_proxy("127.0.0.1", host.port) as proxy:
        proxy.black_hole()
        assert (await failure_of(host.target(port=proxy.port), IMPATIENT)).code == "connect_timeout"
        with pytest.raises(SshFailure, match="connect_timeout"):
            await offered_host_keys(host.target(port=proxy.port), limits=IMPATIENT)


async def test_a_host_that_speaks_something_else():
    async def answer(stream: SocketStream) -> None:
        with suppress(OSError, anyio.BrokenResourceError, anyio.EndOfStream):
            async with stream:
                await stream.send(b"HTTP/1.1 400 Bad Request\r\n" * 2000)
                await stream.receive()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, answer)
        failure = await failure_of(password_target(listener.extra(SocketAttribute.local_port), "x"))
        assert failure.code == "ssh_protocol_error"
        group.cancel_scope.cancel()


async def test_a_link_that_is_dead_without_saying_so_is_noticed():
    async with open_sshd() as host, open_proxy("127.0.0.1", host.port) as proxy:
        async with open_connection(host.target(port=proxy.port), limits=QUICK) as connection:
            proxy.black_hole()
            started = monotonic()
            failure = await connection.wait_lost()
            assert failure.code == "connection_lost"
            assert "not responding" in failure.message
            assert monotonic() - started < 10 * QUICK.silence_s_max
            assert not connection.is_open


async def test_a_half_open_link_is_noticed():
    async with open_sshd() as host, open_proxy("127.0.0.1", host.port) as proxy:
        async with open_connection(host.target(port=proxy.port), limits=QUICK) as connection:
            proxy.black_hole(to_server=False)
            assert (await connection.wait_lost()).code == "connection_lost"


def test_a_dead_link_is_noticed_within_ten_seconds_by_default():
    assert ConnectionLimits().silence_s_max <= 10


async def test_a_quiet_link_is_kept():
    async with open_sshd() as host, open_connection(host.target(), limits=QUICK) as connection:
        with anyio.move_on_after(4 * QUICK.silence_s_max) as patience:
            await connection.wait_lost()
        assert patience.cancelled_caught


@pytest.mark.parametrize("end", ["reset", "kill"])
async def test_a_connection_that_is_cut_says_so(end: str):
    async with open_sshd() as host, open_proxy("127.0.0.1", host.port) as proxy:
        async with open_connection(host.target(port=proxy.port)) as connection:
            proxy.reset() if end == "reset" else host.kill_sessions()
            assert (await connection.wait_lost()).code == "connection_lost"


async def test_the_steps_of_an_attempt_are_recorded():
    attempt = Attempt()
    async with open_sshd() as host, open_connection(host.target(), attempt=attempt):
        assert attempt.connected_s and attempt.verified_s and attempt.authenticated_s
        assert attempt.started_s <= attempt.connected_s <= attempt.verified_s <= attempt.authenticated_s


async def test_giving_up_while_connecting_leaves_nothing_open():
    async with open_sshd() as host, open_proxy("127.0.0.1", host.port) as proxy:
        proxy.black_hole(to_server=False)
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(failure_of, host.target(port=proxy.port))
                await proxy.wait_connected()
                scope.cancel()
        proxy.heal()
        with anyio.fail_after(5):
            while proxy.open_count:
                await anyio.sleep(0.01)


def test_secrets_do_not_show_when_a_target_is_printed():
    for auth in (KeyAuth("PRIVATE", "PASSPHRASE"), PasswordAuth("PASSWORD")):
        shown = repr(SshTarget(host="h", auth=auth))
        assert not any(secret in shown for secret in ("PRIVATE", "PASSPHRASE", "PASSWORD"))


def test_host_key_checks_are_never_switched_off():
    for path in Path(connection_module.__file__).parents[1].rglob("*.py"):
        assert "known_hosts" + "=None" not in path.read_text().replace(" ", ""), path


def test_every_failure_has_a_code_of_the_table():
    assert set(get_args(FailureCode)) > connection_module.PERMANENT


async def listens(path: str) -> bool:
    """Whether a connection to a socket is accepted: its file is there a moment before."""
    try:
        await (await anyio.connect_unix(path)).aclose()
    except OSError:
        return False
    return True


@asynccontextmanager
async def open_agent(key_: asyncssh.SSHKey | None) -> AsyncGenerator[str]:
    """A real ssh-agent with one key, or none. Gives its socket's path."""
    folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    path = str(folder / "agent")
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    try:
        await until(partial(listens, path), "ssh-agent")
        if key_ is not None:
            async with await asyncssh.connect_agent(path) as agent:
                await agent.add_keys([key_])
        yield path
    finally:
        process.kill()
        process.wait()
        subprocess.run(["rm", "-r", folder], check=True)
