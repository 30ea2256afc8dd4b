"""`log verify`: silent about a sound log, and each kind of damage gets its sentence."""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

import anyio
import msgspec
import pytest

from mission_control.control.door import open_control
from mission_control.domain.events import TaskOutput
from mission_control.domain.output import OutputCutter, Stream
from mission_control.domain.tasks import RunEnd
from mission_control.domain.values import Error, StreamSums
from mission_control.log import schema
from mission_control.log.directory import DATABASE_FILE, DirectoryUnusable, locked_directory
from mission_control.log.event_log import RunRow
from mission_control.log.sqlite import NewerSchema, open_sqlite_log
from mission_control.log.verify import PROBLEMS_MAX, Record, verify, verify_directory
from mission_control.log.writer import link

from .events import note, of_state
from .world import ALICE, DONE, SAID, finished_task, make_history, running_desktop

ALL_RECORDS = f"select {', '.join(Record._fields)} from events order by seq"


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("history")
    asyncio.run(make_history(folder))
    return folder


@pytest.fixture
def history(made_once: Path, tmp_path: Path) -> Path:
    """A data directory with something of everything, and no server."""
    return Path(shutil.copytree(made_once, tmp_path / "data"))


def change(folder: Path, *statements: str) -> None:
    """Somebody changes the file behind the server's back."""
    with closing(sqlite3.connect(folder / DATABASE_FILE)) as database:
        for statement in statements:
            assert database.execute(statement).rowcount != 0, f"{statement} changed nothing"
        database.commit()


def forge(folder: Path) -> None:
    """… and makes digests and chain fit again."""
    with closing(sqlite3.connect(folder / DATABASE_FILE)) as database:
        chain = bytes(32)
        database.execute("update events set body = cast(body as blob)")
        for row in database.execute(ALL_RECORDS).fetchall():
            record = Record(*row)
            digest = hashlib.sha256(record.body or b"").digest()
            head = (record.seq, record.at, record.type, record.entity, record.task_id, record.desktop_id)
            chain = link(chain, *head, msgspec.Raw(record.actor.encode()), digest)
            database.execute("update events set body_sha256 = ?, chain = ? where seq = ?", (digest, chain, record.seq))
        database.commit()


async def test_a_sound_log_has_no_problem_and_is_counted(history: Path):
    steps: list[tuple[int, int]] = []
    report = await verify_directory(history, lambda seq, head: steps.append((seq, head)))
    assert report.problems == ()
    assert report.is_sound
    assert (report.tasks, report.runs, report.bytes) == (12, 6, 6 * 22)
    assert steps[-1] == (report.events, report.events)


async def test_late_output_of_a_desktop_that_was_given_up_is_sound_and_of_any_other_task_is_not(tmp_path: Path):
    away = RunEnd(error=Error(code="desktop_unreachable", message="The desktop was away for 24 h."))
    async with open_control(tmp_path) as control:
        desktop = await running_desktop(control)
        for end in (away, DONE):
            task, cutter = await finished_task(control, desktop, end), OutputCutter()
            for stream, data in SAID:
                cutter.feed(stream, data, 1)
                cutter.finish()
            (piece,) = cutter.feed("stdout", b"late\n", 9)
            facts = {
                name: getattr(piece, name) for name in ("stream", "position", "offset", "length", "line", "ms", "crc")
            }
            event = TaskOutput(task_id=task.id, text="late\n", late=True, **facts)
            await control.tasks.record(task, [event], RunRow(task.id, cutter.position))
    (problem,) = (await verify_directory(tmp_path)).problems
    assert problem.sentence == f"it is output of task {task.id}, which is done"


@pytest.mark.parametrize("lost", [b"", b"e"])
async def test_what_is_recorded_is_compared_with_what_the_desktop_counted_at_the_pipe(tmp_path: Path, lost: bytes):
    streams: dict[Stream, StreamSums] = {}
    for stream in ("stdout", "stderr"):
        data = b"".join(data for name, data in SAID if name == stream) + (lost if stream == "stdout" else b"")
        digest = hashlib.sha256(data).hexdigest()
        streams[stream] = StreamSums(bytes=len(data), crc=zlib.crc32(data), sha256=digest)
    async with open_control(tmp_path) as control:
        end = RunEnd(exit_code=0, streams=streams)
        task = await finished_task(control, await running_desktop(control), end)
    said = [problem.sentence for problem in (await verify_directory(tmp_path)).problems]
    assert said == ([f"what is recorded of stdout of task {task.id} is not what its desktop read"] if lost else [])


async def test_an_empty_log_is_sound(tmp_path: Path):
    async with open_sqlite_log(tmp_path):
        pass
    report = await verify_directory(tmp_path)
    assert (report.is_sound, report.events) == (True, 0)


