"""What happens on the desktop itself: its outpost dies, its disk fills or lies, it boots, somebody wipes a folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.faults.history import of_type
from tests.faults.site import END_SECONDS, Server, open_site
from tests.support.processes import is_alive
from tests.support.waiting import until

HEAD_BYTES = 60  # of a record, as docs/outpost.md says


async def test_a_killed_outpost_is_replaced_and_its_runs_go_on(tmp_path: Path):
    async with open_site(tmp_path) as site:
        run = await site.write("flood", stdout=2_000_000, stderr=500_000, rate=1_500_000)
        for size in (200_000, 1_000_000):
            await site.until_output(run, size)
            await site.kill_daemon()
        await site.check()


async def test_an_outpost_that_left_while_nothing_ran_is_there_again_for_the_next_run(tmp_path: Path):
    async with open_site(tmp_path) as site:
        await site.ended(await site.write("before"))
        pid = await site.kill_daemon()
        await until(lambda: not is_alive(pid), "it to be dead")
        await site.ended(await site.write("after"))
        await site.check()


async def test_outpost_and_server_killed_together_lose_nothing(tmp_path: Path):
    async with open_site(tmp_path) as site:
        run = await site.write("flood", stdout=1_500_000, pause_at=600_000)
        await site.until_output(run, 300_000)
        await site.kill_daemon()
        site.kill_server()
        site.let_go(run)
        await site.until_dead(run)
        await site.start_server()
        await site.check()


async def test_a_killed_supervisor_loses_its_run_which_says_so_and_leaves_nothing_alive(tmp_path: Path):
    async with open_site(tmp_path) as site:
        run = await site.write("watched over", stdout=500_000, pause_at=200_000)
        await site.until_output(run, 190_000)
        await site.kill_supervisor(run)
        end = await site.ended(run)
        assert (end["status"], end["error"]["code"], end.get("exitCode")) == ("failed", "supervisor_killed", None)
        await site.until_dead(run)
        history = await site.check()
        assert sum(one.payload["length"] for one in of_type(history.of(run.task_id), "task.output")) >= 190_000


async def test_supervisor_and_outpost_killed_together_lose_only_that_run(tmp_path: Path):
    async with open_site(tmp_path) as site:
        lost = await site.write("lost", stdout=500_000, pause_at=200_000)
        kept = await site.write("kept", stdout=500_000, pause_at=200_000)
        await site.until_output(lost, 190_000)
        await site.until_output(kept, 190_000)
        supervisor = await site.supervisor(lost)
        await site.kill_daemon()
        site.kill(supervisor)
        site.expect(lost, may_be_lost=frozenset({"supervisor_killed"}))
        assert (await site.ended(lost))["error"]["code"] == "supervisor_killed"
        await site.check()


async def test_after_a_reboot_a_run_says_so_keeps_its_output_and_is_not_run_again(tmp_path: Path):
    async with open_site(tmp_path) as site:
        run = await site.write("rebooted", stdout=500_000, pause_at=200_000)
        site.expect(run, may_be_lost=frozenset({"desktop_rebooted"}))
        await site.until_output(run, 100_000)
        site.kill_server()
        reboot(site, run.task_id)
        await site.start_server()
        end = await site.ended(run)
        assert (end["status"], end["error"]["code"]) == ("failed", "desktop_rebooted")
        assert (await site.ended(await site.write("after")))["status"] == "done"
        history = await site.check()
        assert sum(one.payload["length"] for one in of_type(history.of(run.task_id), "task.output")) == 200_000


def reboot(site, task_id: str) -> None:  # noqa: ANN001
    """What a reboot leaves: no process of ours, and a folder that names another boot."""
    for pid in site.processes():
        site.kill(pid)
    file = site.outpost.run_folder(task_id) / "super"
    identity = json.loads(file.read_text())
    file.write_text(json.dumps(identity | {"boot": "00000000-before"}))


async def test_a_process_that_got_the_id_of_a_dead_supervisor_is_not_touched(tmp_path: Path):
    async with open_site(tmp_path) as site:
        run = await site.write("reused", stdout=500_000, pause_at=200_000, may_be_lost=frozenset({"supervisor_killed"}))
        await site.until_output(run, 190_000)
        stranger = subprocess.Popen(["sleep", "1000"], env={"HOME": str(site.home), "PATH": os.environ["PATH"]})
        try:
            supervisor = await site.supervisor(run)
            file = site.outpost.run_folder(run.task_id) / "super"
            site.kill_server()
            await site.kill_daemon()
            site.kill(supervisor)
            await until(lambda: not is_alive(supervisor), "the supervisor to be dead")
            start = Path(f"/proc/{stranger.pid}/stat").read_text().rpartition(") ")[2].split()[19]
            file.write_text(json.dumps(json.loads(file.read_text()) | {"pid": stranger.pid, "start": start}))
            await site.start_server()
            await site.cancel(run)
            end = await site.ended(run)
            assert end["status"] in ("failed", "cancelled")
            assert end.get("exitCode") is None, "nobody knows it"
            await site.check()
            assert stranger.poll() is None, "the stranger lives"
        finally:
            stranger.kill()
            stranger.wait()


@contextmanager
def small_disk(folder: Path, size: str) -> Generator[Path]:
    """A file system that fills up quickly."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk needs the right to mount one: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(file: Path) -> None:
    """Take all the room that is left."""
    with file.open("wb", buffering=0) as ballast, suppress(OSError):
        while True:
            ballast.write(bytes(4096))


