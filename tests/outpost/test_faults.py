"""Bad disks, bad homes, bad links and bad moments, with the kernel's real ones where there is a way."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import anyio
import pytest

from mission_control.runs import install
from mission_control.runs.frames import Kind
from tests.outpost.driver import Desktop, open_desktop, run_id, until, until_dead
from tests.support.processes import is_alive

FLOOD = "seq 1 400000"
FLOODED = "".join(f"{n}\n" for n in range(1, 400001)).encode()

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="mounts a file system")
needs_strace = pytest.mark.skipif(
    not shutil.which("strace"), reason="injects faults with strace: apt-get install strace"
)


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


# --- disks ------------------------------------------------------------------------------------------------------------


@contextmanager
def small_disk(path: Path, options: str) -> Generator[Path]:
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def fill(disk: Path) -> Path:
    """Take the last byte; deleting the file gives it back."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return ballast


@needs_root
async def test_a_run_that_finds_the_disk_full_is_refused_and_can_be_started_later(tmp_path: Path):
    with small_disk(tmp_path / "disk", "size=1m") as disk:
        async with open_desktop(tmp_path) as desktop, desktop.attached(directory=str(disk)) as outpost:
            ballast = fill(disk)
            await outpost.start("one", "echo x >> count")
            assert (await outpost.state("one", "refused"))["why"] == "disk_full"
            (runs,) = disk.glob("*/*/runs")
            assert list(runs.iterdir()) == []
            ballast.unlink()
            await outpost.start("one", "echo x >> count")
            await outpost.ended("one")
            assert (tmp_path / "count").read_text() == "x\n"
            desktop.end_everything()
            await until_dead(outpost.hello["pid"])


@needs_root
async def test_an_outpost_that_finds_the_disk_full_says_so(tmp_path: Path):
    with small_disk(tmp_path / "disk", "size=1m,nr_inodes=6") as disk:
        fill(disk)
        async with open_desktop(tmp_path) as desktop:
            said = await desktop.refused(directory=str(disk))
            assert said.startswith("mission-control: ")
            assert str(disk) in said
            assert "No space left on device" in said


@needs_root
async def test_a_command_waits_while_the_disk_is_full_and_every_byte_comes(tmp_path: Path):
    with small_disk(tmp_path / "disk", "size=1m") as disk:
        async with (
            open_desktop(tmp_path) as desktop,
            desktop.attached(acknowledges=False, directory=str(disk)) as outpost,
        ):
            await outpost.start("one", "echo $$; until [ -e go ]; do sleep 0.02; done; " + FLOOD + "; exit 7")
            await outpost.until(lambda: outpost.run("one").out.endswith(b"\n"))
            first = outpost.run("one").out
            ballast = fill(disk)
            (tmp_path / "go").touch()
            states = outpost.run("one").states
            await outpost.until(lambda: states[-1]["why"] == "disk_full")
            assert is_alive(int(first)), "the command waits, as at any full pipe"
            ballast.unlink()
            await outpost.until(lambda: states[-1]["why"] is None)
            outpost.acknowledges = True
            await outpost.send(Kind.ACK, "one", outpost.run("one").position)
            run = await outpost.ended("one")
            assert (run.out, run.ended["code"]) == (first + FLOODED, 7)
            desktop.end_everything()
            await until_dead(outpost.hello["pid"])


@needs_root
async def test_an_end_that_cannot_be_remembered_is_kept_until_it_can(tmp_path: Path):
    with small_disk(tmp_path / "disk", "size=1m") as disk:
        async with open_desktop(tmp_path) as desktop, desktop.attached(directory=str(disk)) as outpost:
            await outpost.start("one", "echo x >> count")
            await outpost.ended("one")
            (folder,) = disk.glob("*/*/runs/*")
            ballast = fill(disk)
            await outpost.send(Kind.FORGET, "one")
            await outpost.start("one", "echo x >> count")
            assert (await outpost.state("one", "ended"))["state"] == "ended"
            assert folder.exists()
            ballast.unlink()
            await until(lambda: not folder.exists())
            await outpost.start("one", "echo x >> count")
            await outpost.state("one", "forgotten")
            assert (tmp_path / "count").read_text() == "x\n"
            desktop.end_everything()
            await until_dead(outpost.hello["pid"])


# --- homes ------------------------------------------------------------------------------------------------------------


@needs_strace
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("bind:error=EOPNOTSUPP", "Operation not supported"),
        ("flock:error=ENOLCK", "No locks available"),
        ("chdir:error=EACCES", "Permission denied"),
        ("mkdir:error=EROFS", "Read-only file system"),
    ],
)
async def test_a_home_that_cannot_hold_an_outpost_is_explained(tmp_path: Path, fault: str, words: str):
    trace = fault.partition(":")[0]
    async with open_desktop(tmp_path) as desktop:
        strace = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={trace}", "-e", f"inject={fault}", "/bin/sh"]
        said = await desktop.refused(*strace)
        assert said.startswith("mission-control: ")
        assert "~/.local/state/mission-control" in said
        assert words in said
        assert "Traceback" not in said


