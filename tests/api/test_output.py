"""Recorded output: byte for byte what the command wrote, from any position, in pieces."""

from __future__ import annotations

import json
import random
from pathlib import Path

import msgspec
import pytest

from mission_control.domain import limits, tasks
from mission_control.domain.entities import Task
from mission_control.domain.events import TaskOutputGap, TaskProgress
from mission_control.domain.output import RunPosition, Stream, StreamPosition
from mission_control.domain.tasks import RunEnd
from mission_control.domain.values import SYSTEM
from mission_control.log import removal
from mission_control.log.directory import DATABASE_FILE
from mission_control.log.event_log import RunRow
from mission_control.log.verify import verify
from tests.support.server import Api, open_api, problem

NASTY = b"\x00\xff\xfe\x80 caf\xc3\xa9\r\n\xf0\x9f\x98\x80\n\xed\xa0\x80 no newline"


async def run_that_wrote(api: Api, *written: tuple[Stream, bytes]) -> Task:
    task = await api.task(await api.running_desktop(), run=True)
    await api.output(task, *written)
    return task


async def run_row(api: Api, task: Task) -> RunRow:
    async with api.control.log.snapshot() as snapshot:
        row = await snapshot.row("select doc from runs where task_id = ?", (task.id,))
    assert row
    return RunRow(task.id, msgspec.json.decode(row[0], type=RunPosition))


