"""The outpost by itself: what runs, what it says, and that nothing of it is left."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import anyio
import pytest

from mission_control.domain.masking import FORM_BYTES_MAX
from mission_control.outpost.outpost import WINDOW_BYTES_MAX, WINDOW_BYTES_MIN, Channel
from mission_control.runs import install
from mission_control.runs.frames import HEAD, HEAD_BYTES, Frame, Kind
from tests.outpost.driver import open_desktop, run_id, task_id, until_dead
from tests.support.processes import is_alive

FLOOD = "seq 1 400000; seq 1 100000 >&2"
FLOODED = "".join(f"{n}\n" for n in range(1, 400001)).encode()


async def until_file(path: Path) -> str:
    """What a command has written there, once it has."""
    with anyio.fail_after(30):
        while not path.exists() or not path.read_text():
            await anyio.sleep(0.01)  # another process's file: nothing tells
    return path.read_text()


# --- commands ---------------------------------------------------------------------------------------------------------


async def test_a_command_runs_with_both_streams_and_its_true_exit_code(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        await outpost.start("one", "echo out; echo err >&2; printf x; exit 7")
        run = await outpost.ended("one")
        assert (run.out, run.err) == (b"out\nx", b"err\n")
        assert (run.ended["code"], run.ended["signal"], run.ended["left"]) == (7, None, [])


@pytest.mark.parametrize(
    ("command", "out", "code"),
    [
        (r"printf '\377\000\376ok\303'", b"\xff\x00\xfeok\xc3", 0),
        ("cat <<'END'\nit's \"$HOME\" `x` \\ ! ünï 🚀\nEND", 'it\'s "$HOME" `x` \\ ! ünï 🚀\n'.encode(), 0),
        ("cat; echo closed", b"closed\n", 0),
        ("echo before; if", b"", 2),
        ("exec echo replaced", b"replaced\n", 0),
        ("kill -9 $$", b"", None),
        ("kill 0; echo not reached", b"", None),
        ("echo " + "x" * 119_000, b"x" * 119_000 + b"\n", 0),
        ("head -c 1000000 /dev/zero", bytes(1_000_000), 0),
    ],
)
async def test_any_command_is_given_to_the_shell_as_it_is(tmp_path: Path, command: str, out: bytes, code: int | None):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        await outpost.start("one", command)
        run = await outpost.ended("one")
        assert run.out == out
        if command != "echo before; if":
            assert run.ended["code"] == code
        if code is None:
            assert run.ended["signal"] in ("SIGKILL", "SIGTERM")


async def test_directory_and_variables_are_the_commands_own(tmp_path: Path):
    (tmp_path / "work").mkdir()
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        await outpost.start("one", 'pwd; echo "$GREETING"', cwd="~/work", env={"GREETING": "a b"})
        assert (await outpost.ended("one")).out == f"{tmp_path}/work\na b\n".encode()
        await outpost.start("two", "pwd", cwd="/nowhere")
        assert (await outpost.ended("two")).ended["error"]["error"] == "cwd_invalid"


async def test_a_terminal_is_given_when_asked_for_and_nobody_waits_for_typing(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        await outpost.start("one", "tty; cat; stty size; echo err >&2", tty=True)
        run = await outpost.ended("one")
        assert run.out.startswith(b"/dev/pts/")
        assert run.out.endswith(b"40 120\r\nerr\r\n")


async def test_the_same_run_started_twice_is_started_once(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        for _ in range(3):
            await outpost.start("one", "echo x >> count; cat count")
        assert (await outpost.ended("one")).out == b"x\n"
        await outpost.send(Kind.FORGET, "one")
        await outpost.start("one", "echo x >> count; cat count")
        assert (await outpost.state("one", "forgotten"))["end"]["code"] == 0
        assert (tmp_path / "count").read_text() == "x\n"


async def test_three_hundred_commands_at_once_each_end_with_their_own_code(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        for n in range(300):
            await outpost.start(f"run {n}", f"echo {n}; echo e{n} >&2; exit {n % 100}")
        for n in range(300):
            run = await outpost.ended(f"run {n}")
            assert (run.out, run.err, run.ended["code"]) == (f"{n}\n".encode(), f"e{n}\n".encode(), n % 100)


# --- ends -------------------------------------------------------------------------------------------------------------


async def test_a_child_that_holds_the_output_does_not_hold_the_end_and_is_named(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        await outpost.start("one", "sleep 1000 & echo $!; exit 3")
        run = await outpost.ended("one")
        assert run.ended["code"] == 3
        assert [left["pid"] for left in run.ended["left"]] == [int(run.out)]
        assert run.ended["left"][0]["command"] == "sleep 1000"
        assert is_alive(int(run.out)), "what was left on purpose is left alone"


TREE = """
trap '' TERM
echo $$ >> pids
setsid sh -c 'trap "" TERM; echo $$ >> pids; while :; do sleep 0.1; done' &
( ( sh -c 'trap "" TERM; echo $$ >> pids; echo done > ready; while :; do sleep 0.1; done' & ) & )
while :; do sleep 0.1; done
"""


async def test_a_cancel_ends_the_whole_tree_whatever_it_does_to_escape(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        await outpost.start("one", TREE)
        await until_file(tmp_path / "ready")
        with anyio.fail_after(30):
            while len((tmp_path / "pids").read_text().split()) < 3:
                await anyio.sleep(0.01)
        await outpost.send(Kind.CANCEL, "one", position=100)
        run = await outpost.ended("one")
        assert (run.ended["why"], run.ended["signal"], run.ended["left"]) == ("cancel", "SIGKILL", [])
        assert not any(is_alive(int(pid)) for pid in (tmp_path / "pids").read_text().split())


async def test_a_cancel_lets_a_command_clean_up_first(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        await outpost.start("one", "trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.05; done")
        await outpost.until(lambda: outpost.run("one").out == b"ready\n")
        await outpost.send(Kind.CANCEL, "one", position=20_000)
        run = await outpost.ended("one")
        assert (run.out, run.ended["code"]) == (b"ready\nbye\n", 5)


async def test_a_stopped_command_can_be_cancelled(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        await outpost.start("one", "echo $$; kill -STOP $$; sleep 1000")
        await outpost.until(lambda: outpost.run("one").out.endswith(b"\n"))
        await outpost.send(Kind.CANCEL, "one", position=5000)
        assert (await outpost.ended("one")).ended["signal"] == "SIGTERM"


async def test_a_timeout_counts_on_the_desktop(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        await outpost.start("one", "echo started; sleep 1000", timeout=0.5)
        run = await outpost.ended("one")
        assert (run.out, run.ended["why"]) == (b"started\n", "timeout")


# --- what may die -----------------------------------------------------------------------------------------------------


async def test_a_run_goes_on_without_server_and_is_taken_up_where_it_was(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop:
        async with desktop.attached() as outpost:
            await outpost.start("one", f"echo before; until [ -e go ]; do sleep 0.02; done; {FLOOD}; exit 9")
            await outpost.until(lambda: outpost.run("one").out == b"before\n")
        (tmp_path / "go").touch()
        async with desktop.attached() as outpost:
            (known,) = outpost.hello["runs"]
            assert (known["run"], known["task"]) == (run_id("one").hex(), task_id("one"))
            await outpost.attach("one")
            run = await outpost.ended("one")
            assert run.out == b"before\n" + FLOODED
            assert run.ended["code"] == 9


@pytest.mark.parametrize("seed", range(4))
async def test_a_killed_daemon_loses_nothing(tmp_path: Path, seed: int):
    async with open_desktop(tmp_path) as desktop:
        async with desktop.attached() as outpost:
            await outpost.start("one", FLOOD)
            await outpost.until(lambda: outpost.run("one").position > seed * 500_000)
            os.kill(outpost.hello["pid"], signal.SIGKILL)
            await outpost.until_over()
        async with desktop.attached() as outpost:
            await outpost.attach("one")
            run = await outpost.ended("one")
            assert run.out == FLOODED
            assert run.ended["code"] == 0


async def test_a_killed_supervisor_is_said_and_its_command_is_ended(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        await outpost.start("one", "echo $$; setsid sleep 1000 & echo $!; sleep 1000")
        await outpost.until(lambda: outpost.run("one").out.count(b"\n") == 2)
        os.kill(desktop.supervisor("one"), signal.SIGKILL)
        assert (await outpost.state("one", "lost"))["why"] == "supervisor_killed"
        await until_dead(*map(int, outpost.run("one").out.split()))


async def test_a_supervisor_killed_together_with_the_daemon_is_said_by_the_next_one(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop:
        async with desktop.attached() as outpost:
            await outpost.start("one", "echo $$; sleep 1000")
            await outpost.until(lambda: outpost.run("one").out.endswith(b"\n"))
            os.kill(outpost.hello["pid"], signal.SIGKILL)
            os.kill(desktop.supervisor("one"), signal.SIGKILL)
        async with desktop.attached() as outpost:
            await outpost.attach("one")
            assert (await outpost.state("one", "lost"))["why"] == "supervisor_killed"
            await until_dead(int(outpost.run("one").out))


async def test_a_reboot_is_said_and_the_output_before_it_is_kept(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop:
        async with desktop.attached(acknowledges=False) as outpost:
            await outpost.start("one", "echo $$; sleep 1000")
            await outpost.until(lambda: outpost.run("one").out.endswith(b"\n"))
            os.kill(outpost.hello["pid"], signal.SIGKILL)
            victim, pid = desktop.supervisor("one"), int(outpost.run("one").out)
            os.kill(victim, signal.SIGKILL)
            await until_dead(victim)
        path = desktop.folder("one") / "super"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"boot": "another boot"}))
        desktop.runs.clear()
        async with desktop.attached() as outpost:
            await outpost.attach("one")
            assert (await outpost.state("one", "lost"))["why"] == "rebooted"
            await outpost.until(lambda: outpost.run("one").out == b"%d\n" % pid)
            assert is_alive(pid), "after a reboot the pids of before belong to others"
            os.kill(pid, signal.SIGKILL)


async def test_a_pid_that_belongs_to_somebody_else_by_now_is_never_signalled(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop:
        async with desktop.attached() as outpost:
            await outpost.start("one", "echo running; sleep 1000")
            await outpost.until(lambda: outpost.run("one").out == b"running\n")
            os.kill(outpost.hello["pid"], signal.SIGKILL)
            victim = desktop.supervisor("one")
            os.kill(victim, signal.SIGKILL)
            await until_dead(victim)
        stranger = subprocess.Popen(["sleep", "1000"])
        try:
            path = desktop.folder("one") / "super"
            path.write_text(json.dumps(json.loads(path.read_text()) | {"pid": stranger.pid}))
            async with desktop.attached() as outpost:
                await outpost.attach("one")
                await outpost.send(Kind.CANCEL, "one")
                await outpost.state("one", "lost")
                await outpost.start("two", "true")
                await outpost.ended("two")
            assert stranger.poll() is None
        finally:
            stranger.kill()
            stranger.wait()


def test_a_process_that_began_at_another_time_is_not_signalled():
    import mission_control.outpost.outpost as there

    stranger = subprocess.Popen(["sleep", "1000"])
    try:
        assert there.send_signal([(stranger.pid, "1")], signal.SIGKILL) == []
        with pytest.raises(subprocess.TimeoutExpired):
            stranger.wait(0.2)
        there.send_signal([(stranger.pid, there.start_time(stranger.pid))], signal.SIGKILL)
        assert stranger.wait() == -signal.SIGKILL
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize("place", ["payload", "head"])
async def test_damage_on_the_disk_is_seen_and_what_follows_is_still_good(tmp_path: Path, place: str):
    async with open_desktop(tmp_path) as desktop:
        async with desktop.attached(acknowledges=False) as outpost:
            await outpost.start("one", "for i in 1 2 3 4 5; do echo line $i; sleep 0.05; done")
            await outpost.ended("one")
            os.kill(outpost.hello["pid"], signal.SIGKILL)
        (segment,) = desktop.folder("one").glob("*.seg")
        data = bytearray(segment.read_bytes())
        second = data.index(run_id("one"), HEAD_BYTES) - 8
        data[second + (HEAD_BYTES + 2 if place == "payload" else 3)] ^= 0x10
        segment.write_bytes(data)
        async with desktop.attached(acknowledges=False) as outpost:
            outpost.runs = {}
            kept = []
            outpost.runs[run_id("one")] = type("Kept", (), {"take": lambda _, frame: kept.append(frame)})()
            await outpost.send(Kind.ATTACH, "one")
            await outpost.until(lambda: any(frame.kind == Kind.END for frame in kept))
            output = [frame for frame in kept if frame.kind == Kind.OUTPUT]
            assert [frame.position for frame in output if not frame.is_sound] == ([7] if place == "payload" else [])
            good = [frame.payload for frame in output if frame.is_sound]
            assert good == [b"line 1\n", b"line 3\n", b"line 4\n", b"line 5\n"]


# --- limits -----------------------------------------------------------------------------------------------------------


async def test_at_the_quota_the_command_waits_and_goes_on_when_the_server_is_back(tmp_path: Path):
    quota = 1 << 20
    async with open_desktop(tmp_path) as desktop:
        async with desktop.attached(acknowledges=False) as outpost:
            await outpost.start("one", FLOOD, quota=quota)
            await outpost.until(lambda: outpost.run("one").position > 900_000)
        size = 0
        with anyio.fail_after(30):
            while (now := sum(path.stat().st_size for path in desktop.folder("one").glob("*.seg"))) != size:
                size = now
                await anyio.sleep(0.3)
        assert quota <= size < quota + (512 << 10)
        async with desktop.attached() as outpost:
            await outpost.attach("one")
            await outpost.send(Kind.ACK, "one", outpost.run("one").position)
            assert (await outpost.ended("one")).out == FLOODED


@pytest.mark.parametrize("held_bytes", [1, FORM_BYTES_MAX - 1])
async def test_a_flood_goes_on_over_a_slow_link_while_the_server_holds_bytes_that_may_begin_a_secret(
    tmp_path: Path, held_bytes: int
):
    slow = {"LAG_S_MAX": 0}  # whatever time a commit takes is too long
    async with open_desktop(tmp_path) as desktop:
        async with desktop.attached(version="slow", constants=slow, held_bytes=held_bytes) as outpost:
            await outpost.start("one", f"head -c {8 << 20} /dev/zero")
            assert len((await outpost.ended("one")).out) == 8 << 20


def test_much_is_sent_ahead_over_a_long_way_and_little_into_full_buffers():
    channel = Channel(None, None, None)
    window = WINDOW_BYTES_MAX // 2
    for _ in range(10):
        window = channel.window_after(window, lag=0.6)
    assert window == WINDOW_BYTES_MAX, "it is far, that is all"
    for lag in (1.2, 1.8, 2.4, 3.0, 3.6, 4.2, 4.8):
        window = channel.window_after(window, lag)
    assert window == WINDOW_BYTES_MIN, "it waits on its way"


@pytest.mark.skipif(os.getuid() != 0, reason="mounts a small file system")
async def test_a_full_disk_makes_the_command_wait_and_is_said(tmp_path: Path):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", tmp_path], check=True)
    try:
        async with open_desktop(tmp_path) as desktop:
            async with desktop.attached(acknowledges=False) as outpost:
                await outpost.start("one", FLOOD)
                states = outpost.run("one").states
                await outpost.until(lambda: any(state["why"] == "disk_full" for state in states))
                two = outpost.run("two").states
                await outpost.start("two", "true")
                await outpost.until(lambda: bool(two))  # started or refused, as the last bytes allow: but answered
            async with desktop.attached() as outpost:
                await outpost.attach("one")
                await outpost.send(Kind.ACK, "one", outpost.run("one").position)
                assert (await outpost.ended("one")).out == FLOODED
            desktop.end_everything()
            await until_dead(*desktop.pids)
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)


async def test_committed_output_leaves_the_disk(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        await outpost.start("one", FLOOD, quota=1 << 20)
        run = await outpost.ended("one")
        await outpost.send(Kind.ACK, "one", run.position)
        await outpost.send(Kind.ATTACH, "one", run.position)
        await outpost.until(lambda: run.states[-1]["state"] == "ended")
        assert sum(path.stat().st_size for path in desktop.folder("one").glob("*.seg")) < 1 << 19
        await outpost.send(Kind.FORGET, "one")
        await outpost.start("two", "true")
        await outpost.ended("two")
        assert not desktop.folder("one").exists()


async def test_a_flood_does_not_delay_another_run(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        await outpost.start("flood", "exec yes")
        await outpost.until(lambda: outpost.run("flood").position > 1_000_000)
        await outpost.start("quiet", "echo here")
        before = outpost.run("flood").position
        await outpost.ended("quiet")
        assert outpost.run("flood").position - before < 64 << 20
        await outpost.send(Kind.CANCEL, "flood", position=1000)
        assert (await outpost.ended("flood")).ended["why"] == "cancel"


# --- whose it is ------------------------------------------------------------------------------------------------------


async def test_nobody_else_gets_in(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        directory = desktop.directory
        assert directory.stat().st_mode & 0o777 == 0o700
        if os.getuid() != 0:
            pytest.skip("needs another user")
        parents = [one for one in directory.parents if one.is_relative_to(tmp_path.parent.parent)]
        for path in [directory, *parents]:
            path.chmod(0o755)
        (directory / "sock-1").chmod(0o777)
        asks = f"import socket,os;os.setuid(65534);s=socket.socket(1);s.connect({str(directory / 'sock-1')!r})"
        program = asks + ";print(s.recv(100))"
        done = await anyio.run_process([sys.executable, "-c", program], check=False, cwd="/")
        assert done.stdout in (b"b''\n", b"")
        await outpost.start("one", "echo still there")
        assert (await outpost.ended("one")).out == b"still there\n"


async def test_a_newer_attach_takes_over_and_an_older_one_is_refused(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop:
        async with desktop.attached() as first, desktop.attached() as second:
            await first.until_over()
            assert first.hello["superseded"]
            await second.start("one", "echo hello")
            assert (await second.ended("one")).out == b"hello\n"
            async with desktop.attached(generation=1) as third:
                assert third.hello["superseded"]
            async with desktop.attached(log="restored", generation=1) as fourth:
                assert not fourth.hello["superseded"]
                async with desktop.attached(log="log", generation=100) as fifth:
                    assert fifth.hello["superseded"], "the log before the restore is out for good"


async def test_two_servers_on_one_account_do_not_see_each_other(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop:
        async with desktop.attached(server="aaaa") as one, desktop.attached(server="bbbb") as other:
            await one.start("one", "echo first")
            await other.start("one", "echo second")
            assert one.hello["pid"] != other.hello["pid"]
            assert one.hello["instance"] != other.hello["instance"]
            with anyio.fail_after(30):
                while len(list(tmp_path.glob(".local/state/mission-control/*/*/ended"))) < 2:
                    await anyio.sleep(0.01)


async def test_an_idle_outpost_leaves_by_itself(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop:
        async with desktop.attached(idle=0.1) as outpost:
            await outpost.start("one", "sleep 1.5; echo late")
            await outpost.state("one", "running")
            pid = outpost.hello["pid"]
        await until_dead(pid)
        assert list(desktop.directory.glob("sock*")) == []
        async with desktop.attached() as outpost:
            assert outpost.hello["pid"] != pid
            await outpost.attach("one")
            assert (await outpost.ended("one")).out == b"late\n"


async def test_a_newer_version_takes_over_and_running_commands_notice_nothing(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop:
        async with desktop.attached(version="older") as outpost:
            await outpost.start("one", f"echo before; until [ -e go ]; do sleep 0.02; done; {FLOOD}")
            await outpost.until(lambda: outpost.run("one").out == b"before\n")
            old = outpost.hello
        async with desktop.attached() as outpost:
            assert (outpost.hello["version"], old["version"]) == (install.version(), "older")
            assert outpost.hello["instance"] == old["instance"]
            await until_dead(old["pid"])
            (tmp_path / "go").touch()
            await outpost.attach("one")
            assert (await outpost.ended("one")).out == b"before\n" + FLOODED


async def test_a_wiped_directory_ends_what_ran_from_it(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop:
        async with desktop.attached() as outpost:
            await outpost.start("one", "echo $$; sleep 1000")
            await outpost.until(lambda: outpost.run("one").out.endswith(b"\n"))
            pids = int(outpost.run("one").out), desktop.supervisor("one")
            instance = outpost.hello["instance"]
        subprocess.run(["rm", "-rf", tmp_path / ".local"], check=True)
        await until_dead(*pids)
        async with desktop.attached() as outpost:
            assert outpost.hello["instance"] != instance
            await outpost.attach("one")
            await outpost.state("one", "unknown")


async def test_a_removed_desktop_keeps_no_trace(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        await outpost.start("one", "true")
        await outpost.ended("one")
        await outpost.send(Kind.REMOVE)
        await outpost.until_over()
        assert list((tmp_path / ".local/state/mission-control").iterdir()) == []


async def test_an_outpost_leaves_when_its_server_does_and_what_has_ended_stays(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop:
        async with desktop.attached() as outpost:
            await outpost.start("one", "echo kept")
            await outpost.ended("one")
            await outpost.send(Kind.LEAVE)
            await outpost.until_over()
            await until_dead(outpost.hello["pid"])
        desktop.runs.clear()
        async with desktop.attached() as outpost:
            assert [run["ended"] for run in outpost.hello["runs"]] == [True]
            await outpost.attach("one")
            assert (await outpost.ended("one")).out == b"kept\n"


async def test_an_outpost_does_not_leave_while_something_runs(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        await outpost.start("one", "until [ -e go ]; do sleep 0.02; done; echo end")
        await outpost.state("one", "running")
        await outpost.send(Kind.LEAVE)
        await outpost.send(Kind.REMOVE)
        await desktop.ask_to_leave()
        (tmp_path / "go").touch()
        assert (await outpost.ended("one")).out == b"end\n"
        assert is_alive(outpost.hello["pid"])


async def test_an_idle_outpost_leaves_when_the_account_asks_whoever_is_attached(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        await desktop.ask_to_leave()
        await outpost.until_over()
        await until_dead(outpost.hello["pid"])
        assert (desktop.directory / "instance").exists()


async def test_a_server_that_falls_silent_is_let_go_and_the_run_goes_on(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop:
        async with desktop.attached() as outpost:
            await outpost.start("one", "echo a; until [ -e go ]; do sleep 0.02; done; echo b")
            await outpost.until(lambda: outpost.run("one").out == b"a\n")
            os.kill(outpost.process.pid, signal.SIGKILL)
            await outpost.until(lambda: outpost.beats > 0)
        (tmp_path / "go").touch()
        async with desktop.attached() as outpost:
            await outpost.attach("one")
            assert (await outpost.ended("one")).out == b"a\nb\n"


async def test_metrics_and_beats_come_by_themselves(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        await outpost.until(lambda: bool(outpost.metrics) and outpost.beats > 0)
        assert {"runs", "load", "disk", "memory"} <= set(outpost.metrics[0])


# --- the file itself --------------------------------------------------------------------------------------------------


def test_the_source_is_python_3_6_and_imports_only_the_standard_library():
    tree = ast.parse(install.source(), feature_version=(3, 6))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= set(sys.stdlib_module_names) - {"__future__"}


def test_what_the_relay_waits_for_is_little():
    program = "import sys; before = set(sys.modules); import outpost; print(len(set(sys.modules) - before))"
    folder = Path(install.outpost.__file__).parent
    program = f"import sys; sys.path.append({str(folder)!r}); {program}"
    said = subprocess.run([sys.executable, "-ISc", program], capture_output=True, check=True)
    assert int(said.stdout) < 60, "modules that are loaded before anything happens"


def test_the_marks_of_the_wire_are_the_same_on_both_sides():
    import mission_control.outpost.outpost as there

    for kind in Kind:
        assert getattr(there, kind.name) == kind
    assert there.HEAD.format == HEAD.format
    made = there.frame(there.OUTPUT, b"r" * 16, b"data", 1, 7, 5, 3, 99)
    assert made == Frame(Kind.OUTPUT, b"r" * 16, b"data", 1, 7, 5, 3, 99).encode()
    assert sha256(install.source()).hexdigest().startswith(install.version())


def test_the_source_uses_nothing_that_is_newer_than_python_3_6_unless_it_is_there():
    guarded = ["os.pidfd_open", "signal.pidfd_send_signal"]  # since 3.9; an AttributeError is expected
    words = ["--no-tips", "--target=3.6-", "--violations"]
    words += [word for name in guarded for word in ("--exclude", name)]
    vermin = Path(sys.executable).parent / "vermin"
    source = Path(install.outpost.__file__).parent / "outpost.py"
    done = subprocess.run([vermin, *words, source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
