"""Changes of tasks: what people ask for, and what runs report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

import msgspec

from ..domain import limits, secrets, tasks
from ..domain.entities import Desktop, Phase, Task
from ..domain.errors import (
    AGENT_NOT_CONFIGURED,
    AGENT_NOT_READY,
    DESKTOP_NOT_RUNNING,
    DESKTOP_QUEUE_FULL,
    DESKTOP_REMOVED,
    LOG_UNAVAILABLE,
    VERSION_MISMATCH,
    FieldError,
    Refused,
    invalid,
    invalid_fields,
)
from ..domain.events import Event, TaskNote
from ..domain.fold import State
from ..domain.masking import Patterns
from ..domain.tasks import Decision, NewTask, RunEnd, TaskEdit
from ..domain.values import SYSTEM, Actor, Time
from ..log import removal
from ..log.event_log import Batch, LogUnavailable, RunRow, Statement
from ..log.vault import Vault
from .journal import Journal

QUEUE_RETRY_SECONDS = 10  # after which a waiting task may have begun

T = TypeVar("T")
Remember = Callable[[T], Statement]
"""Makes the statement that remembers an answer for its Idempotency-Key, in the transaction of the events."""


class Applied(msgspec.Struct, frozen=True):
    """What a command to several tasks did: to which it was applied, and why it was not to the others."""

    applied: list[str]
    skipped: list[dict[str, str]]


class Tasks:
    """Commands on tasks. Each returns the task as it stands when its events are durable."""

    def __init__(self, journal: Journal, vault: Vault) -> None:
        self._journal = journal
        self._vault = vault

    @property
    def patterns(self) -> Patterns:
        """The secrets that are to be masked in whatever a run produces."""
        return self._vault.patterns

    async def create(
        self, new: Sequence[NewTask], actor: Actor, *, batch: bool = False, remember: Remember[list[Task]] | None = None
    ) -> list[Task]:
        """Create tasks, all or none, in one append; those with `run` are started at once."""
        state = await self._journal.ready()
        errors: list[FieldError] = []
        for index, one in enumerate(new):
            at = f"/tasks/{index}" if batch else ""
            errors += [FieldError(at + error.pointer, error.message) for error in tasks.problems_of(one)]
            errors += secrets.unknown(one.secrets, state.secrets, at)
            desktop = state.desktops.get(one.desktop_id)
            if desktop is None or desktop.removed_at:
                errors.append(FieldError(f"{at}/desktopId", f"there is no desktop {one.desktop_id}"))
        if errors:
            raise invalid_fields(errors)
        now, batch_id = self._journal.now(), self._journal.new_id("batch") if batch else None
        events: list[Event] = []
        started: list[Event] = []
        ids: list[str] = []
        waiting: Counter[str] | None = None
        for index, one in enumerate(new):
            ids.append(self._journal.new_id("task", index))
            (created,) = tasks.create(one, id=ids[-1], at=now, actor=actor, batch_id=batch_id)
            events.append(created)
            if one.run:
                waiting = self._waiting() if waiting is None else waiting
                self._refuse_run(state.desktops[one.desktop_id], one.type, waiting)
                task = State().apply(created)
                assert isinstance(task, Task)
                started += tasks.run(task, at=now)
        events += started
        result: list[Task] = []

        def before_append() -> Statement | None:
            result.extend(self._journal.state.tasks[id] for id in ids)
            return remember(result) if remember else None

        await self._journal.commit(events, actor, before_append=before_append)
        return result

    async def edit(self, id: str, changes: TaskEdit, actor: Actor, *, version: int | None = None) -> Task:
        """Edit a pending task; with `version`, only if it is still that one."""
        task = await self._journal.task(id)
        if version is not None and version != task.version:
            raise Refused(VERSION_MISMATCH, version=task.version)
        if changes.desktop_id is not msgspec.UNSET:
            target = self._journal.state.desktops.get(changes.desktop_id)
            if target is None or target.removed_at:
                raise invalid("/desktopId", f"there is no desktop {changes.desktop_id}")
        named = () if changes.secrets is msgspec.UNSET else changes.secrets
        if errors := secrets.unknown(named, self._journal.state.secrets):
            raise invalid_fields(errors)
        return await self._change(task, tasks.edit(task, changes), actor)

    async def run(self, id: str, actor: Actor, *, remember: Remember[Task] | None = None) -> Task:
        """Start a pending task. It queues when its desktop is at maxConcurrentTasks."""
        task = await self._journal.task(id)
        events = tasks.run(task, at=self._journal.now())
        self._refuse_run(self._journal.desktop(task.desktop_id), task.type, self._waiting())
        return await self._change(task, events, actor, remember)

    async def cancel(self, id: str, actor: Actor) -> Task:
        """End a task: at once while it waits, else as a request to its desktop."""
        task = await self._journal.task(id)
        return await self._change(task, tasks.cancel(task, at=self._journal.now()), actor)

    async def review(
        self,
        id: str,
        decision: Decision,
        feedback: str | None,
        actor: Actor,
        *,
        retry: bool = False,
        remember: Remember[Task] | None = None,
    ) -> Task:
        """Decide on a finished task; with `retry`, a rejected one gets a follow-up that carries the feedback."""
        task = await self._journal.task(id)
        now = self._journal.now()
        if feedback is not None and len(feedback.encode(errors="replace")) > limits.FEEDBACK_BYTES_MAX:
            raise invalid("/feedback", f"is larger than {limits.FEEDBACK_BYTES_MAX} bytes")
        if retry and decision == "approve":
            raise invalid("/retry", "belongs to a rejection")
        approval = self._journal.pending_approval(id)
        events = tasks.review(task, approval, decision, feedback, at=now, actor=actor)
        if retry:
            self._refuse_removed(task)
            rejected = msgspec.structs.replace(task, status="failed")
            events += tasks.retry(rejected, id=self._journal.new_id("task"), at=now, actor=actor, feedback=feedback)
        return await self._change(task, events, actor, remember)

    async def retry(self, id: str, actor: Actor, *, remember: Remember[Task] | None = None) -> Task:
        """A new pending task with the same content."""
        task = await self._journal.task(id)
        self._refuse_removed(task)
        new_id = self._journal.new_id("task")
        feedback = task.feedback if task.status == "failed" else None
        events = tasks.retry(task, id=new_id, at=self._journal.now(), actor=actor, feedback=feedback)
        result: list[Task] = []

        def before_append() -> Statement | None:
            result.append(self._journal.state.tasks[new_id])
            return remember(result[0]) if remember else None

        await self._journal.commit(events, actor, before_append=before_append)
        return result[0]

    async def archive(self, id: str, actor: Actor) -> None:
        """Hide a task from lists."""
        task = await self._journal.task(id)
        await self._change(task, tasks.archive(task, at=self._journal.now()), actor)

    async def remove_output(self, id: str, actor: Actor) -> None:
        """Remove what is recorded of a task's runs; when this returns it is gone. Doing so twice changes nothing."""
        log = self._journal.log
        async with log.snapshot() as snapshot:
            row = await snapshot.row("select bytes, lines from runs where task_id = ?", (id,))
            is_recorded = await removal.is_recorded(snapshot, id)
            until = snapshot.seq
        under_way = [up_to for task_id, up_to in await removal.pending(log) if task_id == id]
        task = await self._journal.task(id)
        size, lines = row or (0, 0)
        events = tasks.remove_output(task, at=self._journal.now(), bytes=size, lines=lines)
        if is_recorded and not under_way:
            await self._journal.commit(events, actor, beside=[removal.begun(id, until)])
        if is_recorded or under_way:
            await self._clear(id, max(under_way, default=until))

    async def finish_removals(self) -> None:
        """Carry out what an earlier server had begun to remove."""
        for id, until in await removal.pending(self._journal.log):
            await self._clear(id, until)

    async def _clear(self, id: str, until: int) -> None:
        try:
            await removal.clear(self._journal.log, id, until)
        except LogUnavailable as error:
            raise Refused(LOG_UNAVAILABLE, reason=str(error)) from None

    async def run_all(self, ids: Sequence[str], actor: Actor, *, remember: Remember[Applied] | None = None) -> Applied:
        """Start every pending task of several."""
        waiting: Counter[str] | None = None

        def decide(task: Task, _: int) -> list[Event]:
            nonlocal waiting
            waiting = self._waiting() if waiting is None else waiting  # counted once, when all tasks are in memory
            events = tasks.run(task, at=self._journal.now())
            self._refuse_run(self._journal.desktop(task.desktop_id), task.type, waiting)
            return events

        return await self._each(ids, decide, actor, remember)

    async def cancel_all(self, ids: Sequence[str], actor: Actor) -> Applied:
        """Cancel every task of several that is not over."""
        return await self._each(ids, lambda task, _: tasks.cancel(task, at=self._journal.now()), actor)

    async def retry_failed(
        self, ids: Sequence[str], actor: Actor, *, remember: Remember[Applied] | None = None
    ) -> Applied:
        """A new pending task for every failed or cancelled one of several, in the same batch.

        What has its retry among them is passed over: if that failed, too, it is the one that is made anew.
        """
        made: list[str] = []
        retried: set[str | None] | None = None

        def decide(task: Task, ahead: int) -> list[Event]:
            nonlocal retried
            if retried is None:  # looked up once, when all tasks are in memory
                retried = {self._journal.state.tasks[id].retry_of for id in ids}
            if task.status not in ("failed", "cancelled") or task.archived or task.id in retried:
                return []
            self._refuse_removed(task)
            made.append(self._journal.new_id("task", ahead))
            return [
                msgspec.structs.replace(event, batch_id=task.batch_id) if hasattr(event, "batch_id") else event
                for event in tasks.retry(task, id=made[-1], at=self._journal.now(), actor=actor)
            ]

        return await self._each(ids, decide, actor, remember)

    async def _each(
        self,
        ids: Sequence[str],
        decide: Callable[[Task, int], list[Event]],
        actor: Actor,
        remember: Remember[Applied] | None = None,
    ) -> Applied:
        """Decide on several tasks, and append everything at once; a refusal skips its task only."""
        events: list[Event] = []
        applied: list[str] = []
        skipped: list[dict[str, str]] = []
        for task in await self._journal.tasks(tuple(dict.fromkeys(ids))):
            try:
                decided = decide(task, len(applied))
            except Refused as refused:
                skipped.append({"taskId": task.id, "code": refused.code})
                continue
            if decided:
                applied.append(task.id)
                events += decided
            else:
                skipped.append({"taskId": task.id, "code": "nothing_to_do"})
        result = Applied(applied, skipped)
        await self._journal.commit(events, actor, before_append=lambda: remember(result) if remember else None)
        return result

    def _waiting(self) -> Counter[str]:
        """How many tasks are queued, by desktop."""
        return Counter(task.desktop_id for task in self._journal.state.tasks.values() if task.phase == "queued")

    def _refuse_removed(self, task: Task) -> None:
        """Refuse a new task for a desktop that is gone."""
        if (desktop := self._journal.desktop(task.desktop_id)).removed_at:
            raise Refused(DESKTOP_REMOVED, name=desktop.name)

    def _refuse_run(self, desktop: Desktop, type: str, waiting: Counter[str]) -> None:
        """Refuse to run on a desktop that cannot take it; else it is counted among those that wait."""
        if desktop.removed_at:
            raise Refused(DESKTOP_REMOVED, name=desktop.name)
        if desktop.status != "running":
            raise Refused(DESKTOP_NOT_RUNNING, name=desktop.name, status=desktop.status)
        if type == "prompt" and desktop.agent is None:
            raise Refused(AGENT_NOT_CONFIGURED, name=desktop.name)
        if type == "prompt" and not desktop.agent_ready:
            raise Refused(AGENT_NOT_READY, name=desktop.name)
        if waiting[desktop.id] >= limits.WAITING_TASKS_MAX:
            raise Refused(DESKTOP_QUEUE_FULL, name=desktop.name, count=waiting[desktop.id], seconds=QUEUE_RETRY_SECONDS)
        waiting[desktop.id] += 1

    async def _change(
        self,
        task: Task,
        events: list[Event],
        actor: Actor,
        remember: Remember[Task] | None = None,
        beside: Sequence[Statement] = (),
    ) -> Task:
        changed = task

        def before_append() -> Statement | None:
            nonlocal changed
            changed = self._journal.state.tasks.get(task.id, task)
            return remember(changed) if remember else None

        await self._journal.commit(events, actor, beside=beside, before_append=before_append)
        return changed

    # What runs report.

    async def enter_phase(self, id: str, phase: Phase, *, executed_at: Time | None = None) -> Task:
        """A running task waits for something else now."""
        task = await self._journal.task(id)
        at = msgspec.UNSET if executed_at is None else executed_at
        return await self._change(task, tasks.enter_phase(task, phase, executed_at=at), SYSTEM)

    async def begin(
        self, id: str, *, instance_id: str, boot_id: str, attempt: int, given: Mapping[str, str] = MappingProxyType({})
    ) -> Task:
        """An outpost will be asked to run it; when this returns that may happen, if it is still running.

        The secrets that it is `given` are sealed for as long as it runs.
        """
        task = await self._journal.task(id)
        events = tasks.begin(task, instance_id=instance_id, boot_id=boot_id, attempt=attempt)
        sealed = [self._vault.seal(id, name, value) for name, value in given.items()] if events else []
        return await self._change(task, events, SYSTEM, beside=sealed)

    async def finish(self, id: str, end: RunEnd) -> Task:
        """A run is over; all its output is durable already. Its secrets are kept only where more may come of it."""
        task = await self._journal.task(id)
        events = tasks.finish(
            task,
            tasks.masked(end, self.patterns),
            at=self._journal.now(),
            approval_mode=self._journal.state.settings.task_approval_mode,
            approval_id=self._journal.new_id("appr"),
        )
        is_over = not (end.error and end.error.code == "desktop_unreachable")
        beside = [self._vault.forget(id)] if task.secrets and is_over and events else []
        return await self._change(task, events, SYSTEM, beside=beside)

    async def note(self, task: Task, text: str) -> None:
        """Something worth knowing about a task."""
        note = TaskNote(task_id=task.id, desktop_id=task.desktop_id, text=self.patterns.mask(text))
        await self._journal.commit([note], SYSTEM)

    async def record(self, task: Task, events: Sequence[Event], row: RunRow) -> int:
        """Append output of a run. Raises LogUnavailable; then the bytes are still the caller's to keep."""
        return await self._journal.log.append(
            Batch(events=tuple(events), actor=SYSTEM, rows=(row,), run=task.id, desktop_id=task.desktop_id)
        )
