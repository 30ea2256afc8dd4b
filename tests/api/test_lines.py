"""Pages of display lines, and finding in them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import anyio
import pytest

from mission_control.domain.entities import Task
from mission_control.domain.output import LINE_BYTES_MAX, Stream
from mission_control.domain.tasks import RunEnd
from mission_control.streams import find, lines
from tests.support.server import Api, open_api, problem

MARKS = {"stdout": "o", "stderr": "e", "response": "r"}


async def run_that_wrote(api: Api, *written: tuple[Stream, bytes]) -> Task:
    task = await api.task(await api.running_desktop(), run=True)
    await api.output(task, *written)
    return task


def rows_of(answer: Any) -> list[list[Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(row) for row in answer.content.splitlines()]


async def test_lines_are_numbered_over_all_streams_in_order_of_arrival(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await run_that_wrote(
            api, ("stdout", b"one\ntw"), ("stdout", b"o\nopen"), ("stderr", b"caf\xc3\xa9 \xff\n"), ("response", b"{}")
        )
        answer = await api.get(f"/tasks/{task.id}/output/lines")
        assert rows_of(answer) == [
            ["o", "one\n", 5],
            ["o", "two\n", 5],
            ["o", "open", 5],
            ["e", "café \ufffd\n", 5],
            ["r", "{}", 5],
        ]
        assert answer.headers["mission-control-lines"] == "5"
        assert answer.headers["mission-control-from"] == "0"
        assert answer.headers["mission-control-style"] == "o=, e=, r="
        assert answer.headers["mission-control-position"] == "22"
        assert answer.headers["cache-control"] == "no-store"


async def test_any_page_of_lines_is_the_same_as_of_the_whole(tmp_path: Path):
    async with open_api(tmp_path) as api:
        chance = random.Random(11)
        written: list[tuple[Stream, bytes]] = [
            (chance.choice(("stdout", "stdout", "stderr")), bytes(chance.choices(b"ab \n", k=chance.randint(1, 30))))
            for _ in range(100)
        ]
        task = await run_that_wrote(api, *written)
        path = f"/tasks/{task.id}/output/lines"
        whole = rows_of(await api.get(path))
        assert "".join(text for _, text, _ in whole) == b"".join(data for _, data in written).decode()
        for start in [0, 1, len(whole) - 1, *chance.sample(range(len(whole)), 30)]:
            answer = await api.get(f"{path}?from={start}&count=7")
            assert rows_of(answer) == whole[start : start + 7], f"seed 11, from {start}"
            assert answer.headers["mission-control-from"] == str(start)
        assert rows_of(await api.get(f"{path}?tail=9")) == whole[-9:]
        for beyond in (len(whole), len(whole) + 5, 2**50):
            assert rows_of(await api.get(f"{path}?from={beyond}")) == []


async def test_a_page_that_cannot_change_may_be_kept_and_others_may_not(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await run_that_wrote(api, ("stdout", b"1\n2\n3\nopen"))
        path, log = f"/tasks/{task.id}/output/lines", api.control.log.log_id

        async def kept(query: str) -> bool:
            return "immutable" in (await api.get(f"{path}?{query}")).headers["cache-control"]

        assert await kept(f"from=0&count=3&log={log}")
        assert not await kept("from=0&count=3")
        assert not await kept("from=0&count=3&log=0123456789abcdef")
        assert not await kept(f"from=0&count=4&log={log}")
        assert not await kept(f"from=1&count=1024&log={log}")
        assert not await kept(f"tail=2&log={log}")


async def test_a_line_of_ten_megabytes_is_cut_and_pages_of_it_are_bounded(tmp_path: Path):
    async with open_api(tmp_path) as api:
        text = ("é" * 40_000 + "x\x01") * 130
        task = await run_that_wrote(api, ("stdout", b"before\n"), ("stdout", text.encode()), ("stderr", b"after\n"))
        path = f"/tasks/{task.id}/output/lines"
        joined, at = "", 1
        while True:
            answer = await api.get(f"{path}?from={at}")
            rows = rows_of(answer)
            assert len(answer.content) <= lines.PAGE_BYTES_MAX
            joined += "".join(said for mark, said, _ in rows if mark == "o")
            at += len(rows)
            if rows[-1][0] == "e":
                break
        assert joined == text
        assert at == int(answer.headers["mission-control-lines"])
        (row,) = rows_of(await api.get(f"{path}?from=57&count=1"))
        assert abs(len(row[1].encode()) - LINE_BYTES_MAX) < 4


async def test_colours_that_are_in_force_where_a_page_begins_are_said(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await run_that_wrote(
            api,
            ("stdout", b"plain\n\x1b[1;31mred from here\n"),
            ("stderr", b"\x1b[33mwarning\n"),
            *([("stdout", b"line\n")] * 150),  # type: ignore[list-item]
            ("stdout", b"back\x1b[0m\nplain\n"),
        )
        path = f"/tasks/{task.id}/output/lines"

        async def style(start: int) -> str:
            return (await api.get(f"{path}?from={start}&count=1")).headers["mission-control-style"]

        assert await style(1) == "o=, e=, r="
        assert await style(2) == "o=1;31, e=, r="
        assert await style(100) == "o=1;31, e=33, r="
        assert await style(154) == "o=, e=33, r="


async def test_lines_and_finds_of_a_task_without_output_are_none(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await api.task(await api.running_desktop())
        for query in ("", "?from=5", "?tail=3", "?tail=0"):
            assert rows_of(await api.get(f"/tasks/{task.id}/output/lines{query}")) == []
        found = await api.get(f"/tasks/{task.id}/output/find?q=x")
        assert found.json() == {"total": 0, "lines": [], "scannedTo": 0, "complete": True}
        for what in ("lines", "find?q=x"):
            problem(await api.get(f"/tasks/task_none/output/{what}"), 404, "not_found")


async def test_a_find_says_which_lines_have_a_text(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await run_that_wrote(
            api,
            ("stdout", b"An error\nfine\nERR"),
            ("stdout", b"OR again and error again\n"),
            ("stderr", b"\x1b[31mer\x1b[1mror\x1b[0m\n"),
            ("stdout", b"fine\nstill an err"),
        )
        path = f"/tasks/{task.id}/output/find"

        async def find(query: str) -> dict[str, Any]:
            return (await api.get(f"{path}?{query}")).json()

        assert await find("q=error") == {"total": 3, "lines": [0, 2, 3], "scannedTo": 5, "complete": True}
        assert (await find("q=error&case=true"))["lines"] == [0, 2, 3]
        assert (await find("q=ERROR&case=true"))["lines"] == [2]
        assert (await find("q=error&stream=stderr"))["lines"] == [3]
        assert await find("q=error&from=1&limit=1") == {"total": 2, "lines": [2], "scannedTo": 5, "complete": True}
        assert (await find("q=^an%7Cfine$&regex=true"))["lines"] == [0, 1, 4]
        assert (await find("q=error$&regex=true&case=true"))["lines"] == [0, 3]
        assert (await find("q=fine%0A&regex=true"))["lines"] == []
        await api.output_more(task, ("stdout", b"or\n"))
        assert await find("q=error&from=5") == {"total": 1, "lines": [5], "scannedTo": 6, "complete": True}
        await api.output_more(task, ("stdout", b"last error"))
        await api.control.tasks.finish(task.id, RunEnd(exit_code=0))
        assert await find("q=error&from=6") == {"total": 1, "lines": [6], "scannedTo": 7, "complete": True}
        assert (await find("q=last&from=6&regex=true"))["lines"] == [6]


async def test_a_find_that_takes_longer_goes_on_where_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with open_api(tmp_path) as api:
        text = b"".join(b"line %d\n" % number for number in range(400_000))
        task = await run_that_wrote(api, ("stdout", text))
        monkeypatch.setattr(find, "FIND_SECONDS", 0)
        for more in ("", "&regex=true"):
            numbers: list[int] = []
            calls = scanned = 0
            is_complete = False
            while not is_complete:
                answer = await api.get(f"/tasks/{task.id}/output/find?q=line 3999{more}&from={scanned}")
                body = answer.json()
                numbers += body["lines"]
                scanned, is_complete, calls = body["scannedTo"], body["complete"], calls + 1
            assert calls > 2
            assert numbers == [number for number in range(400_000) if str(number).startswith("3999")]


async def test_a_pattern_that_is_none_or_takes_for_ever_is_refused_and_others_go_on(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await run_that_wrote(api, ("stdout", b"a" * 60 + b"!\nfine\n"))
        path = f"/tasks/{task.id}/output/find?regex=true"
        bad = problem(await api.get(f"{path}&q=(unclosed"), 422, "bad_pattern")
        assert "missing )" in bad["detail"]
        slow = problem(await api.get(f"{path}&q=(a%2B)%2B$"), 422, "pattern_too_slow")
        assert "too long" in slow["detail"]
        assert (await api.get(f"{path}&q=^fi.e")).json()["lines"] == [1]
        problem(await api.get(f"{path}&q="), 422, "validation_failed")
        problem(await api.get(f"/tasks/{task.id}/output/find?q=a%0Ab"), 422, "validation_failed")
        problem(await api.get(f"{path}&q=a&limit=10001"), 422, "validation_failed")


async def test_a_find_for_somebody_who_has_gone_is_given_up(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await run_that_wrote(api, ("stdout", b"fine\n"))
        wanted = find.Wanted(text="fi.e", is_pattern=True, case=False, streams=frozenset(MARKS), start=0, limit=1)  # type: ignore[arg-type]
        log, finder = api.control.log, api.services.finder

        async def is_gone() -> bool:
            return True

        with pytest.raises(find.NobodyWaits):
            await finder.find(log, task.id, wanted, until=log.head, lines=1, is_over=False, is_gone=is_gone)
        assert len(finder._idle) == 1, "the process waits for the next"


async def test_processes_that_search_are_kept_few_and_end_with_the_server(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await run_that_wrote(api, ("stdout", b"fine\n" * 1000))
        asked: list[int] = []

        async def ask() -> None:
            answer = await api.get(f"/tasks/{task.id}/output/find?regex=true&q=fi.e")
            asked.append(answer.status_code if answer.status_code != 200 else answer.json()["total"])

        async with anyio.create_task_group() as group:
            for _ in range(find.FINDS_MAX + find.FINDS_WAITING_MAX + 3):
                group.start_soon(ask)
        assert sorted(asked) == [429] * 3 + [1000] * (find.FINDS_MAX + find.FINDS_WAITING_MAX)
        workers = [worker._process for worker in api.services.finder._idle]
        assert 1 <= len(workers) <= find.FINDS_MAX
        assert all(worker.returncode is None for worker in workers)
    assert all(worker.returncode is not None for worker in workers)
