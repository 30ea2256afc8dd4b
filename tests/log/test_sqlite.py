"""The log in one SQLite file: the contract, turns of the writer, the ring's edge, and who may open it."""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
import stat
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import anyio
import pytest

from mission_control.domain import limits
from mission_control.domain.filters import Filter
from mission_control.log import schema
from mission_control.log.directory import DATABASE_FILE, DirectoryUnusable, locked_directory
from mission_control.log.event_log import EventLog, LogUnavailable
from mission_control.log.sqlite import READERS, NewerSchema, SqliteLog, open_sqlite_log
from mission_control.log.writer import FREE_CHECK_US

from .contract import ALL, EventLogContract, everything
from .events import note, of_run, of_state, text_of

KIB = 1024


class TestSqliteLog(EventLogContract):
    def open_log(self, folder: Path) -> AbstractAsyncContextManager[EventLog]:
        return open_sqlite_log(folder)


class TestSqliteLogReadFromTheDisk(EventLogContract):
    """The same with room for a single event in memory: nearly every read goes to the file."""

    def open_log(self, folder: Path) -> AbstractAsyncContextManager[EventLog]:
        return open_sqlite_log(folder, ring_bytes_max=1)


# Turns of the writer. What is submitted without an await in between waits together; then only order and number count.


async def order_of(log: SqliteLog) -> list[str]:
    return [text_of(stored)[:6].strip() for stored in await everything(log)]


async def test_state_goes_ahead_of_output_that_waits(tmp_path: Path):
    async with open_sqlite_log(tmp_path) as log:
        log.submit(of_run("task_a", "output"))
        await log.submit(of_state(note("cancel")))
        await log.append(of_state())
        assert await order_of(log) == ["cancel", "output"]


async def test_a_quiet_line_waits_for_one_turn_of_a_flood_and_not_for_all_of_it(tmp_path: Path):
    async with open_sqlite_log(tmp_path) as log:
        floods = [log.submit(of_run("task_a", f"flood  {'x' * 64 * KIB}")) for _ in range(200)]
        quiet = log.submit(of_run("task_b", "quiet"))
        assert await quiet == 2
        assert sum(flood.done() for flood in floods) <= 8, "it is durable with the first half of a megabyte"
        await floods[-1]
        commits = log.statistics()["writer"]["commits"]
        assert 25 <= commits <= 30, "a flood is written in transactions of about half a megabyte"


async def test_many_runs_take_turns_one_piece_each(tmp_path: Path):
    async with open_sqlite_log(tmp_path) as log:
        given = [log.submit(of_run(f"task_{run}", f"{run}{number}")) for number in range(3) for run in "abc"]
        await given[-1]
        assert await order_of(log) == ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "c2"]


async def test_output_gets_its_turn_beside_a_flood_of_state(tmp_path: Path):
    async with open_sqlite_log(tmp_path) as log:
        flood = [log.submit(of_state(note(f"state  {'x' * KIB * KIB}"))) for _ in range(30)]
        output = log.submit(of_run("task_a", "quiet"))
        assert await output <= 8
        await flood[-1]


async def test_what_waits_together_is_synced_once(tmp_path: Path):
    async with open_sqlite_log(tmp_path) as log:
        given = [log.submit(of_state(note(str(number)))) for number in range(500)]
        assert await given[-1] == 500
        assert log.statistics()["writer"]["commits"] == 1


# The ring.


async def test_the_write_ahead_log_stays_small_however_little_each_commit_says(tmp_path: Path):
    async with open_sqlite_log(tmp_path) as log:
        for number in range(800):
            await log.append(of_state(note(str(number))))
        assert (tmp_path / f"{DATABASE_FILE}-wal").stat().st_size < 40 * 1024 * 1024


async def test_reads_agree_on_both_sides_of_the_rings_edge(tmp_path: Path):
    async with open_sqlite_log(tmp_path, ring_bytes_max=10 * KIB) as log:
        for number in range(100):
            await log.append(of_run("task_a", str(number)) if number % 3 else of_state(note(str(number))))
        held = log.statistics()["ring"]["events"]
        assert 10 < held < 60
        for wanted in (ALL, Filter(types=frozenset({"task.note"})), Filter(task_id="task_a")):
            whole = await everything(log, wanted)
            for after in range(101):
                assert await everything(log, wanted, after) == [stored for stored in whole if stored.seq > after]


