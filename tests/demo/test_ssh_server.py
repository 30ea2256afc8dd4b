"""The demo's SSH server, driven by asyncssh and by OpenSSH's own client."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import anyio
import asyncssh
import pytest

from mission_control.demo.shell import Shell, account_name
from mission_control.demo.ssh_server import open_ssh_server
from tests.support.processes import is_alive
from tests.support.waiting import until

HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
CLIENT_KEY = asyncssh.generate_private_key("ssh-ed25519")


ECHO = 53  # the terminal mode's number, RFC 4254, 8


class Host(NamedTuple):
    port: int
    folder: Path
    shell: Shell

    async def connect(self, **options: object) -> asyncssh.SSHClientConnection:
        known = asyncssh.import_known_hosts(f"[127.0.0.1]:{self.port} {HOST_KEY.export_public_key().decode()}")
        given: dict[str, object] = {
            "client_keys": [CLIENT_KEY],
            "username": account_name(),
            "config": [],
            "agent_path": None,
        }
        return await asyncssh.connect("127.0.0.1", self.port, known_hosts=known, **(given | options))


@asynccontextmanager
async def open_host(folder: Path) -> AsyncGenerator[Host]:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    shell = Shell(folder)
    try:
        async with open_ssh_server(listener, shell, HOST_KEY, CLIENT_KEY):
            yield Host(listener.getsockname()[1], folder, shell)
    finally:
        shell.end_what_is_left()


async def test_a_command_gives_both_outputs_and_its_exit_code(tmp_path: Path):
    async with open_host(tmp_path) as host, await host.connect() as connection:
        ran = await connection.run("echo out; echo err >&2; exit 7")
        assert (ran.stdout, ran.stderr, ran.exit_status) == ("out\n", "err\n", 7)


async def test_a_command_runs_in_the_folder_with_the_environment_of_sshd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENAI_API_KEY", "secret of the server")
    async with open_host(tmp_path) as host, await host.connect() as connection:
        ran = await connection.run("pwd; env", env={"MISSION_CONTROL_TASK_ID": "task_1"})
        folder, *lines = str(ran.stdout).splitlines()
        environment = dict(line.split("=", 1) for line in lines)
        assert folder == environment["HOME"] == str(tmp_path)
        assert environment["USER"] == environment["LOGNAME"] == account_name()
        assert environment["MISSION_CONTROL_TASK_ID"] == "task_1"
        assert environment["SSH_CLIENT"].startswith("127.0.0.1 ")
        assert environment["SSH_CONNECTION"].endswith(f"127.0.0.1 {host.port}")
        assert "secret" not in str(ran.stdout)


async def test_any_bytes_go_in_and_come_out_unchanged(tmp_path: Path):
    data = os.urandom(3_000_000)
    async with open_host(tmp_path) as host, await host.connect() as connection:
        ran = await connection.run("cat", input=data, encoding=None)
        assert ran.stdout == data


async def test_a_command_of_several_lines_with_every_quote_is_untouched(tmp_path: Path):
    async with open_host(tmp_path) as host, await host.connect() as connection:
        ran = await connection.run("cat <<'END'\n\"it's\" `here` $HOME \\ é\nEND\n")
        assert ran.stdout == '"it\'s" `here` $HOME \\ é\n'


async def test_a_client_that_does_not_read_makes_the_command_wait(tmp_path: Path):
    command = "for i in $(seq 60); do head -c 1000000 /dev/zero; echo $i > at; done"
    async with open_host(tmp_path) as host, await host.connect() as connection:
        session = _Reader()
        channel, _ = await connection.create_session(lambda: session, command, encoding=None, window=65536)
        channel.pause_reading()
        await until(lambda: _settled(tmp_path / "at"), "the command to stand still")
        assert int((tmp_path / "at").read_text()) < 30
        channel.resume_reading()
        await channel.wait_closed()
        assert session.size == 60_000_000
        assert session.exit_status == 0


class _Reader(asyncssh.SSHClientSession[bytes]):
    def __init__(self) -> None:
        self.size = 0
        self.exit_status: int | None = None

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        self.size += len(data)

    def exit_status_received(self, status: int) -> None:
        self.exit_status = status


async def _settled(path: Path) -> bool:
    """Whether a counter has stopped growing; the time between two looks is what makes it an observation."""
    before = path.read_text() if path.exists() else ""
    await anyio.sleep(0.3)
    return before != "" and path.read_text() == before


async def test_a_signal_is_told_as_the_kernel_told_it(tmp_path: Path):
    async with open_host(tmp_path) as host, await host.connect() as connection:
        ran = await connection.run("kill -SEGV $$")
        assert ran.exit_signal is not None
        assert ran.exit_signal[0] == "SEGV"


@pytest.mark.parametrize("name", ["TERM", "KILL"])
async def test_a_signal_request_reaches_the_whole_process_group(tmp_path: Path, name: str):
    async with open_host(tmp_path) as host, await host.connect() as connection:
        process = await connection.create_process("sleep 1000 & echo $!; wait")
        child = int(await process.stdout.readline())
        process.send_signal(name)
        ran = await process.wait()
        assert ran.exit_signal is not None
        assert ran.exit_signal[0] == name
        await until(lambda: not is_alive(child), "the child to end")


async def test_a_signal_sent_right_after_the_start_is_not_lost(tmp_path: Path):
    async with open_host(tmp_path) as host, await host.connect() as connection:
        process = await connection.create_process("sleep 1000")
        process.send_signal("KILL")
        assert (await process.wait()).exit_signal is not None


async def test_closing_the_channel_ends_what_runs_even_if_it_ignores_term(tmp_path: Path):
    async with open_host(tmp_path) as host, await host.connect() as connection:
        process = await connection.create_process("trap '' TERM HUP; echo $$; while :; do sleep 1000; done")
        pid = int(await process.stdout.readline())
        process.close()
        await until(lambda: not is_alive(pid), "the command to end")
        ran = await connection.run("echo the connection goes on")
        assert ran.exit_status == 0


async def test_a_lost_connection_ends_its_commands(tmp_path: Path):
    async with open_host(tmp_path) as host:
        connection = await host.connect()
        process = await connection.create_process("echo $$; sleep 1000")
        pid = int(await process.stdout.readline())
        connection.abort()
        await until(lambda: not is_alive(pid), "the command to end")


async def test_closing_the_server_ends_its_commands(tmp_path: Path):
    async with open_host(tmp_path) as host:
        connection = await host.connect()
        process = await connection.create_process("sleep 1000 & echo $!; wait")
        pid = int(await process.stdout.readline())
    assert not is_alive(pid)
    connection.abort()
    await connection.wait_closed()


async def test_what_a_command_leaves_in_the_background_goes_on_and_ends_with_the_server(tmp_path: Path):
    pid = 0
    async with open_host(tmp_path) as host, await host.connect() as connection:
        with anyio.fail_after(15):
            ran = await connection.run("sleep 1000 & echo $!")
        pid = int(str(ran.stdout))
        assert ran.exit_status == 0
        assert is_alive(pid)
    await until(lambda: not is_alive(pid), "the background process to end")


async def test_many_commands_share_one_connection(tmp_path: Path):
    async with open_host(tmp_path) as host, await host.connect() as connection:
        ran = await asyncio.gather(*(connection.run(f"echo {at}") for at in range(30)))
        assert [str(one.stdout) for one in ran] == [f"{at}\n" for at in range(30)]


async def test_a_terminal_is_a_terminal_of_the_size_and_modes_asked_for(tmp_path: Path):
    async with open_host(tmp_path) as host, await host.connect() as connection:
        process = await connection.create_process(
            "test -t 0 && test -t 1 && echo yes; stty size; echo $TERM; read line; echo got $line",
            term_type="xterm-256color",
            term_size=(100, 30),
            term_modes={ECHO: 0},
        )
        process.stdin.write("hello\n")
        ran = await process.wait()
        assert str(ran.stdout).splitlines() == ["yes", "30 100", "xterm-256color", "got hello"]
        assert ran.exit_status == 0


async def test_an_interrupt_typed_at_a_terminal_reaches_the_command(tmp_path: Path):
    async with open_host(tmp_path) as host, await host.connect() as connection:
        process = await connection.create_process("echo ready; exec sleep 1000", term_type="xterm")
        await process.stdout.readline()
        process.stdin.write("\x03")
        ran = await process.wait()
        assert ran.exit_signal is not None
        assert ran.exit_signal[0] == "INT"


async def test_only_the_one_key_and_the_own_account_get_in(tmp_path: Path):
    async with open_host(tmp_path) as host:
        for options in (
            {"client_keys": [asyncssh.generate_private_key("ssh-ed25519")]},
            {"username": "somebody-else"},
            {"client_keys": None, "password": "guess"},
        ):
            with pytest.raises(asyncssh.PermissionDenied):
                await host.connect(**options)


async def test_nothing_but_commands_is_offered(tmp_path: Path):
    async with open_host(tmp_path) as host, await host.connect() as connection:
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_connection("127.0.0.1", host.port)
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.start_sftp_client()


async def test_openssh_s_own_client_runs_commands_too(tmp_path: Path):
    key, known, home = tmp_path / "key", tmp_path / "known_hosts", tmp_path / "home"
    home.mkdir()
    async with open_host(home) as host:
        key.write_bytes(CLIENT_KEY.export_private_key())
        key.chmod(0o600)
        known.write_text(f"[127.0.0.1]:{host.port} {HOST_KEY.export_public_key().decode()}")
        options = ["StrictHostKeyChecking=yes", f"UserKnownHostsFile={known}", "IdentitiesOnly=yes", "BatchMode=yes"]
        ssh = [
            *("ssh", "-F", "none", "-i", str(key), "-p", str(host.port), "-l", account_name()),
            *(part for option in options for part in ("-o", option)),
            "127.0.0.1",
        ]
        process = await asyncio.create_subprocess_exec(
            *ssh, "cat; echo err >&2; exit 3", stdin=-1, stdout=-1, stderr=-1
        )  # fmt: skip
        data = os.urandom(500_000)
        out, err = await process.communicate(data)
        assert (out, err, process.returncode) == (data, b"err\n", 3)
        terminal = await asyncio.create_subprocess_exec(
            *ssh[:1], "-tt", *ssh[1:], "tty", stdin=-1, stdout=-1, stderr=-1
        )
        out, _ = await terminal.communicate(b"")
        assert out.startswith(b"/dev/pts/")