async def test_a_log_in_use_can_be_checked_from_inside_and_from_outside(tmp_path: Path):
    with locked_directory(tmp_path):
        async with open_control(tmp_path) as control, anyio.create_task_group() as group:
            desktop = await running_desktop(control)

            async def work() -> None:
                while True:
                    await finished_task(control, desktop)

            group.start_soon(work)
            for check in (lambda: verify(control.log), lambda: verify_directory(tmp_path)) * 3:
                before = control.log.head
                report = await check()
                assert report.problems == ()
                assert report.events >= before
            group.cancel_scope.cancel()


LAST_OUTPUT = "(select max(seq) from events where type = 'task.output')"
FIRST_TASK = "(select min(id) from tasks)"
SET = "update events set body = replace(cast(body as text), "
DAMAGE: dict[str, tuple[str, str]] = {
    "a byte of an event": (
        "update events set body = replace(cast(body as text), 'Old', 'New') where seq = 4",
        r"event 4: its payload is not what was written",
    ),
    "who did it": (
        'update events set actor = \'{"id":"key_bob","name":"Bob"}\' where seq = 6',
        r"event 6: the chain does not follow",
    ),
    "when it was": ("update events set at = at + 1 where seq = 6", r"event 6: the chain does not follow"),
    "an event taken out": ("delete from events where seq = 7", r"event 8: it comes after event 6"),
    "the first event taken out": ("delete from events where seq = 1", r"event 2: it comes after event 0"),
    "the end cut off": (
        "delete from events where seq = (select max(seq) from events)",
        r"the table of keys shows key_\w+ otherwise than its events",
    ),
    "a task's status": (
        "update tasks set status = 'done' where status = 'failed'",
        r"the table of tasks shows task_\w+ otherwise",
    ),
    "a task's document": (
        "update tasks set doc = replace(cast(doc as text), 'echo', 'rm -rf')",
        r"the table of tasks shows task_\w+ otherwise",
    ),
    "a task's document cut": ("update tasks set doc = '{}'", r"the table of tasks shows task_\w+ otherwise"),
    "a task taken out": ("delete from tasks where status = 'review'", r"the table of tasks lacks task_\w+"),
    "a task put in": (
        "insert into tasks (id, status, type, desktop_id, archived, doc)"  # noqa: ISC004 - one statement
        " select 'task_x', status, type, desktop_id, 0, doc from tasks limit 1",
        r"the table of tasks has task_x, which no event created",
    ),
    "the count of tasks": ("update task_counts set count = count + 1", r"the number of tasks that are \w+ is not"),
    "how far a run is recorded": ("update runs set bytes = bytes - 1", r"the table of runs shows 21 bytes"),
    "a run taken out": (
        "delete from runs where task_id = (select max(task_id) from runs)",
        r"the table of runs lacks task_\w+",
    ),
    "an approval's decision": (
        "update approvals set status = 'approved' where status = 'rejected'",
        r"the table of approvals shows appr_\w+ otherwise",
    ),
    "an approval taken out": ("delete from approvals", r"the table of approvals lacks appr_\w+"),
    "a desktop's return": ("update desktops set removed = 0", r"the table of desktops shows desk_\w+ otherwise"),
    "a desktop taken out": ("delete from desktops", r"the table of desktops lacks desk_\w+"),
    "a key's role": (
        "update keys set doc = replace(cast(doc as text), 'viewer', 'admin')",
        r"the table of keys shows key_\w+ otherwise",
    ),
    "a key taken out": ("delete from keys", r"the table of keys lacks key_\w+"),
    "the settings": ("delete from settings", r"the table of settings shows others"),
    "a secret left behind": (
        "insert into secrets values ('desk_gone', 'password', x'00')",
        r"there is still a secret of desk_gone",
    ),
    "a credential left behind": (
        "insert into credentials values ('key_gone', x'00')",
        r"there is still a credential of key key_gone",
    ),
}


@pytest.mark.parametrize("what", DAMAGE)
async def test_damage_is_found_and_named(history: Path, what: str):
    statement, sentence = DAMAGE[what]
    change(history, statement)
    report = await verify_directory(history)
    assert not report.is_sound
    assert any(_matches(sentence, str(problem)) for problem in report.problems), report.problems


