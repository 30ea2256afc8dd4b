"""The life of a task: every command in every state, by table and by walking at random."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mission_control.domain import limits, tasks
from mission_control.domain.entities import NEXT, OPEN, PHASES, STATUSES, Phase, Task, TaskStatus
from mission_control.domain.errors import Refused
from mission_control.domain.events import ApprovalCreated, Event, TaskCreated, decode_event
from mission_control.domain.fold import State
from mission_control.domain.tasks import Decision, NewTask, RunEnd, TaskEdit
from mission_control.domain.values import Error

from .things import ALICE, DONE, FAILED, at, created, finish, folded, new_task, task_that_is

FINAL = {"task.completed", "task.failed", "task.cancelled"}


def types_of(events: list[Event]) -> list[str]:
    return [event.TYPE for event in events]


def approval_of(task: Task) -> Any:
    state = folded(finish(task_that_is("running", requires_approval=True)))
    return state.approvals["appr_1"] if task.status == "review" else None


def review(task: Task, decision: Decision = "approve", feedback: str | None = None) -> list[Event]:
    return tasks.review(task, approval_of(task), decision, feedback, at=at(10), actor=ALICE)


COMMANDS: dict[str, Callable[[Task], list[Event]]] = {
    "edit": lambda task: tasks.edit(task, TaskEdit(content="echo other")),
    "run": lambda task: tasks.run(task, at=at(2)),
    "cancel": lambda task: tasks.cancel(task, at=at(3)),
    "finish": finish,
    "approve": review,
    "reject": lambda task: review(task, "reject", "no"),
    "retry": lambda task: tasks.retry(task, id="task_2", at=at(4), actor=ALICE),
    "archive": lambda task: tasks.archive(task, at=at(5)),
}
NO_RUN, NO_REVIEW = "task_not_pending", "task_not_in_review"
NO_CANCEL, NO_END = "task_not_cancellable", "task_not_finished"
CANCELLED, AGAIN, HIDDEN = "task.cancelled", "task.created", "task.archived"
APPROVED, REJECTED = "approval.resolved task.completed", "approval.resolved task.failed"
# What each command gives in each status: the events, or the code of the refusal. Empty is: nothing happens.
TABLE = {
    #           pending         running           review      done         failed       cancelled
    "edit":    ("task.updated", NO_RUN,           NO_RUN,     NO_RUN,      NO_RUN,      NO_RUN),
    "run":     ("task.started", NO_RUN,           NO_RUN,     NO_RUN,      NO_RUN,      NO_RUN),
    "cancel":  (CANCELLED,      CANCELLED,        NO_CANCEL,  NO_CANCEL,   NO_CANCEL,   NO_CANCEL),
    "finish":  ("",             "task.completed", "",         "",          "",          ""),
    "approve": (NO_REVIEW,      NO_REVIEW,        APPROVED,   NO_REVIEW,   NO_REVIEW,   NO_REVIEW),
    "reject":  (NO_REVIEW,      NO_REVIEW,        REJECTED,   NO_REVIEW,   NO_REVIEW,   NO_REVIEW),
    "retry":   (NO_END,         NO_END,           NO_END,     AGAIN,       AGAIN,       AGAIN),
    "archive": (f"{CANCELLED} {HIDDEN}", NO_END,  NO_END,     HIDDEN,      HIDDEN,      HIDDEN),
}  # fmt: skip


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_in_every_state_does_what_the_table_says(command: str, status: TaskStatus):
    try:
        outcome = " ".join(types_of(COMMANDS[command](task_that_is(status))))
    except Refused as refused:
        outcome = refused.code
    assert outcome == TABLE[command][STATUSES.index(status)]


def test_a_running_task_that_has_begun_is_asked_to_end_and_one_that_waits_ends_at_once():
    waiting = task_that_is("running")
    assert types_of(tasks.cancel(waiting, at=at(2))) == ["task.cancelled"]
    begun = folded([*created(), *tasks.run(task_that_is("pending"), at=at(1)), *tasks.enter_phase(waiting, "starting")])
    task = begun.tasks["task_1"]
    asked = tasks.cancel(task, at=at(2))
    assert types_of(asked) == ["task.cancelRequested"]
    task = folded(asked, begun).tasks["task_1"]
    assert tasks.cancel(task, at=at(3)) == []
    assert types_of(finish(task)) == ["task.cancelled"]


@pytest.mark.parametrize(
    ("required", "mode", "status"),
    [(False, False, "done"), (True, False, "review"), (False, True, "review"), (True, True, "review")],
)
def test_success_waits_for_a_person_where_the_task_or_the_mode_asks_for_it(required: bool, mode: bool, status: str):
    task = task_that_is("running", requires_approval=required)
    assert folded(finish(task, approval_mode=mode), State(tasks={task.id: task})).tasks[task.id].status == status


@pytest.mark.parametrize("required", [False, True])
def test_a_failing_run_fails_at_once_even_where_approval_is_required(required: bool):
    task = task_that_is("running", requires_approval=required)
    (failed,) = finish(task, FAILED, approval_mode=True)
    assert failed.TYPE == "task.failed"


def test_a_rejected_prompt_that_is_retried_carries_the_feedback_into_the_same_session():
    task = task_that_is("failed", type="prompt", content="Write a poem.")
    (again,) = tasks.retry(task, id="task_2", at=at(5), actor=ALICE, feedback="Shorter, please.")
    assert isinstance(again, TaskCreated)
    assert (again.session_id, again.retry_of, again.status) == (task.session_id, task.id, "pending")
    assert again.content == "Write a poem.\n\nFeedback on the previous attempt:\nShorter, please."


def test_feedback_that_does_not_fit_behind_a_long_prompt_is_sent_alone_and_not_lost():
    task = task_that_is("failed", type="prompt", content="x" * limits.PROMPT_BYTES_MAX)
    (again,) = tasks.retry(task, id="task_2", at=at(5), actor=ALICE, feedback="Shorter, please.")
    assert isinstance(again, TaskCreated)
    assert (again.content, again.session_id) == ("Feedback on the previous attempt:\nShorter, please.", task.session_id)


def test_a_retried_command_is_the_same_command():
    task = task_that_is("failed", env={"A": "1"}, cwd="/srv", labels=("nightly",), timeout_seconds=5)
    (again,) = tasks.retry(task, id="task_2", at=at(5), actor=ALICE, feedback="no")
    assert isinstance(again, TaskCreated)
    assert tasks.as_new(folded([again]).tasks["task_2"]) == tasks.as_new(task)


def test_an_edit_that_changes_nothing_is_no_event():
    task = task_that_is("pending")
    assert tasks.edit(task, TaskEdit(content=task.content, title=None)) == []


def test_an_edit_is_checked_like_a_new_task():
    with pytest.raises(Refused) as refused:
        tasks.edit(task_that_is("pending"), TaskEdit(content=" ", timeout_seconds=0))
    assert [error.pointer for error in refused.value.errors] == ["/content", "/timeoutSeconds"]


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"content": ""}, "/content"),
        ({"content": " \n\t"}, "/content"),
        ({"content": "echo \0"}, "/content"),
        ({"content": "\ud800"}, "/content"),
        ({"content": "x" * (limits.COMMAND_BYTES_MAX + 1)}, "/content"),
        ({"content": "é" * (limits.COMMAND_BYTES_MAX // 2 + 1)}, "/content"),
        ({"type": "prompt", "content": "x" * (limits.PROMPT_BYTES_MAX + 1)}, "/content"),
        ({"title": "t" * (limits.TITLE_CHARACTERS_MAX + 1)}, "/title"),
        ({"labels": ("a", "a")}, "/labels"),
        ({"labels": ("",)}, "/labels"),
        ({"labels": ("a\nb",)}, "/labels"),
        ({"labels": ("\u200d",)}, "/labels"),
        ({"labels": ("a\u202eb",)}, "/labels"),
        ({"labels": tuple(map(str, range(limits.LABELS_MAX + 1)))}, "/labels"),
        ({"timeout_seconds": 0}, "/timeoutSeconds"),
        ({"timeout_seconds": limits.TIMEOUT_SECONDS_MAX + 1}, "/timeoutSeconds"),
        ({"env": {"1A": "x"}}, "/env"),
        ({"env": {"A": "\0"}}, "/env"),
        ({"env": {"A": "x" * limits.ENV_BYTES_MAX}}, "/env"),
        ({"cwd": ""}, "/cwd"),
        ({"type": "prompt", "cwd": "/"}, "/cwd"),
        ({"type": "prompt", "tty": True}, "/tty"),
        ({"type": "prompt", "env": {"A": "1"}}, "/env"),
    ],
)
def test_what_cannot_be_a_task_is_refused_with_the_field_that_is_wrong(given: dict[str, Any], pointer: str):
    assert [error.pointer for error in tasks.problems_of(new_task(**given))] == [pointer]


@pytest.mark.parametrize(
    "given",
    [
        {"content": "x" * limits.COMMAND_BYTES_MAX},
        {"content": "printf '%s' \"$(id)\" `x` $'\\t' <<EOF\n\u202e💥\nEOF"},
        {"type": "prompt", "content": "x" * limits.PROMPT_BYTES_MAX},
        {"labels": ("👩\u200d💻", "می\u200cرود", "क्\u200dष")},
    ],
)
def test_text_of_any_script_within_its_limit_can_be_content_and_label(given: dict[str, Any]):
    assert tasks.problems_of(new_task(**given)) == []


def folded_by_the_browser(events: list[Event]) -> dict[str, Any]:
    """The one rule of the wire, over JSON: created → the object; a newer version → overwrite; all else passed over."""
    task: dict[str, Any] = {}
    for event in events:
        payload = json.loads(msgspec.json.encode(event))
        if isinstance(event, TaskCreated):
            task = payload | {"id": payload["taskId"]}
        elif payload.get("version", 0) > task["version"]:
            task |= payload
    task.pop("taskId")
    return task


ends = st.builds(
    RunEnd,
    exit_code=st.integers(0, 255) | st.none(),
    error=st.just(Error(code="exit_nonzero", message="It failed.")) | st.none(),
    result=st.text(max_size=5) | st.none(),
    duration_ms=st.integers(0, 10),
)
news = st.builds(
    NewTask,
    type=st.sampled_from(["command", "prompt"]),
    content=st.just("do it"),
    desktop_id=st.just("desk_1"),
    requires_approval=st.booleans(),
    labels=st.sampled_from([(), ("nightly",)]),
)


class TaskLife(RuleBasedStateMachine):
    """People and runs try everything, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Event] = []
        self.state = State()
        self.second = 0

    @property
    def task(self) -> Task:
        return self.state.tasks["task_1"]

    def attempt(self, command: Callable[[Task, str], list[Event]]) -> None:
        self.second += 1
        before, approvals = self.task, dict(self.state.approvals)
        try:
            events = command(before, at(self.second))
        except Refused:
            events = []
            assert (self.task, self.state.approvals) == (before, approvals), "a refusal changed something"
        self.events += events
        folded(events, self.state)

    @initialize(new=news)
    def somebody_creates_it(self, new: NewTask) -> None:
        self.events = tasks.create(new, id="task_1", at=at(0), actor=ALICE)
        folded(self.events, self.state)

    @rule(content=st.sampled_from(["do it", "do more", " "]), required=st.booleans())
    def somebody_edits_it(self, content: str, required: bool) -> None:
        self.attempt(lambda task, _: tasks.edit(task, TaskEdit(content=content, requires_approval=required)))

    @rule()
    def somebody_runs_it(self) -> None:
        self.attempt(lambda task, now: tasks.run(task, at=now))

    @rule(phase=st.sampled_from(PHASES))
    def it_goes_on(self, phase: Phase) -> None:
        self.attempt(lambda task, _: tasks.enter_phase(task, phase))

    @rule()
    def somebody_cancels_it(self) -> None:
        self.attempt(lambda task, now: tasks.cancel(task, at=now))

    @rule(end=ends, mode=st.booleans())
    def its_run_ends(self, end: RunEnd, mode: bool) -> None:
        self.attempt(lambda task, now: tasks.finish(task, end, at=now, approval_mode=mode, approval_id="appr_1"))

    @rule(decision=st.sampled_from(["approve", "reject"]), feedback=st.sampled_from([None, "why"]))
    def somebody_decides(self, decision: Decision, feedback: str | None) -> None:
        approval = self.state.approvals.get("appr_1")
        self.attempt(lambda task, now: tasks.review(task, approval, decision, feedback, at=now, actor=ALICE))

    @rule()
    def somebody_retries_it(self) -> None:
        before = self.task
        try:
            (again,) = tasks.retry(before, id="task_2", at=at(self.second), actor=ALICE)
        except Refused:
            assert before.status in OPEN
        else:
            assert isinstance(again, TaskCreated)
            assert (again.status, again.retry_of) == ("pending", "task_1")
            assert self.task is before, "a retry is a new task; this one stays as it is"

    @rule()
    def somebody_archives_it(self) -> None:
        self.attempt(lambda task, now: tasks.archive(task, at=now))

    @invariant()
    def replay_gives_the_same(self) -> None:
        wire = [decode_event(event.TYPE, msgspec.json.encode(event)) for event in self.events]
        assert wire == self.events
        assert folded(wire) == self.state

    @invariant()
    def the_browser_folds_the_same(self) -> None:
        shown = json.loads(msgspec.json.encode(self.task))
        assert folded_by_the_browser(self.events) == shown
        assert folded_by_the_browser([*self.events, *self.events[1:]]) == shown, (
            "an event that comes again does nothing"
        )

    @invariant()
    def history_is_a_path_in_the_state_machine(self) -> None:
        now: TaskStatus = "pending"
        for event in self.events:
            status: TaskStatus | None = getattr(event, "status", None) if event.TYPE.startswith("task.") else None
            if status and status != now:
                assert status in NEXT[now]
                now = status
        assert now == self.task.status

    @invariant()
    def there_is_exactly_one_end(self) -> None:
        ends = [event for event in self.events if event.TYPE in FINAL]
        assert len(ends) == (self.task.status not in OPEN)
        assert (self.task.completed_at is not None) == (self.task.status not in OPEN)

    @invariant()
    def the_fields_agree_with_the_status(self) -> None:
        task = self.task
        assert (task.phase is not None) == (task.status == "running")
        assert task.version == sum(hasattr(event, "version") for event in self.events)
        assert (task.error is not None and task.status == "done") is False
        waiting = [approval for approval in self.state.approvals.values() if approval.status == "pending"]
        assert len(waiting) == (task.status == "review")
        assert sum(isinstance(event, ApprovalCreated) for event in self.events) <= 1
        if task.cancel_requested_at and task.status not in OPEN:
            assert task.status == "cancelled"


TestTaskLife = TaskLife.TestCase


def test_the_end_of_a_run_that_was_cancelled_keeps_its_true_exit_code():
    state = folded(created())
    for step in (
        lambda task: tasks.run(task, at=at(1)),
        lambda task: tasks.enter_phase(task, "streaming", executed_at=at(2)),
        lambda task: tasks.cancel(task, at=at(3)),
        lambda task: finish(task, DONE),
    ):
        folded(step(state.tasks["task_1"]), state)
    task = state.tasks["task_1"]
    assert (task.status, task.exit_code, task.executed_at) == ("cancelled", 0, at(2))