@needs_root
async def test_machines_that_share_a_home_have_an_outpost_each(tmp_path: Path):
    (tmp_path / "id").write_text("another machine\n")
    there = f'mount --bind {tmp_path}/id /etc/machine-id && exec /bin/sh "$@"'
    shell = script(tmp_path / "shell", f"exec unshare --mount /bin/sh -c '{there}' sh \"$@\"")
    async with open_desktop(tmp_path) as desktop, desktop.attached() as here, desktop.attached(shell=shell) as other:
        assert here.hello["pid"] != other.hello["pid"]
        assert here.hello["directory"] != other.hello["directory"]
        other.runs = {}
        await here.start("one", "echo here")
        await other.start("one", "echo there")
        assert (await here.ended("one")).out == b"here\n"
        assert (await other.ended("one")).out == b"there\n"
        await other.send(Kind.REMOVE)
        await other.until_over()
        await here.start("two", "echo still here")
        assert (await here.ended("two")).out == b"still here\n"
        assert Path(here.hello["directory"]).exists()


# --- moments ----------------------------------------------------------------------------------------------------------


@needs_strace
@pytest.mark.parametrize("moment", ["mkdir", "rename", "flock", "socketpair", "clone"])
async def test_a_daemon_that_dies_while_it_starts_a_run_starts_it_once(tmp_path: Path, moment: str):
    command = "echo x >> count; cat count"
    async with open_desktop(tmp_path) as desktop:
        async with desktop.attached() as outpost:
            pid = outpost.hello["pid"]
            words = ["strace", "-p", str(pid), "-e", f"trace={moment}", "-e", f"inject={moment}:signal=KILL"]
            async with await anyio.open_process(words, stdout=None) as strace:
                assert strace.stderr
                assert b"attached" in await strace.stderr.receive()
                await outpost.start("one", command)
                await outpost.until_over()
                await strace.wait()
            await until_dead(pid)
        async with desktop.attached() as outpost:
            await outpost.attach("one")  # as a server asks first
            run = outpost.run("one")
            await outpost.until(lambda: bool(run.states))
            if run.states[0]["state"] == "unknown":
                await outpost.start("one", command)
            assert (await outpost.ended("one")).out == b"x\n"