EMPTY_NOTE = '\'{"taskId":"\' || task_id || \'","desktopId":"x","text":""}\''
FORGERY: dict[str, tuple[str, str]] = {
    "output changed": (
        f"{SET} 'end', 'eNd') where seq = {LAST_OUTPUT}",
        r"the output of task task_\w+ does not add up: crc is \d+",
    ),
    "output left out": (
        f"update events set type = 'task.note', desktop_id = 'x', body = {EMPTY_NOTE} where seq = {LAST_OUTPUT} - 1",
        r"does not add up: position is 19 and should be 8",
    ),
    "output after the end": (
        f"{SET} task_id, {FIRST_TASK}), task_id = {FIRST_TASK}, entity = {FIRST_TASK} where seq = {LAST_OUTPUT}",
        r"it is output of task task_\w+, which is done",
    ),
    "an impossible way": (
        f"{SET} '\"running\"', '\"review\"') where type = 'task.started'",
        r"task task_\w+ goes from pending to review",
    ),
    "a version twice": (
        f"{SET} '\"version\":3', '\"version\":2') where type = 'task.phase'",
        r"version 2 of task_\w+ does not follow",
    ),
    "an unknown task": (
        f"{SET} task_id, 'task_x') where type = 'task.completed'",
        r"it is about task task_x, which was never created",
    ),
    "an unknown desktop": (
        f"{SET} desktop_id, 'desk_x') where type = 'desktop.started'",
        r"it is about desk_x, which was never created",
    ),
    "another index": (
        "update events set task_id = 'task_x' where type = 'task.note'",
        r"it is found under another task, desktop or entity",
    ),
    "no JSON": ("update events set body = '{' where type = 'task.note'", r"its payload is not one of task\.note"),
    "an unknown type": (
        "update events set type = 'task.dreamt' where type = 'task.note'",
        r"this version knows no events of type task\.dreamt",
    ),
    "no base64": (
        f"{SET} '\"base64\":\"', '\"base64\":\"*') where type = 'task.output'",
        r"its output cannot be read",
    ),
}


@pytest.mark.parametrize("what", FORGERY)
async def test_forged_history_is_found_though_its_chain_fits(history: Path, what: str):
    statement, sentence = FORGERY[what]
    change(history, statement)
    forge(history)
    report = await verify_directory(history)
    assert not any("chain" in problem.sentence or "digest" in problem.sentence for problem in report.problems)
    assert any(_matches(sentence, str(problem)) for problem in report.problems), report.problems


async def test_one_damage_is_not_told_for_every_event_after_it(history: Path):
    change(history, "update events set actor = 'null' where seq = 3")
    report = await verify_directory(history)
    assert report.problem_count == 1


async def test_damage_everywhere_is_counted_and_listed_up_to_a_limit(tmp_path: Path):
    async with open_sqlite_log(tmp_path) as log:
        await log.append(of_state(*(note(str(number)) for number in range(PROBLEMS_MAX + 50))))
    report = await verify_directory(tmp_path)
    assert (len(report.problems), report.problem_count) == (PROBLEMS_MAX, PROBLEMS_MAX + 50)


async def removed_output(history: Path) -> str:
    """The output of a finished task is removed, as an administrator does; the task's id."""
    async with open_control(history) as control:
        async with control.log.snapshot() as snapshot:
            row = await snapshot.row("select id from tasks where status = 'done' limit 1")
        assert row
        await control.tasks.remove_output(row[0], ALICE)
    return row[0]


async def test_output_that_was_removed_is_no_damage(history: Path):
    before = (await verify_directory(history)).bytes
    await removed_output(history)
    report = await verify_directory(history)
    assert report.problems == ()
    assert 0 < report.bytes < before


async def test_output_that_went_without_an_event_is_said(history: Path):
    change(history, "update events set body = null where type = 'task.output'")
    report = await verify_directory(history)
    assert all(_matches("no event says that it was removed", str(problem)) for problem in report.problems)
    assert report.problem_count == len({problem.sentence for problem in report.problems}) > 1


async def test_output_that_was_removed_and_is_still_there_is_said(history: Path):
    change(history, "create table kept as select seq, body from events")
    id = await removed_output(history)
    change(
        history,
        "update events set body = (select body from kept where kept.seq = events.seq) where body is null",
        "drop table kept",
    )
    report = await verify_directory(history)
    assert [problem.sentence for problem in report.problems] == [
        f"output of task {id} was removed, and some of it is there still"
    ]


async def test_a_payload_that_nobody_can_remove_is_said(history: Path):
    change(history, "update events set body = null where type = 'task.archived'")
    report = await verify_directory(history)
    assert any(_matches("its payload is gone, which nobody can remove", str(problem)) for problem in report.problems)


@pytest.mark.parametrize("at", [0.3, 0.6, 0.9])
async def test_damaged_pages_of_the_file_are_found(history: Path, at: float):
    path = history / DATABASE_FILE
    content = bytearray(path.read_bytes())
    start = int(len(content) * at) // 16384 * 16384
    content[start : start + 16384] = b"\xaa" * 16384
    path.write_bytes(content)
    report = await verify_directory(history)
    assert not report.is_sound


async def test_what_is_no_log_is_said_and_nothing_is_made(tmp_path: Path):
    with pytest.raises(DirectoryUnusable, match="There is no event log in"):
        await verify_directory(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


async def test_a_log_of_a_newer_version_is_not_judged(history: Path):
    change(history, f"pragma user_version = {schema.VERSION + 1}")
    with pytest.raises(NewerSchema):
        await verify_directory(history)


def _matches(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None
