"""Commands have the world that sshd gives them, whatever shell the account has: compared with a plain exec."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
import pytest

from mission_control.runs.connection import open_connection
from mission_control.runs.install import Attachment
from mission_control.runs.outpost_link import OutpostLink, open_outpost
from mission_control.runs.protocol import Spec, acknowledge, start
from tests.outpost.driver import DEADLINE_SECONDS, SERVER, Desktop, Received, run_id, task_id, until_dead
from tests.support.sshd import SshHost, open_sshd

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="makes accounts, each with another shell")

# Variables, then what else a process inherits: directory, mask, limits, signals.
WORLD = """env -0; sh -c 'echo; pwd -P; umask; ulimit -a; grep -E "^Sig(Ign|Blk)|^NoNewPrivs" /proc/self/status; id'"""

SH_NOISE = 'echo noise; echo more >&2; export NOISE="a b"; export PATH="$HOME/own bin:$PATH"; umask 027\n'
NOISE = {
    "bash": (".bashrc", SH_NOISE),
    "zsh": (".zshenv", SH_NOISE),
    "fish": (".config/fish/config.fish", SH_NOISE.replace('NOISE="a b"', "NOISE='a b'")),
    "tcsh": (".cshrc", 'echo noise; setenv NOISE "a b"; setenv PATH "${HOME}/own bin:${PATH}"; umask 027\n'),
    "dash": (".profile", SH_NOISE),  # which `dash -c` does not read
}


@contextmanager
def account(shell: str) -> Generator[tuple[str, Path]]:
    """A new account with this shell and the path of its home, which is made by others."""
    path = shutil.which(shell)
    assert path, f"apt-get install {shell}"
    name = f"mc{secrets.token_hex(4)}"
    folder = Path(tempfile.mkdtemp(prefix="account-"))
    folder.chmod(0o755)
    subprocess.run(["useradd", "--no-create-home", "--home-dir", folder / "home", "--shell", path, name], check=True)
    try:
        yield name, folder / "home"
    finally:
        subprocess.run(["userdel", "--force", name], check=True, capture_output=True)
        shutil.rmtree(folder)


@asynccontextmanager
async def desktop_with(shell: str) -> AsyncGenerator[SshHost]:
    with account(shell) as (name, home):
        async with open_sshd(account=name) as host:
            home.symlink_to(host.home)
            try:
                yield host
            finally:
                Desktop(host.home, {}).end_everything()
                await until_dead(*(pid for pid in processes_of(name) if pid != host.process.pid))


def processes_of(name: str) -> list[int]:
    uid = pwd.getpwnam(name).pw_uid
    return [int(proc.name) for proc in Path("/proc").glob("[0-9]*") if _owner(proc) == uid]


def _owner(proc: Path) -> int | None:
    try:
        return proc.stat().st_uid
    except OSError:
        return None  # it has ended


async def run_there(outpost: OutpostLink, name: str, command: str) -> Received:
    received = Received()
    frames = outpost.follow(run_id(name))
    outpost.send(start(run_id(name), Spec(task=task_id(name), command=command)))
    with anyio.fail_after(DEADLINE_SECONDS):
        while received.end is None:
            await frames.wait()
            while (frame := frames.take()) is not None:
                received.take(frame)
                outpost.send(acknowledge(frame.run, received.position))
    outpost.unfollow(run_id(name))
    return received


def world(said: bytes) -> tuple[dict[bytes, bytes], list[bytes]]:
    """The variables, and the lines after them."""
    *variables, rest = said.split(b"\0")
    pairs = dict(one.split(b"=", 1) for one in variables)
    # A start-up file's words stick to the first name.
    return {name.rpartition(b"\n")[2]: value for name, value in pairs.items()}, rest.splitlines()


@pytest.mark.parametrize("is_noisy", [False, True], ids=["quiet", "noisy"])
@pytest.mark.parametrize("shell", ["bash", "dash", "zsh", "fish", "tcsh"])
async def test_a_command_has_the_world_of_a_plain_exec(shell: str, is_noisy: bool):
    async with desktop_with(shell) as host:
        if is_noisy:
            name, text = NOISE[shell]
            (host.home / name).parent.mkdir(parents=True, exist_ok=True)
            (host.home / name).write_text(text)
        subprocess.run(["chown", "-R", host.username, host.home], check=True)
        async with open_connection(host.target()) as connection:
            plain = await connection.ssh.run(WORLD, encoding=None)
            assert plain.exit_status == 0
            attachment = Attachment(server=SERVER, log="log", generation=1, nonce="")
            async with open_outpost(connection, attachment) as outpost:
                ours = await run_there(outpost, "one", WORLD)
                twice = await run_there(outpost, "two", WORLD)
                outpost.remove()
                await outpost.wait_lost()
        assert isinstance(plain.stdout, bytes)
        (expected, other), (found, rest) = world(plain.stdout), world(ours.out)
        assert ours.ended["code"] == 0
        assert found.pop(b"PYTHONUNBUFFERED") == b"1"
        assert found.pop(b"MISSION_CONTROL_TASK_ID") == task_id("one").encode()
        assert {b"HOME", b"PATH", b"USER", b"LOGNAME", b"SHELL", b"SSH_CLIENT", b"SSH_CONNECTION"} <= set(expected)
        assert found == expected
        assert rest == other
        if is_noisy and shell != "dash":
            assert (expected[b"NOISE"], b"0027" in rest) == (b"a b", True), "the start-up file was read"
            assert found[b"PATH"].count(b"own bin") == 1, "and once"
            assert ours.out.startswith(b"noise\n")
        again = world(twice.out)[0] | {b"MISSION_CONTROL_TASK_ID": b"", b"PYTHONUNBUFFERED": b""}
        assert again == found | {b"MISSION_CONTROL_TASK_ID": b"", b"PYTHONUNBUFFERED": b""}


async def test_a_start_up_file_that_waits_or_takes_over_is_explained():
    from mission_control.runs.outpost_link import OutpostFailure

    async with desktop_with("bash") as host:
        (host.home / ".bashrc").write_text("echo Welcome; exit 3\n")
        subprocess.run(["chown", "-R", host.username, host.home], check=True)
        async with open_connection(host.target()) as connection:
            attachment = Attachment(server=SERVER, log="log", generation=1, nonce="")
            with pytest.raises(OutpostFailure) as failure:
                async with open_outpost(connection, attachment):
                    pass
        assert failure.value.code in ("outpost_not_possible", "shell_not_usable")
