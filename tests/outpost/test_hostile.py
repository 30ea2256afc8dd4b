"""What no server of ours sends and no sound disk holds: an outpost answers, and goes on."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import anyio
import pytest

from mission_control.runs.frames import Kind
from tests.outpost.driver import open_desktop, run_id, task_id, until, until_dead
from tests.support.processes import children_of, is_alive

FLOOD = "seq 1 400000"
FLOODED = "".join(f"{n}\n" for n in range(1, 400001)).encode()


# --- requests ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b'{"command": 1}',
        b'{"command": "true", "request": {}}',
        b'{"command": "true", "task": 7}',
        b'{"command": "true", "task": "\\ud800"}',
        b'{"command": "echo \\udc80"}',
        b'{"command": "true", "env": ["a"]}',
        b'{"command": "true", "env": {"a": 1}}',
        b'{"command": "true", "cwd": {}}',
        b'{"command": "true", "timeout": "soon"}',
        b'{"command": "true", "quota": 1e400}',
        b'{"command": "true", "quota": []}',
    ],
)
async def test_a_start_that_cannot_be_read_is_refused_and_harms_nobody(tmp_path: Path, payload: bytes):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        await outpost.send(Kind.START, "bad", payload=payload)
        assert (await outpost.state("bad", "refused"))["why"] == "bad_request"
        assert not desktop.folder("bad").exists()
        await outpost.start("good", "echo fine")
        assert (await outpost.ended("good")).out == b"fine\n"
        assert is_alive(outpost.hello["pid"])


@pytest.mark.parametrize(
    "facts", [{"timeout": float("inf")}, {"timeout": float("nan")}, {"timeout": -1}, {"quota": -5}]
)
async def test_absurd_limits_are_brought_into_bounds(tmp_path: Path, facts: dict[str, float]):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        await outpost.start("one", "echo fine", **facts)
        run = await outpost.ended("one")
        assert (run.out, run.ended["code"], run.ended["why"]) == (b"fine\n", 0, None)


@pytest.mark.parametrize("tty", [False, True])
@pytest.mark.parametrize(
    ("facts", "error", "detail"),
    [
        ({"command": "echo \0"}, "start_failed", "null"),
        ({"command": "true", "env": {"A=B": "x"}}, "start_failed", "environment"),
        ({"command": "true", "env": {"A": "x" * 200_000}}, "start_failed", "longer than this system"),
        ({"command": "x" * 200_000}, "start_failed", "longer than this system"),
        ({"command": "true", "cwd": "/nowhere/ü"}, "cwd_invalid", "/nowhere/ü: No such file or directory"),
        ({"command": "true", "cwd": "~/nowhere"}, "cwd_invalid", "/nowhere: No such file or directory"),
        ({"command": "true", "cwd": "/dev/null"}, "cwd_invalid", "/dev/null: Not a directory"),
    ],
)
async def test_what_cannot_be_started_says_why(
    tmp_path: Path, facts: dict[str, Any], error: str, detail: str, tty: bool
):
    async with open_desktop(tmp_path) as desktop, desktop.attached(environment={"LC_ALL": "C"}) as outpost:
        await outpost.send(Kind.START, "one", task=task_id("one"), tty=tty, **facts)
        end = (await outpost.ended("one")).ended
        assert (end["code"], end["error"]["error"]) == (127, error)
        assert detail in end["error"]["detail"]


async def test_an_account_without_a_home_runs_its_commands_in_the_root_directory(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop:
        gone = {"HOME": str(tmp_path / "gone")}
        async with desktop.attached(
            environment=gone, directory=str(tmp_path / ".local/state/mission-control")
        ) as outpost:
            for tty in (False, True):
                await outpost.start(f"tty {tty}", "pwd", tty=tty)
                assert (await outpost.ended(f"tty {tty}")).out.split() == [b"/"]
                await outpost.send(Kind.FORGET, f"tty {tty}")
            await outpost.send(Kind.REMOVE)
            await until_dead(outpost.hello["pid"])


async def test_a_directory_with_any_name_is_told_as_text(tmp_path: Path):
    home = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff \xc3\xbc"))
    home.mkdir()
    async with open_desktop(home) as desktop, desktop.attached(environment={"LC_ALL": "C"}) as outpost:
        assert "/\N{REPLACEMENT CHARACTER} ü/" in outpost.hello["directory"]
        await outpost.start("one", "pwd")
        assert (await outpost.ended("one")).out == os.fsencode(home) + b"\n"


async def test_a_cancel_reaches_a_command_whose_supervisor_cannot_hear_it_yet(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop:
        async with desktop.attached() as outpost:
            await outpost.start("one", "echo ready; sleep 1000")
            await outpost.until(lambda: outpost.run("one").out == b"ready\n")
            supervisor = desktop.supervisor("one")
            os.kill(supervisor, signal.SIGSTOP)
            (desktop.folder("one") / "s").rename(desktop.folder("one") / "away")  # as before its first breath
            os.kill(outpost.hello["pid"], signal.SIGKILL)
        async with desktop.attached() as outpost:
            await outpost.attach("one")
            await outpost.send(Kind.CANCEL, "one", position=5000)
            await outpost.start("two", "true")
            await outpost.ended("two")
            (desktop.folder("one") / "away").rename(desktop.folder("one") / "s")
            os.kill(supervisor, signal.SIGCONT)
            assert (await outpost.ended("one")).ended["why"] == "cancel"


async def test_a_stopped_supervisor_holds_up_nobody_and_loses_nothing(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop:
        async with desktop.attached() as outpost:
            await outpost.start("one", f"echo $$; until [ -e go ]; do sleep 0.02; done; {FLOOD}")
            await outpost.until(lambda: outpost.run("one").out.endswith(b"\n"))
            first = outpost.run("one").out
            supervisor = desktop.supervisor("one")
            os.kill(supervisor, signal.SIGSTOP)
            os.kill(outpost.hello["pid"], signal.SIGKILL)
        for n in range(8):  # more daemons than the supervisor's door has room for
            async with desktop.attached() as outpost:
                await outpost.attach("one")
                await outpost.state("one", "running")
                await outpost.start(f"other {n}", "echo fine")
                assert (await outpost.ended(f"other {n}")).out == b"fine\n"
                await outpost.send(Kind.CANCEL, f"other {n}")
                os.kill(outpost.hello["pid"], signal.SIGKILL)
                await until_dead(outpost.hello["pid"])
        (tmp_path / "go").touch()
        os.kill(supervisor, signal.SIGCONT)
        async with desktop.attached() as outpost:
            await outpost.attach("one")
            run = await outpost.ended("one")
            assert run.out == first + FLOODED
            assert run.ended["code"] == 0


async def test_a_run_that_is_forgotten_while_it_is_sent_again_breaks_nothing(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop:
        async with desktop.attached(acknowledges=False) as outpost:
            await outpost.start("one", FLOOD)
            await outpost.ended("one")
            outpost.may_read = anyio.Event()
            await outpost.send(Kind.ATTACH, "one", 0)
            await outpost.send(Kind.ACK, "one", outpost.run("one").position)
            await outpost.send(Kind.ATTACH, "one", 0)
            await outpost.send(Kind.FORGET, "one")
            for n in range(20):
                await outpost.start(f"after {n}", f"echo {n}")
            outpost.may_read.set()
            for n in range(20):
                assert (await outpost.ended(f"after {n}")).out == b"%d\n" % n
            assert not desktop.folder("one").exists()


# --- the directory ----------------------------------------------------------------------------------------------------


async def test_what_does_not_belong_there_is_left_alone(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop:
        async with desktop.attached() as outpost:
            await outpost.start("one", "echo kept")
            await outpost.ended("one")
            await outpost.send(Kind.LEAVE)
            await until_dead(outpost.hello["pid"])
        runs = desktop.directory / "runs"
        (runs / ".DS_Store").write_text("x")
        (runs / "lost+found").mkdir()
        (runs / ("a" * 32)).write_text("not a folder")
        (desktop.folder("one") / "notes.txt").write_text("x")
        (desktop.folder("one") / "core.seg").write_text("x")
        (desktop.directory / "ended" / "folder").mkdir()
        (desktop.directory / "fence").write_text("[1]")
        async with desktop.attached() as outpost:
            assert [run["run"] for run in outpost.hello["runs"]] == [run_id("one").hex()]
            await outpost.start("two", "echo fine")
            assert (await outpost.ended("two")).out == b"fine\n"
        assert (runs / ".DS_Store").exists()
        assert (runs / "lost+found").exists()


async def test_forgotten_runs_are_known_to_the_next_daemon_whatever_a_power_cut_left(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop:
        async with desktop.attached() as outpost:
            for name in ("one", "two"):
                await outpost.start(name, "echo x >> count; exit 3")
                await outpost.ended(name)
                if name == "two":
                    (day,) = (desktop.directory / "ended").iterdir()
                    with day.open("ab") as file:
                        file.write(b"\n" + run_id("two").hex().encode() + b' {"code": 3, "sig')
                await outpost.send(Kind.FORGET, name)
                await until(lambda name=name: not desktop.folder(name).exists())
            os.kill(outpost.hello["pid"], signal.SIGKILL)
            await until_dead(outpost.hello["pid"])
        async with desktop.attached() as outpost:
            for name in ("one", "two"):
                await outpost.start(name, "echo x >> count; exit 3")
                assert (await outpost.state(name, "forgotten"))["end"]["code"] == 3
        assert (tmp_path / "count").read_text() == "x\nx\n"


async def test_old_ends_are_forgotten_for_good(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop:
        async with desktop.attached() as outpost:
            await outpost.send(Kind.LEAVE)
            await until_dead(outpost.hello["pid"])
        old = desktop.directory / "ended" / "2020-01-01"
        old.write_bytes(b"\n" + run_id("one").hex().encode() + b' {"code": 0}')
        os.utime(old, (0, 0))
        async with desktop.attached() as outpost:
            await outpost.attach("one")
            await outpost.state("one", "unknown")
            assert not old.exists()


async def test_an_identity_that_a_power_cut_emptied_is_no_proof_that_nothing_ran(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop:
        async with desktop.attached(acknowledges=False) as outpost:
            await outpost.start("one", "echo before; sleep 1000")
            await outpost.until(lambda: outpost.run("one").out == b"before\n")
            victims = outpost.hello["pid"], desktop.supervisor("one")
            for pid in victims:
                os.kill(pid, signal.SIGKILL)
            await until_dead(*victims)
        (desktop.folder("one") / "super").write_bytes(b"")
        async with desktop.attached() as outpost:
            await outpost.attach("one")
            assert (await outpost.state("one", "lost"))["why"] == "rebooted"


async def test_an_end_that_the_disk_damaged_is_no_end(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop:
        async with desktop.attached(acknowledges=False) as outpost:
            await outpost.start("one", "echo before")
            await outpost.ended("one")
            os.kill(outpost.hello["pid"], signal.SIGKILL)
            await until_dead(outpost.hello["pid"])
        (segment,) = desktop.folder("one").glob("*.seg")
        data = bytearray(segment.read_bytes())
        data[-3] ^= 1
        segment.write_bytes(data)
        desktop.runs.clear()
        async with desktop.attached() as outpost:
            await outpost.attach("one")
            assert (await outpost.state("one", "lost"))["why"] == "supervisor_killed"
            await outpost.until(lambda: outpost.run("one").out == b"before\n")


@pytest.mark.parametrize("part", ["server", "machine"])
async def test_a_directory_that_leads_elsewhere_is_refused(tmp_path: Path, part: str):
    async with open_desktop(tmp_path) as desktop:
        async with desktop.attached() as outpost:
            await outpost.send(Kind.LEAVE)
            await until_dead(outpost.hello["pid"])
        link = desktop.directory if part == "machine" else desktop.directory.parent
        link.rename(tmp_path / "elsewhere")
        link.symlink_to(tmp_path / "elsewhere")
        assert (await desktop.refused()).startswith("mission-control: ")


async def test_nothing_of_it_can_be_read_by_others_whatever_the_umask(tmp_path: Path):
    shell = tmp_path / "shell"
    shell.write_text('#!/bin/sh\numask 0\nexec /bin/sh "$@"\n')
    shell.chmod(0o755)
    async with open_desktop(tmp_path) as desktop, desktop.attached(shell=shell) as outpost:
        for name in ("one", "two"):
            await outpost.start(name, "echo secret; umask; [ -e go ] || sleep 1000")
            await outpost.until(lambda name=name: outpost.run(name).out == b"secret\n0000\n")
        assert desktop.directory.stat().st_mode & 0o7777 == 0o700
        files = [path for path in desktop.directory.rglob("*") if path.is_file()]
        assert {path.name for path in files} >= {"instance", "fence", "lock", "spec", "super"}
        assert [path for path in files if path.stat().st_mode & 0o077] == []


async def test_the_log_is_bounded(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop:
        async with desktop.attached() as outpost:
            await outpost.send(Kind.LEAVE)
            await until_dead(outpost.hello["pid"])
        log = desktop.directory / "log"
        log.write_bytes(b"x" * (300 << 10))
        async with desktop.attached() as outpost:
            await outpost.send(Kind.START, "bad", payload=b"no")
            await outpost.state("bad", "refused")
        assert log.stat().st_size < 10_000
        assert (desktop.directory / "log.old").stat().st_size == 300 << 10


async def test_a_thousand_runs_leave_no_descriptor_and_no_process_behind(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:

        async def some(count: int, name: str) -> int:
            for n in range(count):
                await outpost.start(f"{name} {n}", "echo x")
            for n in range(count):
                await outpost.ended(f"{name} {n}")
                await outpost.send(Kind.FORGET, f"{name} {n}")
            await until(lambda: not list((desktop.directory / "runs").iterdir()))
            await until(lambda: len(children_of(outpost.hello["pid"])) == 1)  # the spare
            return len(list(Path(f"/proc/{outpost.hello['pid']}/fd").iterdir()))

        before = await some(5, "first")
        assert [await some(100, f"round {n}") for n in range(10)] == [before] * 10


async def test_json_is_strict_whatever_it_tells():
    import mission_control.outpost.outpost as there

    assert json.loads(there.as_json({"a": "ü\udcff\ud800"}).decode()) == {"a": "ü??"}