async def test_the_ring_is_bounded_in_bytes(tmp_path: Path):
    async with open_sqlite_log(tmp_path, ring_bytes_max=256 * KIB) as log:
        for _ in range(20):
            await log.append(of_run("task_a", "x" * 64 * KIB))
            assert log.statistics()["ring"]["bytes"] <= 256 * KIB


async def test_a_long_walk_through_memory_is_cut_in_steps(tmp_path: Path):
    async with open_sqlite_log(tmp_path) as log:
        for _ in range(25):
            log.submit(of_state(*(note("x") for _ in range(1000))))
        await log.append(of_state(note("x", task="task_rare")))
        page = await log.read_after(0, Filter(task_id="task_rare"))
        assert page.events == []
        assert 0 < page.cursor < log.head
        assert len(await everything(log, Filter(task_id="task_rare"))) == 1


# Moments.


async def test_a_snapshot_shows_one_moment_and_is_never_ahead_of_what_was_told(tmp_path: Path):
    async with open_sqlite_log(tmp_path) as log, anyio.create_task_group() as group:

        async def write() -> None:
            for number in range(200):
                await log.append(of_state(note(str(number))))
            group.cancel_scope.cancel()

        async def look() -> None:
            while True:
                async with log.snapshot() as snapshot:
                    assert snapshot.seq <= log.head
                    (count,) = await snapshot.row("select count(*) from events") or (0,)
                    assert count == snapshot.seq

        group.start_soon(write)
        for _ in range(4):
            group.start_soon(look)


async def test_readers_that_are_cancelled_anywhere_leave_the_pool_whole(tmp_path: Path):
    async with open_sqlite_log(tmp_path, ring_bytes_max=1) as log:
        for number in range(50):
            await log.append(of_state(note(str(number) * KIB)))

        async def read_for_ever() -> None:
            while True:
                await everything(log)

        for rounds in range(40):
            async with anyio.create_task_group() as group:
                for _ in range(5):
                    group.start_soon(read_for_ever)
                for _ in range(rounds):
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()
        assert log.statistics()["readers"] == {"waiting": 0, "idle": READERS}
        assert len(await everything(log)) == 50


# Who may open it.


def test_a_second_server_is_told_who_holds_the_directory(tmp_path: Path):
    with locked_directory(tmp_path / "data"):
        with pytest.raises(DirectoryUnusable, match=rf"is in use by process {os.getpid()}\. Stop it first"):
            with locked_directory(tmp_path / "data"):
                pass
    with locked_directory(tmp_path / "data"):
        pass


