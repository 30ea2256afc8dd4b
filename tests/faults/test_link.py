"""The network between server and desktop does what networks do. Runs go on, and what they wrote arrives once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.history import Run, of_type
from tests.faults.site import END_SECONDS, Site, open_site
from tests.support.waiting import until


async def until_lost(site: Site, direction: str, count: int = 1) -> None:
    """Until so many bytes have vanished on the way."""
    lost = site.proxy.lost_bytes
    before = lost[direction]  # pyright: ignore[reportArgumentType] - one of two words
    await until(lambda: lost[direction] - before >= count, f"bytes to vanish {direction}", seconds=END_SECONDS)  # pyright: ignore[reportArgumentType]


async def test_a_reset_connection_in_mid_flood_is_taken_up_at_the_exact_byte(tmp_path: Path):
    async with open_site(tmp_path) as site:
        run = await site.write("flood", stdout=3_000_000, stderr=1_000_000, rate=2_000_000)
        for size in (300_000, 900_000, 1_500_000, 2_500_000):
            await site.until_output(run, size)
            site.proxy.reset()
        await site.check()


async def test_a_desktop_that_refuses_connections_for_a_while_is_reconnecting_and_its_run_goes_on(tmp_path: Path):
    async with open_site(tmp_path) as site:
        run = await site.write("flood", stdout=500_000, pause_at=200_000)
        await site.until_output(run, 100_000)
        site.proxy.refuse()
        site.proxy.reset()
        await site.until_desktop(lambda one: one["link"] == "reconnecting")
        assert (await site.task(run))["status"] == "running"
        site.let_go(run)
        await site.until_dead(run)
        site.proxy.heal()
        await site.until_desktop(lambda one: one["link"] == "up")
        await site.check()


@pytest.mark.parametrize("lost", ["to_client", "to_server"])
async def test_bytes_that_vanish_in_one_direction_are_sent_again(tmp_path: Path, lost: str):
    """Output lost on its way, or acknowledgements: healed before anybody gave up, so what arrives makes no sense."""
    async with open_site(tmp_path) as site:
        run = await site.write("flood", stdout=2_000_000, stderr=500_000, rate=1_000_000)
        await site.until_output(run, 300_000)
        site.proxy.black_hole(to_server=lost == "to_server", to_client=lost == "to_client")
        await until_lost(site, lost, 200)
        site.proxy.heal()
        await site.check()


async def test_a_half_open_link_is_noticed_without_a_word_from_the_network(tmp_path: Path):
    """Everything from the desktop vanishes, and nobody is told: the server notices the silence within 12 s."""
    async with open_site(tmp_path) as site:
        run = await site.write("flood", stdout=500_000, pause_at=300_000)
        await site.until_output(run, 200_000)
        site.proxy.black_hole(to_server=False)
        site.let_go(run)
        await site.until_desktop(lambda one: one["link"] != "up")
        assert (await site.task(run))["status"] == "running"
        site.proxy.heal()
        site.proxy.reset()
        await site.check()


async def test_a_stalled_link_delivers_everything_when_it_moves_again(tmp_path: Path):
    async with open_site(tmp_path) as site:
        run = await site.write("flood", stdout=2_000_000, stderr=500_000, pause_at=400_000)
        await site.until_output(run, 300_000)
        site.proxy.stall()
        site.let_go(run)
        await site.until_dead(run)
        site.proxy.heal()
        await site.check()


async def test_over_a_slow_link_output_arrives_whole_and_a_cancel_gets_through(tmp_path: Path):
    async with open_site(tmp_path) as site:
        slow = await site.write("slow", stdout=6_000, stderr=500)
        endless = await site.start("endless", "yes")
        await site.until_output(endless, 100_000)
        site.proxy.slow(20_000)
        await site.cancel(endless)
        await site.until_dead(endless)
        site.proxy.slow(1_000)
        tiny = await site.write("tiny", stdout=200, stderr=20)
        await site.until_started(tiny)
        site.proxy.heal()
        await site.ended(slow)
        await site.check()


async def test_at_a_byte_a_second_a_run_is_not_failed(tmp_path: Path):
    async with open_site(tmp_path) as site:
        run = await site.write("tiny", stdout=30, stderr=0, pause_at=10)
        await site.until_output(run, 10)
        site.proxy.slow(1)
        site.let_go(run)
        await site.until_dead(run)
        await until((tmp_path / "tiny.written").exists, "what it wrote")
        assert (await site.task(run))["status"] == "running", "its end has not come yet"
        site.proxy.heal()
        await site.check()


async def test_a_run_that_begins_in_the_moment_in_which_its_link_breaks_is_durable_all_the_same(tmp_path: Path):
    async with open_site(tmp_path) as site:
        for number in range(6):
            if number % 3 == 0:
                site.proxy.reset()
            run = await site.write(f"run {number}", stdout=2_000, stderr=0)
            if number % 3 == 1:
                site.proxy.reset()
            elif number % 3 == 2:
                await site.kill_daemon()
            await site.until_event(run, "task.phase", phase="starting")
        history = await site.check()
        for run in history.runs:
            phases = [one.payload for one in of_type(history.of(run.task_id), "task.phase")]
            assert phases[0].get("instanceId"), f"{run.name} ran without the outpost"


async def test_when_the_reply_to_a_start_is_lost_the_command_is_not_started_again(tmp_path: Path):
    async with open_site(tmp_path) as site:
        site.proxy.black_hole(to_server=False)
        run = await site.write("once")
        await site.until_started(run)  # it has arrived; what the desktop says to that has not
        site.proxy.reset()
        site.proxy.heal()
        await site.check()


async def start_that_is_lost(site: Site) -> Run:
    """A run whose start is on its way and never arrives; what follows it does not either, until `heal`."""
    site.proxy.black_hole(to_client=False)
    run = await site.write("once")
    await site.until_event(run, "task.phase", phase="starting")
    await until_lost(site, "to_server")
    return run


async def test_when_a_start_is_lost_on_its_way_it_is_sent_again(tmp_path: Path):
    async with open_site(tmp_path) as site:
        await start_that_is_lost(site)
        site.proxy.reset()
        site.proxy.heal()
        await site.check()


async def test_what_is_cancelled_while_its_start_is_lost_on_its_way_is_never_started(tmp_path: Path):
    async with open_site(tmp_path) as site:
        run = await start_that_is_lost(site)
        await site.cancel(run)
        site.proxy.reset()
        site.proxy.heal()
        assert (await site.ended(run))["status"] == "cancelled"
        await site.check()
        assert not site.is_started(run)


async def test_when_the_server_dies_after_a_lost_reply_the_command_is_not_started_again(tmp_path: Path):
    async with open_site(tmp_path) as site:
        site.proxy.black_hole(to_server=False)
        run = await site.write("once", stdout=0, stderr=0)  # not even a byte tells that it ran
        await until((tmp_path / "once.written").exists, "its own word that it ran")
        site.kill_server()
        site.proxy.reset()
        site.proxy.heal()
        await site.start_server()
        await site.ended(run)
        await site.check()


async def test_killed_sshd_sessions_cost_nothing(tmp_path: Path):
    async with open_site(tmp_path) as site:
        run = await site.write("flood", stdout=2_000_000, stderr=500_000, rate=1_500_000)
        for size in (200_000, 800_000, 1_600_000):
            await site.until_output(run, size)
            site.host.kill_sessions()
        await site.check()


async def test_a_cancel_while_the_link_is_down_is_delivered_when_it_is_back(tmp_path: Path):
    async with open_site(tmp_path) as site:
        run = await site.start("sleeper", "echo ready; sleep 1000 & sleep 1000 & wait")
        await site.until_output(run, 6)
        site.proxy.refuse()
        site.proxy.reset()
        await site.until_desktop(lambda one: one["link"] == "reconnecting")
        told = await site.cancel(run)
        assert (told["status"], bool(told["cancelRequestedAt"])) == ("running", True), "not yet known to have ended"
        assert site.command_processes(run.task_id)
        site.proxy.heal()
        assert (await site.ended(run))["status"] == "cancelled"
        await site.until_dead(run)
        await site.check()


async def test_a_desktop_that_stays_away_fails_its_run_and_its_true_end_is_told_when_it_is_back(tmp_path: Path):
    async with open_site(tmp_path, "--run-patience-seconds", "2") as site:
        run = await site.write("away", stdout=300_000, pause_at=100_000, may_be_lost=frozenset({"desktop_unreachable"}))
        await site.until_output(run, 90_000)
        site.proxy.refuse()
        site.proxy.reset()
        end = await site.ended(run)
        assert (end["status"], end["error"]["code"]) == ("failed", "desktop_unreachable")
        site.let_go(run)
        await site.until_dead(run)
        site.proxy.heal()
        await site.until_event(run, "task.note")
        history = await site.check()
        late = [one for one in history.of(run.task_id) if one.payload.get("late")]
        assert late, "what it wrote meanwhile"
        assert run.written
        whole = sum(one.payload["length"] for one in history.of(run.task_id) if one.type == "task.output")
        assert whole == sum(map(len, run.written.values()))
