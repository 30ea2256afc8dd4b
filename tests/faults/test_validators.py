"""Each promise notices when it is broken: a validator that cannot fail is worth nothing."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from tests.faults import validators
from tests.faults.history import History, Process, Run, Seen, Watched

Facts = dict[str, Any]
TASK = "task_1"


def seen(type: str, **payload: Any) -> Seen:
    return Seen(0, type, json.dumps({"taskId": TASK} | payload).encode())


def numbered(events: list[Seen]) -> tuple[Seen, ...]:
    return tuple(replace(event, seq=place) for place, event in enumerate(events, 1))


def output(stream: str, position: int, offset: int, data: bytes, before: bytes = b"", **more: Any) -> Seen:
    sums = {"length": len(data), "crc": zlib.crc32(data, zlib.crc32(before))}
    return seen(
        "task.output", stream=stream, position=position, offset=offset, text=data.decode(), **(Facts(sums) | more)
    )


def good_events() -> list[Seen]:
    """A task that writes `one` and `two` and, between them, `bad`."""
    streams = {
        name: {"bytes": len(data), "sha256": sha256(data).hexdigest()}
        for name, data in (("stdout", b"onetwo"), ("stderr", b"bad"))
    }
    return [
        seen("task.created", status="pending", version=1),
        seen("task.started", status="running", version=2, phase="queued"),
        seen("task.phase", status="running", version=3, phase="starting"),
        seen("task.phase", status="running", version=4, phase="streaming"),
        output("stdout", 0, 0, b"one"),
        output("stderr", 3, 0, b"bad"),
        output("stdout", 6, 3, b"two", b"one"),
        seen("task.completed", status="done", version=5, phase=None, exitCode=0, streams=streams),
    ]


def history(events: list[Seen] | None = None, **more: Any) -> History:
    log = numbered(good_events() if events is None else events)
    given: Facts = {
        "log": log,
        "watchers": (Watched("the watcher", 0, len(log), log),),
        "runs": (Run(TASK, "the run", {"stdout": b"onetwo", "stderr": b"bad"}, starts=1),),
        "tasks": ({"id": TASK, "status": [one.payload["status"] for one in log if "status" in one.payload][-1]},),
    }
    return History(**(given | more))


def changed(at: int, **facts: Any) -> list[Seen]:
    events = good_events()
    events[at] = seen(events[at].type, **(events[at].payload | facts))
    return events


def without(*places: int) -> list[Seen]:
    return [event for place, event in enumerate(good_events()) if place not in {one % 8 for one in places}]


def watched(change: Callable[[tuple[Seen, ...]], tuple[Seen, ...]]) -> History:
    whole = history()
    return replace(whole, watchers=(Watched("the watcher", 0, 8, change(whole.log)),))


GAP = [*good_events()[:5], seen("task.outputGap", **{"from": 3, "to": 6, "reason": "disk"}), *good_events()[6:]]
LOST: Facts = {"status": "failed", "exitCode": None, "error": {"code": "supervisor_killed"}}
CUT = [*good_events()[:5], seen("task.failed", version=5, phase=None, **LOST)]


def test_a_history_in_which_all_went_well_breaks_no_promise():
    assert validators.violations(history()) == []


def test_an_answer_that_came_whole_breaks_no_promise():
    assert validators.violations(replace(history(answered("Hello ", "you")), runs=(ANSWERED,))) == []


def test_what_a_fault_excuses_breaks_no_promise():
    run = Run(TASK, "the run", {"stdout": b"onetwo", "stderr": b"bad"}, may_be_lost=frozenset(["supervisor_killed"]))
    assert validators.violations(history(CUT, runs=(run,))) == []
    assert validators.violations(history(GAP, gaps_allowed=frozenset([TASK]))) == []
    cancelled = [*CUT[:-1], seen("task.cancelled", version=5, status="cancelled", phase=None, signal="SIGTERM")]
    assert validators.violations(history(cancelled, runs=(replace(run, may_be_cancelled=True),))) == []
    left = changed(-1, leftRunning=[{"pid": 7, "user": "me", "command": "sleep"}])
    assert validators.violations(history(left, alive=(Process(7, TASK, "sleep"),))) == []


def run_with(**facts: Any) -> History:
    return history(runs=(replace(history().runs[0], **facts),))


def answered(*pieces: str, result: str = "Hello you") -> list[Seen]:
    """A prompt, its progress, its end."""
    progress = [seen("task.progress", kind="text", upTo=10 * n, text=text) for n, text in enumerate(pieces, 1)]
    return [*good_events()[:4], *progress, seen("task.completed", status="done", version=5, phase=None, result=result)]


ANSWERED = Run(TASK, "the prompt", answer="Hello you", is_prompt=True, code=None)

BROKEN: list[tuple[str, History]] = [
    ("log_is_dense", replace(history(), log=history().log[:3] + history().log[4:])),
    ("log_is_dense", replace(history(), log=history().log[:4] + history().log[3:])),
    ("watchers_saw_the_log", watched(lambda log: log[:3] + log[4:])),
    ("watchers_saw_the_log", watched(lambda log: log[:-1])),
    ("watchers_saw_the_log", watched(lambda log: log[:4] + log[3:])),
    ("watchers_saw_the_log", watched(lambda log: (log[1], log[0], *log[2:]))),
    ("watchers_saw_the_log", watched(lambda log: (replace(log[0], raw=b'{"taskId": "other"}'), *log[1:]))),
    ("watchers_saw_the_log", watched(lambda log: (*log, replace(log[-1], seq=9)))),
    ("watchers_saw_the_log", replace(history(), watchers=(replace(history().watchers[0], resets=1),))),
    ("output_follows_on", history(without(5))),
    ("output_follows_on", history(changed(6, position=7))),
    ("output_follows_on", history(changed(6, offset=4))),
    ("output_follows_on", history(changed(6, length=4))),
    ("output_follows_on", history(changed(6, crc=1))),
    ("output_follows_on", history([*good_events()[:6], good_events()[5], *good_events()[6:]])),
    ("output_follows_on", history([*GAP[:5], seen("task.outputGap", **{"from": 2, "to": 6, "reason": "x"}), *GAP[6:]])),
    ("output_follows_on", history([*GAP[:5], seen("task.outputGap", **{"from": 3, "to": 3, "reason": "x"}), *GAP[6:]])),
    ("gaps_have_a_cause", history(GAP)),
    (
        "gaps_have_a_cause",
        history(
            [*GAP[:5], seen("task.outputGap", **{"from": 3, "to": 6, "reason": ""}), *GAP[6:]],
            gaps_allowed=frozenset([TASK]),
        ),
    ),
    ("output_is_what_was_written", history(changed(5, text="bat", crc=zlib.crc32(b"bat")))),
    ("output_is_what_was_written", history(without(6))),
    ("output_is_what_was_written", run_with(written={"stdout": b"onetwo", "stderr": b""})),
    ("output_is_what_was_written", history(CUT)),
    ("sums_of_the_end_are_those_of_the_output", history(without(6))),
    (
        "sums_of_the_end_are_those_of_the_output",
        history(changed(-1, streams={"stdout": {"bytes": 6, "sha256": sha256(b"onetwx").hexdigest()}})),
    ),
    (
        "sums_of_the_end_are_those_of_the_output",
        history([*GAP[:-1], changed(-1, streams={"stdout": {"bytes": 5}})[-1]], gaps_allowed=frozenset([TASK])),
    ),
    ("progress_is_said_once", replace(history(answered()), runs=(ANSWERED,))),
    ("progress_is_said_once", replace(history(answered("Hello ", "Hello ", "you")), runs=(ANSWERED,))),
    ("progress_is_said_once", replace(history(answered("Hello ", "you", result="Hello")), runs=(ANSWERED,))),
    ("progress_is_said_once", history(answered("a", "b")[::-1], tasks=())),
    ("end_is_true", run_with(code=3)),
    ("end_is_true", run_with(code=None, signal="SIGKILL")),
    ("end_is_true", history(changed(-1, status="failed"))),
    ("end_is_true", history(CUT)),
    ("end_comes_after_the_last_byte", history([*good_events()[:6], good_events()[7], good_events()[6]])),
    ("every_run_ends_once", history(without(-1), tasks=())),
    ("every_run_ends_once", history([*good_events(), good_events()[-1]])),
    ("history_is_a_path", history(changed(-1, status="pending"))),
    ("history_is_a_path", history(changed(-1, version=6))),
    ("history_is_a_path", history(changed(3, phase="queued"))),
    ("history_is_a_path", history(without(0))),
    ("nothing_runs_for_ever", replace(history(), tasks=({"id": TASK, "status": "running"},))),
    ("nothing_runs_for_ever", replace(history(), tasks=({"id": TASK, "status": "failed"},))),
    ("nothing_is_left_alive", replace(history(), alive=(Process(7, TASK, "sleep"),))),
    ("started_once", run_with(starts=2)),
    ("started_once", run_with(starts=0)),
    ("log_is_sound", replace(history(), verify=("event 3 is damaged",))),
]


@pytest.mark.parametrize(("promise", "broken"), BROKEN, ids=[f"{n}-{name}" for n, (name, _) in enumerate(BROKEN)])
def test_a_broken_promise_is_noticed(promise: str, broken: History):
    assert any(wrong.startswith(promise + ":") for wrong in validators.violations(broken))


def test_each_promise_has_a_history_that_breaks_it():
    assert {promise.__name__ for promise in validators.VALIDATORS} == {name for name, _ in BROKEN}
