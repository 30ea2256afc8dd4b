"""A cancel ends everything of a run, once, whatever it meets on its way."""

from __future__ import annotations

import random
from pathlib import Path

from tests.faults.history import of_type
from tests.faults.site import open_site


async def test_a_run_cancelled_twice_is_cancelled_once(tmp_path: Path):
    async with open_site(tmp_path) as site:
        run = await site.start("sleeper", "echo ready; sleep 1000")
        await site.until_output(run, 6)
        await site.cancel(run)
        answer = await site.server.http.post(f"/api/mission-control/tasks/{run.task_id}/cancel")
        assert answer.status_code in (200, 409)  # it may be over by then
        end = await site.ended(run)
        assert (end["status"], end["signal"]) == ("cancelled", "SIGTERM")
        history = await site.check()
        assert len(of_type(history.of(run.task_id), "task.cancelRequested")) == 1


async def test_a_cancel_that_races_with_the_natural_end_leaves_one_end_and_a_true_code(tmp_path: Path):
    async with open_site(tmp_path) as site:
        chance = random.Random(site.seed)
        for number in range(12):
            run = await site.write(f"race {number}", stdout=30_000, stderr=0, pause_at=30_000, code=7)
            await site.until_output(run, 30_000)
            site.expect(run, may_be_cancelled=True)
            site.let_go(run)
            if chance.random() < 0.5:
                await site.ended(run) if chance.random() < 0.3 else await site.until_dead(run)
            answer = await site.server.http.post(f"/api/mission-control/tasks/{run.task_id}/cancel")
            assert answer.status_code in (200, 409), answer.text
        history = await site.check()
        for run in history.runs:
            (end,) = of_type(history.of(run.task_id), "task.cancelled", "task.failed", "task.completed")
            facts = (end.payload["exitCode"], end.payload["signal"])
            assert facts in ((7, None), (None, "SIGTERM")), end
            was_asked = bool(of_type(history.of(run.task_id), "task.cancelRequested"))
            assert (end.type == "task.cancelled") == was_asked, (
                "once requested, whatever the exit, it ends as cancelled"
            )


async def test_a_task_cancelled_before_it_could_start_never_starts(tmp_path: Path):
    async with open_site(tmp_path, maxConcurrentTasks=1) as site:
        first = await site.write("first", pause_at=1000)
        waiting = await site.write("waiting")
        await site.until_output(first, 1000)
        await site.cancel(waiting)
        assert (await site.ended(waiting))["status"] == "cancelled"
        site.let_go(first)
        await site.check()
        assert not site.is_started(waiting)


async def test_a_cancel_in_the_moment_of_the_start_leaves_nothing_alive(tmp_path: Path):
    async with open_site(tmp_path) as site:
        for number in range(8):
            run = await site.start(f"early {number}", "sleep 1000 & setsid sleep 1000 & wait")
            await site.cancel(run)
        for run in list(site.runs.values()):
            assert (await site.ended(run))["status"] == "cancelled"
            await site.until_dead(run)
        await site.check()


async def test_a_cancel_is_carried_out_though_outpost_link_and_server_fail_meanwhile(tmp_path: Path):
    async with open_site(tmp_path) as site:
        run = await site.start("stubborn", "trap '' TERM; echo ready; setsid sleep 1000 & while :; do sleep 0.1; done")
        await site.until_output(run, 6)
        await site.cancel(run)
        await site.kill_daemon()
        site.proxy.reset()
        await site.restart_server()
        end = await site.ended(run)
        assert (end["status"], end["signal"]) == ("cancelled", "SIGKILL")
        await site.until_dead(run)
        await site.check()