async def test_an_old_daemons_runs_outlive_it_again_and_again(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop:
        async with desktop.attached() as outpost:
            await outpost.start(
                "one", "for i in 1 2 3 4 5 6 7 8; do echo $i; until [ -e $i ]; do sleep 0.02; done; done"
            )
            await outpost.until(lambda: outpost.run("one").out == b"1\n")
        for n in range(2, 9):
            async with desktop.attached() as outpost:
                os.kill(outpost.hello["pid"], signal.SIGKILL)
                await until_dead(outpost.hello["pid"])
            (tmp_path / str(n - 1)).touch()
            async with desktop.attached() as outpost:
                await outpost.attach("one")
                await outpost.until(lambda n=n: outpost.run("one").out.endswith(b"%d\n" % n))
        assert outpost.run("one").out == b"".join(b"%d\n" % n for n in range(1, 9))


async def test_an_outpost_that_is_killed_before_it_has_said_anything_is_not_taken_for_none(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop:
        async with desktop.attached() as outpost:
            os.kill(outpost.hello["pid"], signal.SIGKILL)
            await until_dead(outpost.hello["pid"])
        folder = os.open(desktop.directory, os.O_PATH)  # the whole path is longer than a socket's may be
        (desktop.directory / "sock-1").unlink()

        def greet_and_end(listener: socket.socket) -> None:
            peer, _ = listener.accept()
            peer.sendall(install.version().encode() + b"\n")
            peer.recv(5)
            peer.close()

        try:
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(f"/proc/self/fd/{folder}/sock-1")
                listener.listen()
                async with anyio.create_task_group() as group:
                    group.start_soon(anyio.to_thread.run_sync, greet_and_end, listener)
                    assert await desktop.refused() == "mission-control: the outpost has let go\n"
        finally:
            os.close(folder)


# --- links ------------------------------------------------------------------------------------------------------------


async def test_over_a_slow_link_answers_and_other_runs_pass_the_flood(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop, desktop.attached(acknowledges=False) as outpost:
        outpost.may_read = anyio.Event()  # a link that has stopped
        await outpost.start("flood", "head -c 3000000 /dev/zero")
        await until(lambda: journal_bytes(desktop, "flood") > 3_000_000)
        outpost.piece_bytes = 1000
        outpost.may_read.set()
        flood, quiet = outpost.run("flood"), outpost.run("quiet")
        await outpost.until(lambda: flood.position > 0)
        outpost.may_read = anyio.Event()
        await outpost.start("quiet", "echo here")
        await until((desktop.folder("quiet") / "0000000000000000.seg").exists)
        before = flood.position
        outpost.may_read.set()
        await outpost.until(lambda: bool(quiet.states))
        assert flood.position - before < 700_000, "beats go the same way: the pipe and one turn are before them"
        await outpost.ended("quiet")
        assert flood.position - before < 1_200_000
        await outpost.ended("flood")


async def test_what_is_under_way_shrinks_when_commits_are_slow(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop, desktop.attached(acknowledges=False) as outpost:
        await outpost.start("near", "echo here")
        await outpost.ended("near")
        await outpost.send(Kind.FORGET, "near")  # so the way is known to be short
        await outpost.start("flood", "exec head -c 60000000 /dev/zero")
        await until(lambda: journal_bytes(desktop, "flood") > 60_000_000)
        flood, waves = outpost.run("flood"), []
        for n in range(8):
            before = -1
            while flood.position != before:  # until another run passes with nothing of this one before it
                before = flood.position
                name = f"round {n} {before}"
                await outpost.start(name, "true")
                await outpost.ended(name)
            waves.append(flood.position - sum(waves))
            await anyio.sleep(0.3)  # a commit that takes longer than it should
            await outpost.send(Kind.ACK, "flood", flood.position)
        assert waves[0] > 2 << 20
        assert waves == sorted(waves, reverse=True)
        assert waves[-1] < 512 << 10


def journal_bytes(desktop: Desktop, run: str) -> int:
    return sum(path.stat().st_size for path in desktop.folder(run).glob("*.seg"))


# --- output -----------------------------------------------------------------------------------------------------------


async def test_a_hundred_megabytes_without_a_line_end(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        await outpost.start("one", "head -c 100000000 /dev/zero | tr '\\0' x")
        run = await outpost.ended("one")
        assert run.ended["streams"]["1"]["sha256"] == sha256(b"x" * 100_000_000).hexdigest()


@pytest.mark.parametrize(
    ("command", "out", "code"),
    [
        ("yes '' | head -n 1000000", b"\n" * 1_000_000, 0),
        ("yes | head -c 5000000", b"y\n" * 2_500_000, 0),
        ("exec 1>&-; exec 2>&-; exit 4", b"", 4),
        ("exec 1>&-; until [ -e go ]; do sleep 0.02; touch go; done; exit 5", b"", 5),
        ("exec <&-; cat; echo $?", b"1\n", 0),
        ("read x; echo $?; head -c 1 | wc -c", b"1\n0\n", 0),
        ("exec sh -c 'exec sh -c \"echo deep; exit 6\"'", b"deep\n", 6),
        ("trap '' PIPE; echo ok", b"ok\n", 0),
        ("sh -c 'kill -PIPE $$'; echo $?", b"141\n", 0),
        ("(sleep 1000 > /dev/null 2>&1 &); echo left", b"left\n", 0),
        (": " + "x" * 120_000 + "; echo long", b"long\n", 0),
        ("kill -SEGV $$", b"", None),
        ("kill -40 $$", b"", None),
    ],
)
async def test_whatever_a_command_does_with_its_descriptors_its_end_is_true(
    tmp_path: Path, command: str, out: bytes, code: int | None
):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        await outpost.start("one", command)
        run = await outpost.ended("one")
        assert run.out == out
        assert run.ended["code"] == code
        if code is None:
            assert run.ended["signal"] in ("SIGSEGV", "SIG40")


async def test_a_stopped_command_is_ended_by_its_timeout(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        await outpost.start("one", "sh -c 'kill -STOP $$'; kill -STOP $$; sleep 1000", timeout=0.3)
        run = await outpost.ended("one")
        assert (run.ended["why"], run.ended["signal"], run.ended["left"]) == ("timeout", "SIGTERM", [])


async def test_an_identity_names_the_process_and_its_boot(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        await outpost.start("one", "sleep 1000")
        await outpost.state("one", "running")
        await until(lambda: bool((desktop.folder("one") / "super").read_text().strip()))
        identity = json.loads((desktop.folder("one") / "super").read_text())
        assert is_alive(identity["pid"])
        assert identity["boot"] == outpost.hello["boot"]
        assert re.fullmatch(r"[0-9a-f-]{36}-\d+", identity["boot"])
        assert run_id("one").hex() in str(desktop.folder("one"))