async def test_a_full_disk_makes_the_command_wait_and_the_task_says_why(tmp_path: Path):
    with small_disk(tmp_path / "disk", "8m") as home:
        async with open_site(tmp_path, home=home) as site:
            run = await site.write("fills the disk", stdout=14_000_000, pause_at=100_000)
            await site.until_output(run, 90_000)
            site.proxy.refuse()
            site.proxy.reset()
            site.let_go(run)
            await until(lambda: shutil.disk_usage(home).free < 300_000, "the disk to be full", seconds=END_SECONDS)
            site.proxy.heal()
            await site.check()


async def test_a_disk_that_others_fill_makes_runs_wait_until_there_is_room_again(tmp_path: Path):
    with small_disk(tmp_path / "disk", "8m") as home:
        async with open_site(tmp_path, home=home) as site:
            run = await site.write("waits", stdout=2_000_000, pause_at=500_000)
            await site.until_output(run, 400_000)
            fill(home / "ballast")
            site.let_go(run)
            await site.until_event(run, "task.note")
            assert (await site.task(run))["status"] == "running"
            (home / "ballast").unlink()
            await site.check()


async def flip(site, run, at: int) -> None:  # noqa: ANN001
    """Change one bit of what the outpost keeps."""
    segment = site.outpost.segments(run.task_id)[-1]
    with segment.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))


@pytest.mark.parametrize("adopted", [False, True], ids=["by the same outpost", "by the next outpost"])
@pytest.mark.parametrize("part", ["payload", "head"])
async def test_bytes_that_the_disk_damaged_are_a_declared_gap_and_the_rest_is_there(
    tmp_path: Path, part: str, adopted: bool
):
    async with open_site(tmp_path) as site:
        run = await site.write("damaged", stdout=900_000, stderr=100_000, pause_at=300_000)
        site.gaps_allowed.add(run.task_id)
        await site.until_output(run, 290_000)
        site.kill_server()
        (segment,) = site.outpost.segments(run.task_id)
        before = segment.stat().st_size
        site.let_go(run)
        await site.until_dead(run)
        await until(lambda: not (site.outpost.run_folder(run.task_id) / "s").exists(), "its end in the journal")
        place = next(one for one in places_of_records(segment.read_bytes()) if one >= before)
        await flip(site, run, place + (HEAD_BYTES + 1 if part == "payload" else 20))
        if adopted:
            await site.kill_daemon()
        await site.start_server()
        history = await site.check()
        (gap,) = of_type(history.of(run.task_id), "task.outputGap")
        assert gap.payload["to"] - gap.payload["from"] <= 256 * 1024


def places_of_records(data: bytes) -> list[int]:
    """Where each record of a segment begins."""
    places, at = [], 0
    while at < len(data):
        places.append(at)
        at += HEAD_BYTES + int.from_bytes(data[at + 4 : at + 8], "big")
    return places


@pytest.mark.parametrize("adopted", [False, True], ids=["by the same outpost", "by the next outpost"])
@pytest.mark.parametrize("part", ["payload", "head"])
async def test_when_the_disk_damaged_the_end_itself_the_task_says_that_its_end_is_not_known(
    tmp_path: Path, part: str, adopted: bool
):
    async with open_site(tmp_path) as site:
        run = await site.write("damaged", stdout=50_000, stderr=0, pause_at=10_000)
        site.expect(run, may_be_lost=frozenset({"supervisor_killed", "run_lost", "output_mismatch"}))
        await site.until_output(run, 9_000)
        site.kill_server()
        site.let_go(run)
        await site.until_dead(run)
        await until(lambda: not (site.outpost.run_folder(run.task_id) / "s").exists(), "its end in the journal")
        last = places_of_records(site.outpost.segments(run.task_id)[-1].read_bytes())[-1]
        await flip(site, run, last + (HEAD_BYTES + 1 if part == "payload" else 20))
        if adopted:
            await site.kill_daemon()
        await site.start_server()
        end = await site.ended(run)
        assert (end["status"], end.get("exitCode")) == ("failed", None)
        await site.ended(await site.write("after"))
        await site.check()