async def test_every_byte_comes_back_as_it_was(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await run_that_wrote(api, ("stdout", NASTY), ("stderr", b"warning\n"), ("stdout", NASTY))
        path = f"/tasks/{task.id}/output"
        answer = await api.get(path)
        assert answer.content == NASTY + b"warning\n" + NASTY
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["mission-control-position"] == str(len(answer.content))
        assert (await api.get(f"{path}?stream=stdout")).content == NASTY + NASTY
        assert (await api.get(f"{path}?stream=stderr")).content == b"warning\n"
        shown = (await api.get(f"/tasks/{task.id}")).json()
        assert shown["outputBytes"] == len(answer.content)
        assert shown["outputLines"] == 7


async def test_bytes_that_are_lost_are_said_among_the_events_of_the_output(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await run_that_wrote(api, ("stdout", b"before\n"))
        gap = TaskOutputGap(task_id=task.id, start=7, to=107, reason="A disk damaged them.", streams={"stdout": 107})
        position = RunPosition().after("stdout", b"before\n").moved({"stdout": StreamPosition(107, 1)})
        await api.control.tasks.record(task, [gap], RunRow(task.id, position))
        path = f"/tasks/{task.id}/output"
        assert (await api.get(path)).content == b"before\n"
        lines = [json.loads(line) for line in (await api.get(f"{path}?format=ndjson")).content.splitlines()]
        assert [line["type"] for line in lines] == ["task.output", "task.outputGap"]
        assert (lines[1]["payload"]["from"], lines[1]["payload"]["to"]) == (7, 107)


async def test_an_agents_raw_answer_is_left_out_unless_it_is_asked_for(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await run_that_wrote(api, ("response", b"data: {}\n"), ("stdout", b"hi\n"))
        path = f"/tasks/{task.id}/output"
        assert (await api.get(path)).content == b"hi\n"
        assert (await api.get(f"{path}?stream=response")).content == b"data: {}\n"
        assert (await api.get(f"{path}?stream=all")).content == b"data: {}\nhi\n"


async def test_output_goes_on_after_any_position(tmp_path: Path):
    async with open_api(tmp_path) as api:
        seed = 7
        chance = random.Random(seed)
        written: list[tuple[Stream, bytes]] = [
            (chance.choice(("stdout", "stderr")), chance.randbytes(chance.randint(1, 40))) for _ in range(40)
        ]
        task = await run_that_wrote(api, *written)
        whole = b"".join(data for _, data in written)
        path = f"/tasks/{task.id}/output"
        for after in [0, 1, len(whole) - 1, len(whole), len(whole) + 10, *chance.sample(range(len(whole)), 20)]:
            assert (await api.get(f"{path}?after={after}")).content == whole[after:], f"seed {seed}, after {after}"


async def test_after_a_position_only_the_wanted_stream_comes(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await run_that_wrote(api, ("stdout", b"aaaa\n"), ("stderr", b"bbbb\n"), ("stdout", b"cccc\n"))
        path = f"/tasks/{task.id}/output?stream=stdout"
        assert (await api.get(f"{path}&after=2")).content == b"aa\ncccc\n"
        assert (await api.get(f"{path}&after=7")).content == b"cccc\n"


@pytest.mark.parametrize("end", [b"", b"\n"])
async def test_the_tail_is_the_last_lines_wherever_they_were_cut(end: bytes, tmp_path: Path):
    async with open_api(tmp_path) as api:
        parts: list[tuple[Stream, bytes]] = [
            ("stdout", b"one\ntw"),
            ("stdout", b"o\n"),
            ("stderr", b"three\n"),
            ("stdout", b"fo"),
            ("stdout", b"ur" + end),
        ]
        task = await run_that_wrote(api, *parts)
        lines = b"".join(data for _, data in parts).splitlines(keepends=True)
        for count in range(6):
            answer = await api.get(f"/tasks/{task.id}/output?tail={count}")
            assert answer.content == b"".join(lines[-count:] if count else []), count
        assert (await api.get(f"/tasks/{task.id}/output?tail=1&stream=stderr")).content == b"three\n"


async def test_ndjson_are_the_events_that_carry_the_output(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await run_that_wrote(api, ("stdout", b"hi\n"), ("stderr", b"\xff\n"))
        answer = await api.get(f"/tasks/{task.id}/output?format=ndjson")
        assert answer.headers["content-type"] == "application/x-ndjson"
        first, second = [json.loads(line) for line in answer.content.splitlines()]
        assert first["type"] == "task.output"
        assert (first["payload"]["text"], first["payload"]["position"]) == ("hi\n", 0)
        assert (second["payload"]["base64"], second["payload"]["stream"]) == ("/wo=", "stderr")
        rest = await api.get(f"/tasks/{task.id}/output?format=ndjson&after=3")
        assert rest.content == answer.content.splitlines(keepends=True)[1]


async def test_output_larger_than_one_read_of_the_log_comes_whole(tmp_path: Path):
    async with open_api(tmp_path) as api:
        block = bytes(range(256)) * 512
        written: list[tuple[Stream, bytes]] = [("stdout", block)] * 20
        task = await run_that_wrote(api, *written)
        path = f"/tasks/{task.id}/output"
        assert (await api.get(path)).content == block * 20
        assert (await api.get(f"{path}?after={len(block) * 19 + 5}")).content == block[5:]
        assert (await api.get(f"{path}?tail=3")).content == b"\n".join((block * 20).split(b"\n")[-3:])


async def test_a_task_that_wrote_nothing_has_no_output(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await api.task(await api.running_desktop())
        for query in ("", "?tail=5", "?after=0", "?format=ndjson"):
            answer = await api.get(f"/tasks/{task.id}/output{query}")
            assert (answer.status_code, answer.content) == (200, b"")


async def test_an_admin_removes_what_was_recorded_and_that_it_was_stays(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await run_that_wrote(api, ("stdout", b"a secret\n" * 1000), ("response", b"raw secret\n"))
        other = await run_that_wrote(api, ("stdout", b"kept\n"))
        await api.control.tasks.record(
            task, [TaskProgress(task_id=task.id, kind="text", up_to=1, text="a secret")], await run_row(api, task)
        )
        path = f"/tasks/{task.id}/output"
        problem(await api.delete(path), 409, "task_not_finished")
        await api.control.tasks.finish(task.id, RunEnd(exit_code=0))
        problem(await api.as_("operator").delete(path), 403, "forbidden")
        assert "mission-control-removed" not in (await api.get(path)).headers
        for _ in range(2):  # again changes nothing
            assert (await api.delete(path)).status_code == 204
        shown = (await api.get(f"/tasks/{task.id}")).json()
        assert (shown["outputBytes"], shown["outputLines"]) == (9011, 1001)
        assert shown["outputRemovedAt"]
        for query in ("", "?tail=5", "?after=20", "?format=ndjson", "/lines", "/lines?tail=3", "/lines?from=500"):
            answer = await api.get(f"{path}{query}")
            assert (answer.status_code, answer.content) == (200, b""), query
            assert answer.headers["mission-control-removed"] == "true"
        found = (await api.get(f"{path}/find?q=secret")).json()
        assert found == {"total": 0, "lines": [], "scannedTo": 1001, "complete": True}
        events = (await api.get(f"/tasks/{task.id}/events?types=task.*,task.output,task.progress")).json()
        (removal,) = [event for event in events if event["type"] == "task.outputRemoved"]
        assert (removal["payload"]["bytes"], removal["payload"]["lines"]) == (9011, 1001)
        assert removal["actor"]["name"] == "the admin"
        assert {event["payload"].get("pruned") for event in events if event["type"] == "task.output"} == {True}
        assert "a secret" not in json.dumps(events)
        assert (await api.get(f"/tasks/{other.id}/output")).content == b"kept\n"
        assert "a secret" not in str(api.control.log._ring._events)
        report = await verify(api.control.log)
        assert report.problems == ()
    assert b"a secret" not in (tmp_path / DATABASE_FILE).read_bytes()


async def test_a_removal_that_was_interrupted_is_carried_out_at_the_next_start(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await run_that_wrote(api, ("stdout", b"a secret\n" * 1000))
        await api.control.tasks.finish(task.id, RunEnd(exit_code=0))
        task = await api.control.journal.task(task.id)
        events = tasks.remove_output(task, at=api.control.journal.now(), bytes=9000, lines=1000)
        await api.control.journal.commit(events, SYSTEM, beside=[removal.begun(task.id, api.control.log.head)])
        assert (await verify(api.control.log)).problems == (), "it is under way"
    async with open_api(tmp_path) as api:
        assert (await api.get(f"/tasks/{task.id}/output")).content == b""
        assert await removal.pending(api.control.log) == []
        assert (await verify(api.control.log)).problems == ()
    assert b"a secret" not in (tmp_path / DATABASE_FILE).read_bytes()


async def test_output_that_is_removed_in_many_steps_is_gone_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "EVENTS_READ_MAX", 7)
    async with open_api(tmp_path) as api:
        written: list[tuple[Stream, bytes]] = [("stdout", b"line\n")] * 50
        task = await run_that_wrote(api, *written)
        await api.control.tasks.finish(task.id, RunEnd(exit_code=0))
        assert (await api.delete(f"/tasks/{task.id}/output")).status_code == 204
        async with api.control.log.snapshot() as snapshot:
            assert await snapshot.rows("select 1 from events where type = 'task.output' and body is not null") == []


async def test_a_task_without_output_has_none_to_remove(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await api.task(await api.running_desktop())
        head = api.control.log.head
        assert (await api.delete(f"/tasks/{task.id}/output")).status_code == 204
        assert api.control.log.head == head
        problem(await api.delete("/tasks/task_none/output"), 404, "not_found")