def test_a_directory_that_cannot_be_made_says_so(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(DirectoryUnusable, match="Choose another with --data-dir"), locked_directory(tmp_path / "file"):
        pass


async def test_only_the_owner_can_read_what_is_stored(tmp_path: Path):
    with locked_directory(tmp_path / "data") as directory:
        async with open_sqlite_log(directory) as log:
            await log.append(of_state(note("1")))
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    assert set(modes.values()) == {0o600}, modes
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


async def test_a_file_of_a_newer_version_is_refused_by_name_and_left_alone(tmp_path: Path):
    async with open_sqlite_log(tmp_path):
        pass
    with sqlite3.connect(tmp_path / DATABASE_FILE) as database:
        database.execute(f"pragma user_version = {schema.VERSION + 1}")
    database.close()
    before = (tmp_path / DATABASE_FILE).read_bytes()
    said = rf"newer Mission Control \(schema {schema.VERSION + 1}; this one knows {schema.VERSION}\)"
    with pytest.raises(NewerSchema, match=said):
        async with open_sqlite_log(tmp_path):
            pass
    assert (tmp_path / DATABASE_FILE).read_bytes() == before


async def test_the_file_of_an_earlier_version_opens_with_what_it_holds(tmp_path: Path):
    path = tmp_path / DATABASE_FILE
    with sqlite3.connect(path) as database:
        database.executescript(f"{schema.STEPS[1]}; pragma user_version = 1")
        database.execute("insert into meta values ('server_id', 'here'), ('log_id', 'before')")
    database.close()
    async with open_sqlite_log(tmp_path) as log:
        assert (log.server_id, log.log_id) == ("here", "before")
    with sqlite3.connect(path) as database:
        assert database.execute("pragma user_version").fetchone() == (schema.VERSION,)
    database.close()


@pytest.mark.parametrize("content", [b"not a database, just text" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
async def test_a_file_that_is_no_log_is_refused_with_what_to_do(tmp_path: Path, content: bytes):
    (tmp_path / DATABASE_FILE).write_bytes(content)
    with pytest.raises(DirectoryUnusable, match=r"cannot be opened: .* Restore a backup"):
        async with open_sqlite_log(tmp_path):
            pass


# A disk that fills up.


async def test_when_the_disk_gets_full_output_waits_and_state_still_works(tmp_path: Path):
    free, now_us = limits.OUTPUT_FREE_BYTES_MIN, 0
    async with open_sqlite_log(tmp_path, free_bytes=lambda: free, clock_us=lambda: now_us) as log:
        assert await log.append(of_run("task_a", "1")) == 1
        assert log.trouble is None
        free = limits.OUTPUT_FREE_BYTES_MIN - 1
        now_us += FREE_CHECK_US
        with pytest.raises(LogUnavailable, match=r"only 255 MiB of disk are free, so output waits\. Free some space"):
            await log.append(of_run("task_a", "2"))
        assert await log.append(of_state(note("cancel"))) == 2
        assert "255 MiB" in (log.trouble or "")
        free = limits.STATE_FREE_BYTES_MIN - 1
        with pytest.raises(LogUnavailable, match=r"only 15 MiB of disk are free\. .* Nothing was changed"):
            await log.append(of_state(note("cancel")))
        assert log.head == 2
        free = limits.OUTPUT_FREE_BYTES_MIN
        assert log.trouble is None, "it recovers by itself"
        assert await log.append(of_run("task_a", "2")) == 3


async def test_a_run_whose_output_was_refused_gets_no_hole_when_space_returns(tmp_path: Path):
    answers = iter([0, *[limits.OUTPUT_FREE_BYTES_MIN] * 1000])
    async with open_sqlite_log(tmp_path, free_bytes=lambda: next(answers)) as log:
        pieces = [log.submit(of_run("task_a", f"{number}{'x' * 600 * KIB}")) for number in range(5)]
        other = log.submit(of_run("task_b", "other"))
        outcomes = [await _outcome(piece) for piece in pieces]
        assert outcomes == ["refused"] * 5, "what came after the refused piece waits with it"
        assert await _outcome(other) in ("refused", "written")


async def _outcome(done: asyncio.Future[int]) -> str:
    try:
        await done
    except LogUnavailable:
        return "refused"
    return "written"


async def test_state_that_was_decided_on_refused_state_is_refused_with_it(tmp_path: Path):
    answers = iter([0, *[limits.OUTPUT_FREE_BYTES_MIN] * 1000])
    notices: list[str] = []
    async with open_sqlite_log(tmp_path, free_bytes=lambda: next(answers)) as log:
        log.on_refusal(lambda: notices.append("void"))
        batches = [log.submit(of_state(note("x" * 5 * KIB * KIB))) for _ in range(3)]
        assert [await _outcome(batch) for batch in batches] == ["refused"] * 3
        assert notices == ["void"]
        assert await log.append(of_state(note("1"))) == 1


async def test_what_cannot_be_encoded_fails_its_own_append_and_no_other(tmp_path: Path):
    async with open_sqlite_log(tmp_path) as log:
        other = log.submit(of_state(note("1")))
        with pytest.raises(UnicodeEncodeError):
            await log.append(of_state(note("\ud800")))
        assert await other == 1
        assert await log.append(of_state(note("2"))) == 2


async def test_an_append_after_the_end_is_refused_and_does_not_hang(tmp_path: Path):
    async with open_sqlite_log(tmp_path) as log:
        pass
    with pytest.raises(LogUnavailable, match="the server is stopping"):
        await log.append(of_state(note("1")))
    assert re.fullmatch(r"[0-9a-f]{16}", log.log_id)