async def test_when_its_folder_is_wiped_a_run_is_lost_ends_and_says_so(tmp_path: Path):
    async with open_site(tmp_path) as site:
        run = await site.write("wiped", stdout=500_000, pause_at=200_000)
        site.expect(run, may_be_lost=frozenset({"run_lost", "supervisor_killed"}))
        await site.until_output(run, 190_000)
        shutil.rmtree(site.home / ".local")
        end = await site.ended(run)
        assert end["status"] == "failed"
        await site.until_dead(run)
        said: list[str] = []
        while not said or said[-1]:
            # The first is refused; what was on its way to the outpost that then left may have begun, for all we know.
            again = await site.write(f"again {len(said)}", may_be_lost=frozenset({"start_refused", "run_lost"}))
            await site.ended(again)
            said.append(((await site.task(again))["error"] or {}).get("message", ""))
        assert len(said) <= 3 and all("removed" in one for one in said[:-1]), said
        await site.check()


async def test_when_its_folder_is_wiped_while_the_server_is_away_nothing_is_run_again(tmp_path: Path):
    async with open_site(tmp_path) as site:
        run = await site.write("wiped", stdout=500_000, pause_at=200_000)
        site.expect(run, may_be_lost=frozenset({"run_lost", "supervisor_killed"}))
        await site.until_started(run)
        site.kill_server()
        shutil.rmtree(site.home / ".local")
        for pid in site.processes():
            site.kill(pid)
        await site.start_server()
        assert (await site.ended(run))["error"]["code"] == "run_lost"
        assert (await site.ended(await site.write("after")))["status"] == "done"
        await site.check()


async def test_runs_of_a_desktop_whose_python_is_away_for_a_while_are_followed_when_it_is_back(tmp_path: Path):
    """As while its packages are upgraded: a desktop that had an outpost is not taken for one that cannot have any."""
    python = tmp_path / "python"
    python.symlink_to(shutil.which("python3") or "")
    async with open_site(tmp_path, outpost={"python": str(python)}) as site:
        run = await site.write("long", stdout=100_000, pause_at=50_000)
        await site.until_output(run, 50_000)
        python.rename(tmp_path / "away")
        site.proxy.reset()
        away = await site.until_desktop(lambda one: (one["error"] or {}).get("code") == "outpost_failed")
        assert "cancel them" in away["error"]["message"]
        assert (await site.task(run))["status"] == "running"
        (tmp_path / "away").rename(python)
        site.let_go(run)
        await site.check()


async def test_without_runs_to_be_followed_a_desktop_without_python_goes_on_without_an_outpost(tmp_path: Path):
    python = tmp_path / "python"
    python.symlink_to(shutil.which("python3") or "")
    async with open_site(tmp_path, outpost={"python": str(python)}) as site:
        run = await site.start("long", "sleep 1000")
        await site.until_event(run, "task.phase", phase="streaming")
        python.unlink()
        site.proxy.reset()
        await site.until_desktop(lambda one: (one["error"] or {}).get("code") == "outpost_failed")
        await site.cancel(run)
        await site.until_desktop(lambda one: one["link"] == "up" and not one["durable"])
        assert (await site.ended(await site.start("other", "true")))["status"] == "done"
        python.symlink_to(shutil.which("python3") or "")
        site.proxy.reset()
        assert (await site.ended(run))["status"] == "cancelled"
        await site.check()


async def test_two_servers_on_one_account_do_not_disturb_each_other(tmp_path: Path):
    async with open_site(tmp_path) as site:
        other = Server(tmp_path / "other", ())
        try:
            await other.start()
            desktop_id = await site.add_desktop(other)
            mine = await site.write("mine", stdout=800_000, pause_at=400_000)
            content = site.writer_line("theirs", 800_000, 1000, 0, 400_000)
            body = {"type": "command", "content": content, "desktopId": desktop_id, "run": True}
            theirs = (await other.http.post("/api/mission-control/tasks", json=body)).json()
            await site.until_output(mine, 390_000)
            await until((tmp_path / "theirs.started").exists, "theirs to start")
            await other.restart()
            site.kill_server()
            (tmp_path / "theirs.go").touch()

            async def is_done() -> bool:
                return (await other.http.get(f"/api/mission-control/tasks/{theirs['id']}")).json()["status"] == "done"

            await until(is_done, "theirs to be done", seconds=END_SECONDS)
            await site.start_server()
            await site.check()
            assert (tmp_path / "theirs.started").read_text().count("\n") == 1
        finally:
            await other.close()
