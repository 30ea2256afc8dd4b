"""The server dies, freezes, or comes back with an older log. What runs on the desktops goes on, and nothing is lost."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import anyio
import pytest

from tests.faults.history import of_type
from tests.faults.site import END_SECONDS, open_site
from tests.support.server_process import command_line
from tests.support.waiting import until


def strace() -> str:
    found = shutil.which("strace")
    assert found, "these tests disturb system calls with strace: apt-get install strace"
    return found


async def test_a_server_killed_in_mid_flood_resumes_at_the_exact_byte(tmp_path: Path):
    async with open_site(tmp_path) as site:
        run = await site.write("flood", stdout=3_000_000, stderr=1_000_000, pause_at=2_500_000)
        await site.until_output(run, 500_000)
        site.kill_server()
        site.let_go(run)
        await site.start_server()
        await site.check()


async def test_a_command_that_ends_while_the_server_is_dead_has_its_true_end_afterwards(tmp_path: Path):
    async with open_site(tmp_path) as site:
        run = await site.write("short", pause_at=100_000, code=42)
        killed = await site.start("killed", "sleep 1000", code=None, signal="SIGKILL")
        await site.until_output(run, 90_000)
        await site.until_event(killed, "task.phase", phase="streaming")
        (sleep,) = [one.pid for one in site.command_processes(killed.task_id)][-1:]
        site.kill_server()
        site.let_go(run)
        site.kill(sleep)
        await site.until_dead(run)
        await site.until_dead(killed)
        await site.start_server()
        await site.check()


async def test_a_server_killed_three_times_in_a_row_loses_and_repeats_nothing(tmp_path: Path):
    async with open_site(tmp_path) as site:
        runs = [await site.write(f"run {n}", stdout=600_000, stderr=200_000, rate=400_000) for n in range(3)]
        for size in (50_000, 200_000, 350_000):
            await site.until_output(runs[0], size)
            await site.restart_server()
        await site.check()


async def test_a_server_killed_right_after_it_said_that_a_task_runs_starts_it_once(tmp_path: Path):
    async with open_site(tmp_path) as site:
        for n in range(4):
            await site.write(f"run {n}", stdout=20_000, stderr=1_000)
            if n % 2:
                await site.until_started(site.runs[list(site.runs)[-1]])
            await site.restart_server()
        await site.check()


async def test_a_server_killed_while_it_cancels_goes_on_cancelling(tmp_path: Path):
    async with open_site(tmp_path) as site:
        stubborn = await site.start("stubborn", "trap '' TERM; echo ready; while :; do sleep 0.1; done")
        await site.until_output(stubborn, 6)
        await site.cancel(stubborn)
        await site.restart_server()
        end = await site.ended(stubborn)
        assert (end["status"], end["signal"]) == ("cancelled", "SIGKILL")
        await site.until_dead(stubborn)
        await site.check()


async def test_a_server_killed_right_after_it_accepted_a_cancel_has_not_forgotten_it(tmp_path: Path):
    async with open_site(tmp_path) as site:
        run = await site.start("sleeper", "echo ready; sleep 1000 & wait")
        await site.until_output(run, 6)
        site.proxy.stall()  # the desktop cannot have heard of it
        await site.cancel(run)
        site.kill_server()
        assert site.command_processes(run.task_id)
        site.proxy.reset()
        site.proxy.heal()
        await site.start_server()
        assert (await site.ended(run))["status"] == "cancelled"
        await site.check()


async def test_what_waits_in_the_queue_when_the_server_dies_runs_afterwards(tmp_path: Path):
    async with open_site(tmp_path, maxConcurrentTasks=1) as site:
        first = await site.write("first", pause_at=1000)
        second = await site.write("second")
        await site.until_output(first, 1000)
        await site.restart_server()
        site.let_go(first)
        await site.check()
        assert site.is_started(second)


async def test_a_frozen_server_fails_no_run_when_it_goes_on(tmp_path: Path):
    """Longer than the 20 s after which the outpost takes a silent server for gone: the one test that takes so long."""
    async with open_site(tmp_path) as site:
        run = await site.write("through the pause", stdout=800_000, stderr=200_000, pause_at=400_000)
        await site.until_output(run, 300_000)
        site.stop_server()
        site.let_go(run)
        await until(lambda: "the server is silent" in site.outpost.log, "the outpost to let go", seconds=END_SECONDS)
        site.continue_server()
        await site.check()


async def test_a_full_spool_makes_the_command_wait_and_loses_nothing(tmp_path: Path):
    """The quota is 64 MiB a run: 70 MB are written while the server is away."""
    async with open_site(tmp_path, watchers=1) as site:
        run = await site.write("more than the quota", stdout=70_000_000, stderr=2_000_000, pause_at=100_000)
        await site.until_output(run, 100_000)
        site.kill_server()
        site.let_go(run)
        quota = 64 * 1024 * 1024
        await until(lambda: site.outpost.spool_bytes(run.task_id) >= quota, "the quota", seconds=END_SECONDS)
        assert site.command_processes(run.task_id), "it waits, as at any full pipe"
        assert site.outpost.spool_bytes(run.task_id) < quota + 1024 * 1024
        await site.start_server()
        await site.check()
        assert not site.outpost.segments(run.task_id), "what the log has is given back"


async def test_a_log_restored_from_a_backup_repeats_nothing_and_says_what_it_lacks(tmp_path: Path):
    async with open_site(tmp_path) as site:
        before = await site.write("before", stdout=50_000)
        over = await site.write("over the backup", stdout=900_000, pause_at=200_000)
        await site.ended(before)
        await site.until_output(over, 200_000)
        await site.server.process.stop()
        await site.server.close()
        shutil.copytree(site.server.data_dir, tmp_path / "backup")
        await site.server.start()
        after = await site.write("after", stdout=50_000)
        await site.ended(after)
        site.let_go(over)
        await site.ended(over)
        site.kill_server()
        await site.server.close()
        shutil.rmtree(site.server.data_dir)
        (tmp_path / "backup").rename(site.server.data_dir)
        await anyio.run_process(command_line("log", "restored", "--data-dir", str(site.server.data_dir)))
        del site.runs[after.task_id]  # this log has never heard of it
        site.resets_allowed = 1
        site.gaps_allowed.add(over.task_id)
        await site.server.start()
        history = await site.check()
        starts = (tmp_path / "over the backup.started").read_text().splitlines()
        assert len(starts) == 1
        assert (tmp_path / "after.started").read_text().count("\n") == 1
        assert of_type(history.of(over.task_id), "task.outputGap"), "what the outpost gave back is a declared gap"


async def test_a_server_killed_while_its_disk_is_slow_had_acknowledged_nothing_that_it_did_not_have(tmp_path: Path):
    async with open_site(tmp_path) as site:
        run = await site.write("slow disk", stdout=1_500_000, stderr=300_000, rate=250_000)
        await site.until_output(run, 20_000)
        await site.server.close()
        slowly = ("-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "inject=pwrite64:delay_enter=30ms")
        await site.server.start(under=(strace(), *slowly))
        await site.until_output(run, site.watcher.output_bytes(run.task_id) + 300_000)
        wal = site.server.data_dir / "mission-control.db-wal"
        size = wal.stat().st_size
        await until(lambda: wal.stat().st_size > size + 4 * 16 * 1024, "the middle of a commit", seconds=END_SECONDS)
        site.kill_server()
        await site.start_server()
        await site.check()


@pytest.mark.parametrize("call", ["fdatasync", "pwrite64", "write"])
async def test_a_server_killed_at_exact_system_calls_loses_and_repeats_nothing(tmp_path: Path, call: str):
    """strace kills it in the middle of commits (fdatasync, pwrite64) and of sending, acknowledgements too (write)."""
    async with open_site(tmp_path) as site:
        chance = random.Random(site.seed)
        run = await site.write("under kills", stdout=800_000, stderr=200_000, rate=150_000, pause_at=900_000)
        kills = 0
        for _ in range(3):
            when = chance.randrange(*{"fdatasync": (3, 12), "pwrite64": (10, 80), "write": (5, 60)}[call])
            inject = f"inject={call}:signal=KILL:when={when}"
            await site.server.close()
            options = ("-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", inject)
            if await site.server.start_under((strace(), *options)):
                process = site.server.process.process
                await until(
                    lambda process=process: (
                        process.poll() is not None or site.watcher.output_bytes(run.task_id) >= 900_000
                    ),
                    "the kill or the pause",
                    seconds=END_SECONDS,
                )
                kills += process.poll() is not None
            else:
                kills += 1
        assert kills, "at least one call was reached"
        await site.server.close()
        await site.server.start()
        await site.check()
