"""What a watched run shows, and which exit code it gives."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_control.cli.output import last_lines
from mission_control.cli.watch import (
    DELAY_SECONDS_MAX,
    Piece,
    Transcript,
    delay_seconds,
    end_of,
    exit_code_of,
)
from mission_control.domain.entities import Task
from mission_control.domain.events import Event, TaskNote, TaskOutput, TaskOutputGap, TaskProgress
from mission_control.domain.output import encode_text
from mission_control.domain.progress import PlanItem
from mission_control.domain.values import Actor, Error


def task(**facts: Any) -> Task:
    given: dict[str, Any] = {
        "id": "task_1",
        "type": "command",
        "content": "true",
        "status": "failed",
        "desktop_id": "desk_1",
        "requires_approval": False,
        "created_at": "2026-03-01T12:00:00.000000Z",
        "created_by": Actor(id="local", name="local"),
    }
    return Task(**(given | facts))


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"status": "done", "exit_code": 0}, 0),
        ({"status": "review", "exit_code": 0}, 0),
        ({"exit_code": 3}, 3),
        ({"exit_code": 256}, 1),
        ({"signal": "SIGKILL"}, 137),
        ({"signal": "TERM"}, 143),
        ({"signal": "STRANGE@example"}, 1),
        ({"exit_code": 0, "feedback": "no"}, 1),
        ({"error": Error(code="connection_lost", message="gone")}, 1),
        ({"status": "cancelled"}, 1),
        ({"status": "cancelled", "signal": "SIGTERM"}, 143),
    ],
)
def test_the_exit_code_is_the_commands_own(facts: dict[str, Any], code: int):
    assert exit_code_of(task(**facts)) == code


def test_a_script_is_not_told_in_words_what_the_exit_code_says():
    failed = task(exit_code=3, error=Error(code="exit_nonzero", message="It exited with 3."))
    assert end_of(failed, for_person=False) is None
    assert end_of(failed, for_person=True) == "task_1 failed: It exited with 3. (exit_nonzero)"


def test_every_other_failure_is_told_to_everybody():
    failed = task(error=Error(code="timeout", message="It took too long."))
    assert end_of(failed, for_person=False) == "task_1 failed: It took too long. (timeout)"


def test_a_run_that_waits_for_review_says_how_to_decide():
    said = end_of(task(status="review"), for_person=False)
    assert said is not None and "mission-control tasks review task_1 approve" in said


def output(stream: Any, data: bytes, **facts: Any) -> TaskOutput:
    text, base64 = encode_text(data)
    body: dict[str, Any] = {"text": text} if text is not None else {"base64": base64}
    given: dict[str, Any] = {"position": 0, "offset": 0, "length": len(data), "line": 0, "ms": 0, "crc": 0} | facts
    return TaskOutput(task_id="task_1", stream=stream, **(body | given))


def shown(*events: Event) -> list[Piece]:
    transcript = Transcript()
    return [piece for event in events for piece in transcript.pieces(event)]


@given(st.sampled_from(["stdout", "stderr"]), st.binary(max_size=100))
def test_output_goes_to_the_stream_it_came_from_byte_for_byte(stream: Any, data: bytes):
    assert shown(output(stream, data)) == [Piece(stream, data)]


def test_an_agents_raw_answer_is_not_shown_beside_its_text():
    text = TaskProgress(task_id="task_1", kind="text", up_to=9, text="Hello")
    assert shown(output("response", b"data: {}\n\n"), text) == [Piece("stdout", b"Hello")]


def test_removed_and_lost_output_is_named():
    removed = TaskOutput(task_id="task_1", stream="stdout", position=0, offset=0, length=12, line=0, ms=0, crc=0)
    gap = TaskOutputGap(task_id="task_1", start=12, to=20, reason="the disk was full")
    note = TaskNote(task_id="task_1", desktop_id="desk_1", text="It came back.")
    assert [(piece.place, piece.data) for piece in shown(removed, gap, note)] == [
        ("notice", b"12 bytes of stdout were removed."),
        ("notice", b"8 bytes of the output were lost: the disk was full"),
        ("notice", b"It came back."),
    ]


def test_what_an_agent_does_on_the_way_is_told_beside_its_answer():
    pieces = shown(
        TaskProgress(task_id="task_1", kind="reasoning", up_to=1, text="Hm"),
        TaskProgress(task_id="task_1", kind="tool.started", up_to=2, call_id="c", name="shell", input='{"a":\n1}'),
        TaskProgress(task_id="task_1", kind="tool.output", up_to=3, call_id="c", output="out\n"),
        TaskProgress(task_id="task_1", kind="tool.finished", up_to=4, call_id="c", name="shell"),
        TaskProgress(task_id="task_1", kind="notice", up_to=5, text="cut"),
    )
    assert pieces == [
        Piece("aside", b"Hm"),
        Piece("mark", '▸ shell {"a": 1}\n'.encode()),
        Piece("aside", b"out\n"),
        Piece("notice", b"cut"),
    ]


def test_a_plan_is_shown_once_and_then_what_is_completed_of_it():
    def plan(*statuses: Any) -> TaskProgress:
        items = tuple(PlanItem(step=f"step {n}", status=status) for n, status in enumerate(statuses, 1))
        return TaskProgress(task_id="task_1", kind="plan", up_to=1, items=items)

    first, second, third, fourth = (
        [piece.data.decode() for piece in pieces]
        for pieces in map(
            list,
            map(
                Transcript().pieces,
                [
                    plan("in_progress", "pending"),
                    plan("completed", "in_progress"),
                    plan("completed", "in_progress"),
                    plan("completed", "completed"),
                ],
            ),
        )
    )
    assert first == ["Plan\n  ▸ step 1\n  · step 2\n"]
    assert (second, third, fourth) == (["✓ step 1\n"], [], ["✓ step 2\n"])


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_the_wait_before_a_new_connection_is_never_long_and_never_nothing(failures: int, chance: float):
    assert 0.1 < delay_seconds(failures, chance) <= DELAY_SECONDS_MAX


places = st.sampled_from(["stdout", "stderr"])


@given(
    st.lists(st.tuples(places, st.lists(st.sampled_from([b"a", b"\n", b"\r"]), max_size=5).map(b"".join)), max_size=10),
    st.integers(0, 12),
)
def test_the_last_lines_are_the_end_of_the_output_however_it_was_cut(parts: list[tuple[Any, bytes]], count: int):
    pieces = [Piece(place, data) for place, data in parts]
    kept = list(last_lines(pieces, count))
    whole = list(last_lines(pieces, 1000))
    assert kept == (whole[-count:] if count else [])
    for place in ("stdout", "stderr"):
        assert b"".join(p.data for p in whole if p.place == place) == b"".join(d for s, d in parts if s == place)
    assert all(piece.data.count(b"\n") <= 1 for piece in kept)
