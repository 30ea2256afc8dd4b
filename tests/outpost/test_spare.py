"""The supervisor that is forked ahead of its run: it makes starts fast, and nothing depends on it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from mission_control.runs.frames import Kind
from tests.outpost.driver import Attached, Desktop, open_desktop, until, until_dead
from tests.support.processes import children_of


async def spare_after_a_run(desktop: Desktop, outpost: Attached) -> int:
    """Run a command; the process that then waits for the next one."""
    await outpost.start("first", "echo first")
    await outpost.ended("first")
    used = desktop.supervisor("first")
    await outpost.send(Kind.FORGET, "first")
    await until_dead(used)
    await until(lambda: len(children_of(outpost.hello["pid"])) == 1)
    return children_of(outpost.hello["pid"])[0]


async def stopped_spare_with_a_run(desktop: Desktop, outpost: Attached) -> int:
    """The spare, which was given the run `next` and cannot start it."""
    spare = await spare_after_a_run(desktop, outpost)
    os.kill(spare, signal.SIGSTOP)
    await outpost.start("next", "echo next")
    await outpost.state("next", "running")
    return spare


async def test_an_account_on_which_nothing_ran_has_no_spare(tmp_path: Path):
    often = {"METRICS_S": 0.01, "TICK_S": 0.01, "SPARE_AFTER_S": 0.001}
    async with open_desktop(tmp_path) as desktop, desktop.attached(version="often", constants=often) as outpost:
        await outpost.until(lambda: len(outpost.metrics) == 5)
        assert not children_of(outpost.hello["pid"])


async def test_a_command_is_watched_by_the_spare_and_another_one_is_made(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        spare = await spare_after_a_run(desktop, outpost)
        await outpost.start("next", "echo $PPID; sleep 1000")
        await outpost.until(lambda: outpost.run("next").out.endswith(b"\n"))
        assert int(outpost.run("next").out) == desktop.supervisor("next") == spare
        await until(lambda: len(children_of(outpost.hello["pid"])) == 2)
        await outpost.send(Kind.CANCEL, "next", 100)
        assert (await outpost.ended("next")).ended["why"] == "cancel"


async def test_a_spare_that_was_killed_costs_nothing_but_its_head_start(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        spare = await spare_after_a_run(desktop, outpost)
        os.kill(spare, signal.SIGKILL)
        await until_dead(spare)
        await outpost.start("next", "echo next")
        assert (await outpost.ended("next")).out == b"next\n"


@pytest.mark.parametrize("size", [60_000, 70_000, 1_000_000])
async def test_a_command_of_any_size_runs_once_whether_the_spare_can_take_it_or_not(tmp_path: Path, size: int):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        spare = await spare_after_a_run(desktop, outpost)
        counted, variables = tmp_path / "counted", {f"PART_{n}": "x" * 50_000 for n in range(size // 50_000)}
        await outpost.start("next", f"echo x >> {counted}; : {'y' * (size % 50_000)}", env=variables)
        assert (await outpost.ended("next")).ended["code"] == 0
        assert counted.read_text() == "x\n"
        if size > 65536:
            await until_dead(spare)


async def test_a_stopped_spare_that_was_given_a_run_starts_it_once_it_goes_on(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        spare = await stopped_spare_with_a_run(desktop, outpost)
        await outpost.start("other", "echo other")
        assert (await outpost.ended("other")).out == b"other\n"
        os.kill(spare, signal.SIGCONT)
        assert (await outpost.ended("next")).out == b"next\n"


async def test_a_spare_that_is_killed_with_its_run_in_hand_is_said(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        spare = await stopped_spare_with_a_run(desktop, outpost)
        os.kill(spare, signal.SIGKILL)
        assert (await outpost.state("next", "lost"))["why"] == "never_started"
        assert not outpost.run("next").out


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
async def test_the_spare_ends_with_its_outpost(tmp_path: Path, sign: signal.Signals):
    async with open_desktop(tmp_path) as desktop, desktop.attached() as outpost:
        spare = await spare_after_a_run(desktop, outpost)
        os.kill(outpost.hello["pid"], sign)
        await until_dead(outpost.hello["pid"], spare)


async def test_a_command_has_the_environment_of_the_newest_session_not_of_the_spares(tmp_path: Path):
    async with open_desktop(tmp_path) as desktop:
        async with desktop.attached(environment={"LANG": "C"}) as outpost:
            spare = await spare_after_a_run(desktop, outpost)
        async with desktop.attached(environment={"LANG": "C.UTF-8"}) as outpost:
            await outpost.start("next", "echo $LANG $PPID")
            assert (await outpost.ended("next")).out == b"C.UTF-8 %d\n" % spare
