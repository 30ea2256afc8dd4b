"""Carries out what the log says: starts tasks when their desktop has a place, stops what is to be cancelled.

It is a reader of the log like any other, and prepares what has just been decided. A task that was started waits in its
desktop's queue; at most `maxConcurrentTasks` run there at once, in the order in which they were started. What was
running when the server went away is taken up again where the log ends; only what ran without an outpost is lost, and
said to be.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from types import MappingProxyType

import anyio
import anyio.abc
import msgspec
import structlog
from msgspec.structs import replace

from ..control.door import Control
from ..control.journal import until_taken
from ..control.secrets import SecretMissing
from ..domain.entities import Agent, Task
from ..domain.errors import NOT_FOUND, Refused
from ..domain.events import Event, TaskNote, TaskStarted, decode_event
from ..domain.filters import Filter, types_of
from ..domain.output import OutputCutter, RunPosition
from ..domain.tasks import RunEnd
from ..domain.values import Error, Time
from ..log.vault import SecretUnreadable
from ..streams.cursor import follow
from .agents.openai_chat import Turn
from .commands import run_directly, run_durably, spec_of
from .conversation import Began, Conversation, Draining, Ended, Happening, Lost, Waiting
from .durable import GRACE_MS, DurableRun
from .durable_prompts import PAST, DurablePrompt, Past, read_past
from .durable_prompts import spec_of as spec_of_prompt
from .fleet import Fleet
from .outpost_link import OutpostLink
from .prompts import GATHER_SECONDS, PromptRun
from .protocol import KnownRun, Spec, cancel, forget, run_id
from .recorder import open_recorder

TURNS_MAX = 50  # earlier exchanges of a conversation that are looked up
PASSING_SECONDS = 0.02  # a run that is over sooner is not said to be streaming: one commit less before its end
PATIENCE_SECONDS = 24 * 3600.0  # for which a run waits for its desktop

UNREACHABLE = "desktop_unreachable"
WAITS = {"disk_full": "The desktop's disk is full. The command waits there until there is room; nothing is lost."}
NEEDS_OUTPOST = (
    "Secrets reach a command only through the desktop's outpost, and there is none: see the desktop's page. Over a "
    "plain channel the host may leave them out without a word."
)
DIRECT_COMMAND = "This run is not durable: the desktop has no outpost, so it ends with the connection."
DIRECT_PROMPT = "This run is not durable: the server asks the agent itself, so it ends with the server."
GOES_ON = "There is room again on the desktop's disk: the command goes on."

_WATCHED = frozenset(
    (
        *("task.started", "task.cancelRequested", "task.cancelled", "task.completed", "task.failed", "task.review"),
        *("desktop.started", "desktop.updated", "desktop.link"),
    )
)
_logger = structlog.get_logger(__name__)

Change = Callable[[], Awaitable[object]]


class _Teller:
    """Says in the log what a run says of itself, without making its output or its end wait."""

    def __init__(self, control: Control, task: Task, aside: Callable[[Change], None]) -> None:
        self._control = control
        self._task = task
        self._aside = aside
        self._began_at: Time | None = None

    async def __call__(self, happening: Happening) -> None:
        tasks, id = self._control.tasks, self._task.id
        match happening:
            case Began():
                self._began_at = self._control.journal.now()
                self._aside(self._say_streaming)
            case Draining():
                self._aside(lambda: tasks.enter_phase(id, "draining"))
            case Waiting(why):
                text = GOES_ON if why is None else WAITS.get(why, f"The command waits on the desktop: {why}.")
                self._aside(lambda: tasks.note(self._task, text))
            case _:
                pass

    def ended(self, end: RunEnd) -> RunEnd:
        """The end of a run that may have been over before its beginning was said."""
        return replace(end, executed_at=self._began_at)

    async def _say_streaming(self) -> None:
        await anyio.sleep(PASSING_SECONDS)
        await self._control.tasks.enter_phase(self._task.id, "streaming", executed_at=self._began_at)


class Runner:
    """All runs of this server. Made by `open_runner`."""

    def __init__(self, control: Control, fleet: Fleet, group: anyio.abc.TaskGroup, patience_s: float) -> None:
        self._control = control
        self._fleet = fleet
        self._group = group
        self._patience_s = patience_s
        self._queues: defaultdict[str, dict[str, None]] = defaultdict(dict)  # desktop → tasks, oldest first
        self._running: defaultdict[str, set[str]] = defaultdict(set)  # desktop → tasks
        self._cancels: dict[str, Callable[[], None]] = {}
        self._followed: set[bytes] = set()  # runs on outposts that somebody here reads
        self.is_alive = False

    def statistics(self) -> dict[str, int]:
        """Tasks that wait for a place, and tasks that have one."""
        return {
            "queued": sum(map(len, self._queues.values())),
            "running": sum(map(len, self._running.values())),
        }

    async def follow_the_log(self, after: int) -> None:
        """Carry out what is logged after a position, for ever."""
        self.is_alive = True
        try:
            async with aclosing(follow(self._control.log, after, Filter(types=_WATCHED))) as steps:
                async for events, _, _ in steps:
                    for event in events:
                        self._take_note(event.type, event.task_id, event.desktop_id)
        finally:
            self.is_alive = False

    def begin_ahead(self, events: tuple[Event, ...]) -> None:
        """Prepare what has just been decided, while it is made durable; nothing is asked of a desktop before.

        What says that a run begins then goes into the same commit. Where the log refuses, it is refused with it.
        """
        for event in events:
            if isinstance(event, TaskStarted):
                self._take_note(event.TYPE, event.task_id, event.desktop_id)

    def _take_note(self, type: str, task_id: str | None, desktop_id: str | None) -> None:
        assert desktop_id is not None, "every event watched here names its desktop"
        if type == "task.started":
            assert task_id is not None
            self._queues[desktop_id][task_id] = None
        elif type == "task.cancelRequested":
            if cancel := self._cancels.get(task_id or ""):
                cancel()
        elif type.startswith("task."):
            self._queues[desktop_id].pop(task_id or "", None)
        elif outpost := self._fleet.outpost_of(desktop_id):
            self._group.start_soon(self._tidy, desktop_id, outpost)
        self._fill(desktop_id)

    def _fill(self, desktop_id: str) -> None:
        """Start what waits, while the desktop has a place and its link is up."""
        state = self._control.journal.state
        desktop = state.desktops.get(desktop_id)
        if desktop is None or not self._fleet.is_up(desktop_id):
            return
        queue, running = self._queues[desktop_id], self._running[desktop_id]
        while queue and len(running) < desktop.max_concurrent_tasks:
            task_id = next(iter(queue))
            del queue[task_id]
            task = state.tasks.get(task_id)
            is_waiting = task is not None and task.status == "running" and task.phase == "queued"
            if is_waiting and task_id not in running:
                running.add(task_id)
                self._group.start_soon(self._run, task_id, desktop_id)

    async def recover(self) -> None:
        """Take up what the log left open."""
        state = await self._control.journal.ready()
        running = [task for task in state.open_tasks() if task.status == "running"]
        for task in sorted(running, key=lambda task: (task.started_at or "", task.id)):
            if task.phase == "queued":
                self._queues[task.desktop_id][task.id] = None
            elif task.instance_id is None:
                await self._say_lost(task)
            else:
                self._running[task.desktop_id].add(task.id)
                self._followed.add(run_id(task.id, task.attempt))
                self._group.start_soon(self._resume, task)
        for desktop_id in state.desktops:
            if outpost := self._fleet.outpost_of(desktop_id):
                self._group.start_soon(self._tidy, desktop_id, outpost)
            self._fill(desktop_id)

    def going_on(self) -> list[Task]:
        """Tasks whose runs go on on their desktops when this server stops."""
        tasks = self._control.journal.state.tasks
        ids = (id for running in self._running.values() for id in running)
        return [task for id in ids if (task := tasks.get(id)) and task.instance_id and task.status == "running"]

    def _is_alone(self) -> bool:
        """Whether one run at most is under way."""
        return self.statistics()["running"] <= 1

    # One task, from its place on the desktop to its end.

    async def _run(self, task_id: str, desktop_id: str) -> None:
        with self._place(task_id, desktop_id):
            has_outpost = await self._fleet.has_outpost(desktop_id)
            task = await self._control.journal.task(task_id)
            if task.status == "running":  # else it was cancelled while it waited
                await self._guarded(task, self._started(task, has_outpost))

    async def _resume(self, task: Task) -> None:
        with self._place(task.id, task.desktop_id):
            going_on = self._resumed_command(task) if task.type == "command" else self._resumed_prompt(task)
            await self._guarded(task, going_on)

    @contextmanager
    def _place(self, task_id: str, desktop_id: str) -> Generator[None]:
        try:
            yield
        finally:
            self._cancels.pop(task_id, None)
            self._running[desktop_id].discard(task_id)
        self._fill(desktop_id)  # not when the server stops: what waits is taken up at its next start

    async def _guarded(self, task: Task, run: Awaitable[None]) -> None:
        try:
            await run
        except Exception as error:  # a bug of ours must not leave a task running for ever, nor stop other runs
            _logger.exception("run failed", task=task.id)
            message = f"Mission Control failed: {error!r}."
            await self._finish(task.id, RunEnd(error=Error(code="internal_error", message=message)))
            if outpost := self._fleet.outpost_of(task.desktop_id):  # else when it is attached again
                _abandon(outpost, run_id(task.id, self._control.journal.state.tasks.get(task.id, task).attempt))

    async def _started(self, task: Task, has_outpost: bool) -> None:
        agent = self._control.journal.desktop(task.desktop_id).agent
        is_durable = has_outpost and (task.type == "command" or agent is None or agent.via == "ssh")
        if task.type == "command":
            await (self._durable_command(task) if is_durable else self._direct_command(task))
            return
        if agent is None:
            name = self._control.journal.desktop(task.desktop_id).name
            message = f"Desktop {name} has no agent endpoint any more."
            await self._finish(task.id, RunEnd(error=Error(code="agent_not_configured", message=message)))
            return
        try:
            token = await self._control.desktops.secret(task.desktop_id, "agentToken") if agent.has_token else None
        except SecretUnreadable as unreadable:
            error = Error(code="secret_missing", message=f"{unreadable}. Enter it again.")
            await self._finish(task.id, RunEnd(error=error))
            return
        if is_durable:
            await self._durable_prompt(task, agent, token, await self._turns(task), None, None)
        elif agent.via == "direct":
            await self._direct_prompt(task, agent, token)
        else:
            message = "The agent is reached through the desktop's outpost, and there is none: see the desktop's page."
            await self._finish(task.id, RunEnd(error=Error(code="agent_needs_outpost", message=message)))

    # Through the outpost.

    async def _durable_command(self, task: Task) -> None:
        try:
            given = self._control.secrets.given_to(task)
        except SecretMissing as missing:
            await self._finish(task.id, RunEnd(error=Error(code="secret_missing", message=str(missing))))
            return
        run = await self._begin(task, 1, spec_of(task, given), given)
        if run is not None:
            await self._follow_command(task, run, RunPosition())

    async def _resumed_command(self, task: Task) -> None:
        position = await self._position(task.id)
        try:
            spec = spec_of(task, self._control.secrets.of_run(task))
        except SecretMissing:
            spec = None  # it goes on where it was started; it is not started without its secrets
        run = self._taken_up(task, position, spec, await self._has_gap(task.id))
        await self._follow_command(task, run, position)

    async def _follow_command(self, task: Task, run: DurableRun, position: RunPosition) -> None:
        self._can_be_cancelled(task.id, run.cancel)
        try:
            async with open_recorder(
                self._control.tasks, task, position, on_durable=run.acknowledge, is_alone=self._is_alone
            ) as recorder:
                teller, cutter = self._teller(task), OutputCutter(position, recorder.patterns)
                end = recorder.counted(await run_durably(run, cutter, recorder, teller, task.timeout_seconds))
                await self._finish(task.id, teller.ended(end))
                self._let_go(run, end)
        finally:
            self._closed(run)

    async def _durable_prompt(
        self,
        task: Task,
        agent: Agent,
        token: str | None,
        turns: list[Turn],
        past: Past | None,
        attempt: DurableRun | None,
    ) -> None:
        position = await self._position(task.id)

        async def begin(number: int, spec: Spec) -> DurableRun | None:
            if prompt.attempt:
                self._closed(prompt.attempt)
            return await self._begin(task, number, spec)

        def acknowledge(durable: int) -> None:
            prompt.acknowledge(durable)

        async with open_recorder(
            self._control.tasks, task, position, pause_s=GATHER_SECONDS, on_durable=acknowledge
        ) as recorder:
            cutter, teller = OutputCutter(position, recorder.patterns), self._teller(task)
            prompt = DurablePrompt(task, agent, token, turns, recorder, cutter, begin, teller)
            self._can_be_cancelled(task.id, prompt.cancel)
            try:
                end = recorder.counted(await prompt.run(past, attempt))
                await self._finish(task.id, teller.ended(end))
                if prompt.attempt:
                    self._let_go(prompt.attempt, end)
            finally:
                if prompt.attempt:
                    self._closed(prompt.attempt)

    async def _resumed_prompt(self, task: Task) -> None:
        agent = self._control.journal.desktop(task.desktop_id).agent
        past, turns = await self._past(task), await self._turns(task)
        token: str | None = None
        spec: Spec | None = None  # needed where the start was lost on its way
        try:
            token = await self._control.desktops.secret(task.desktop_id, "agentToken")
            if agent is not None:
                spec = self._limited(spec_of_prompt(task, agent, token, turns, past.attempt))
        except (SecretUnreadable, ValueError):
            pass  # what was asked goes on without it; a further request says what is wrong
        attempt = self._taken_up(task, past.position, spec, past.has_hole)
        await self._durable_prompt(task, agent or Agent(kind="openai", url=""), token, turns, past, attempt)

    async def _begin(
        self, task: Task, attempt: int, spec: Spec, given: Mapping[str, str] = MappingProxyType({})
    ) -> DurableRun | None:
        """Say in the log which outpost will be asked, and give the run; None when the task is not running any more."""
        link = await self._fleet.outpost(task.desktop_id)
        instance, boot = link.facts.instance, link.facts.boot
        task = await until_taken(
            lambda: self._control.tasks.begin(task.id, instance_id=instance, boot_id=boot, attempt=attempt, given=given)
        )
        if task.status != "running":
            return None
        if task.cancel_requested_at:  # nothing was sent yet
            await self._finish(task.id, RunEnd())
            return None
        run = run_id(task.id, attempt)
        self._followed.add(run)
        conversation = Conversation(run, self._limited(spec), instance=instance, boot=boot)
        return self._durable(task.desktop_id, conversation)

    def _limited(self, spec: Spec) -> Spec:
        """What is asked of an outpost, with where an agent may be asked."""
        if spec.request is None:
            return spec
        networks = tuple(map(str, self._fleet.agent_networks))
        return replace(spec, request=replace(spec.request, networks=networks))

    def _taken_up(self, task: Task, position: RunPosition, spec: Spec | None, is_behind_gap: bool) -> DurableRun:
        """The run of a task's newest attempt, which was begun before."""
        run = run_id(task.id, task.attempt)
        self._followed.add(run)
        conversation = Conversation(
            run,
            spec,
            instance=task.instance_id or "",
            boot=task.boot_id or "",
            position=position,
            is_confirmed=task.executed_at is not None,
            is_behind_gap=is_behind_gap,
        )
        return self._durable(task.desktop_id, conversation)

    def _durable(self, desktop_id: str, conversation: Conversation) -> DurableRun:
        return DurableRun(conversation, lambda: self._fleet.outpost(desktop_id), self._patience_s)

    def _let_go(self, run: DurableRun, end: RunEnd) -> None:
        """Its end is in the log. A run that the desktop still has when it comes back is kept there till then."""
        if end.error and end.error.code == UNREACHABLE:
            return
        if end.error and end.error.code == "output_mismatch":
            run.cancel()
        run.forget()

    def _closed(self, run: DurableRun) -> None:
        run.close()
        self._followed.discard(run.id)

    def _teller(self, task: Task) -> _Teller:
        return _Teller(self._control, task, self._aside)

    def _aside(self, change: Change) -> None:
        """Make a change that nothing waits for."""
        self._group.start_soon(until_taken, change)

    def _can_be_cancelled(self, task_id: str, cancel: Callable[[], None]) -> None:
        self._cancels[task_id] = cancel
        task = self._control.journal.state.tasks.get(task_id)
        if task is not None and task.cancel_requested_at:
            cancel()

    # What an outpost still has.

    async def _tidy(self, desktop_id: str, outpost: OutpostLink) -> None:
        """Go through the runs that an outpost holds, and see to those that nobody reads."""
        for known in outpost.facts.runs:
            run = bytes.fromhex(known.run)
            if run in self._followed:
                continue
            try:
                task = await self._control.journal.task(known.task)
            except Refused as refused:
                if refused.code != NOT_FOUND.code:
                    raise
                task = None
            if run in self._followed:
                continue
            if task is not None and _was_given_up(task) and run == run_id(task.id, task.attempt):
                self._followed.add(run)
                self._group.start_soon(self._logged, self._collect_late, task)
            elif task is not None or not known.task:  # it is over, or was an earlier attempt, or a look at an agent
                _abandon(outpost, run)
            else:
                self._followed.add(run)
                self._group.start_soon(self._logged, self._drain_unknown, desktop_id, known)

    async def _logged(self, work: Callable[..., Awaitable[None]], *about: object) -> None:
        """Do what no task waits for; a bug of ours in it is said in the server's log only."""
        try:
            await work(*about)
        except Exception:
            _logger.exception("a run on a desktop could not be seen to")

    async def _collect_late(self, task: Task) -> None:
        """A desktop is back that was given up: record the rest of a run, and note its true end."""
        position, base = await self._position(task.id), 0
        if task.type == "prompt":
            past = await self._past(task)
            base = past.base
            run = self._taken_up(task, past.position, None, past.has_hole)
        else:
            run = self._taken_up(task, position, None, await self._has_gap(task.id))
        if task.cancel_requested_at:
            run.cancel()

        async def ignore(_: Happening) -> None:
            pass

        def acknowledge(durable: int) -> None:
            run.acknowledge(durable - base)

        try:
            async with open_recorder(
                self._control.tasks, task, position, on_durable=acknowledge, late=True
            ) as recorder:
                cutter = OutputCutter(position, recorder.patterns)
                end = await run_durably(run, cutter, recorder, ignore, task.timeout_seconds, base)
            if end.error and end.error.code == UNREACHABLE:
                return
            text = f"The desktop is back. {_true_end(task, end)}"
            notes = self._events_of(task.id, "task.note")
            if text not in [note.text async for note in notes if isinstance(note, TaskNote)]:
                await until_taken(lambda: self._control.tasks.note(task, text))
            await until_taken(lambda: self._control.secrets.forget_run(task))
            run.forget()
        finally:
            self._closed(run)

    async def _drain_unknown(self, desktop_id: str, known: KnownRun) -> None:
        """A run that this log knows nothing of, as after a restored backup: let it come to its end, and forget it."""
        _logger.warning("a desktop runs what this log does not know", desktop=desktop_id, task=known.task)
        run = self._durable(
            desktop_id, Conversation(bytes.fromhex(known.run), None, instance="", boot="", position=RunPosition())
        )
        try:
            while True:
                for happening in await run.next():
                    if isinstance(happening, Ended | Lost):
                        run.forget()
                        return
                run.acknowledge(run.position)
        finally:
            self._closed(run)

    # Without an outpost.

    async def _direct_command(self, task: Task) -> None:
        if task.secrets:
            await self._finish(task.id, RunEnd(error=Error(code="secrets_need_outpost", message=NEEDS_OUTPOST)))
            return
        if (task := await self._starting(task.id)).status != "running":
            return
        self._aside(lambda: self._control.tasks.note(task, DIRECT_COMMAND))
        connection = await self._fleet.connection(task.desktop_id)
        async with open_recorder(self._control.tasks, task, RunPosition(), is_alone=self._is_alone) as recorder:
            end = await run_directly(connection, task, recorder, lambda cancel: self._streaming(task.id, cancel))
            end = recorder.counted(end)
        await self._finish(task.id, end)

    async def _direct_prompt(self, task: Task, agent: Agent, token: str | None) -> None:
        if (task := await self._starting(task.id)).status != "running":
            return
        self._aside(lambda: self._control.tasks.note(task, DIRECT_PROMPT))
        turns = await self._turns(task)
        async with open_recorder(self._control.tasks, task, RunPosition(), pause_s=GATHER_SECONDS) as recorder:
            run = PromptRun(task, agent, token, turns, recorder, self._fleet.agent_networks)
            await self._streaming(task.id, run.cancel)
            end = await run.run()
            await recorder.drained()
            end = recorder.counted(end)
        await self._finish(task.id, end)

    async def _starting(self, task_id: str) -> Task:
        return await until_taken(lambda: self._control.tasks.enter_phase(task_id, "starting"))

    async def _streaming(self, task_id: str, cancel: Callable[[], None]) -> None:
        """The desktop has begun; from now on the run can be cancelled there."""
        self._cancels[task_id] = cancel
        now = self._control.journal.now()
        task = await until_taken(lambda: self._control.tasks.enter_phase(task_id, "streaming", executed_at=now))
        if task.cancel_requested_at:
            cancel()

    async def _say_lost(self, task: Task) -> None:
        message = "The server stopped while this was running without an outpost, so its end is not known. "
        message += "Look on the desktop whether it still runs there; then retry."
        result: str | None = None
        if task.type == "prompt":
            result = await self._derive_rest(task)
            message = "The server stopped while it was asking the agent itself. What came is kept; retry to ask again."
        masked = (await self._position(task.id)).masked
        error = Error(code="run_lost", message=message)
        await self._finish(task.id, RunEnd(error=error, result=result, masked_count=masked))

    async def _derive_rest(self, task: Task) -> str | None:
        """Progress that the stored answer has but the log does not say yet; the text of the answer so far."""
        past = await self._past(task)
        if past.parser is None:
            return None
        missing = [*past.missing, *past.parser.finish("the server stopped")]
        async with open_recorder(self._control.tasks, task, await self._position(task.id)) as recorder:
            await recorder.add(progress=missing)
            await recorder.drained()
        return past.parser.outcome.result if past.parser.outcome else None

    # What the log holds.

    async def _turns(self, task: Task) -> list[Turn]:
        """The earlier exchanges of this conversation, oldest first."""
        turns: list[Turn] = []
        while task.retry_of and len(turns) < TURNS_MAX:
            before = await self._control.journal.task(task.retry_of)
            if before.session_id != task.session_id:
                break
            turns.insert(0, Turn(prompt=before.content, answer=before.result or ""))
            task = before
        return turns

    async def _position(self, task_id: str) -> RunPosition:
        async with self._control.log.snapshot() as snapshot:
            row = await snapshot.row("select doc from runs where task_id = ?", (task_id,))
        return msgspec.json.decode(row[0], type=RunPosition) if row else RunPosition()

    async def _has_gap(self, task_id: str) -> bool:
        async for _ in self._events_of(task_id, "task.outputGap"):
            return True
        return False

    async def _past(self, task: Task) -> Past:
        """How far a prompt has come."""
        agent = self._control.journal.desktop(task.desktop_id).agent
        return await read_past(agent, self._events_of(task.id, "task.progress"), self._events_of(task.id, *PAST))

    async def _events_of(self, task_id: str, *types: str) -> AsyncGenerator[Event]:
        cursor, head = 0, self._control.log.head
        wanted = Filter(task_id=task_id, types=types_of([*types]))
        while cursor < head:
            page = await self._control.log.read_after(cursor, wanted)
            cursor = page.cursor
            for event in page.events:
                if event.body is not None:
                    yield decode_event(event.type, event.body)

    async def _finish(self, task_id: str, end: RunEnd) -> None:
        await until_taken(lambda: self._control.tasks.finish(task_id, end))


def _abandon(outpost: OutpostLink, run: bytes) -> None:
    """Nobody waits for this run any more: what is still alive of it is ended, and all of it forgotten."""
    outpost.send(cancel(run, GRACE_MS))
    outpost.send(forget(run))


def _was_given_up(task: Task) -> bool:
    """Whether its desktop was away for so long that it failed."""
    return task.error is not None and task.error.code == UNREACHABLE


def _true_end(task: Task, end: RunEnd) -> str:
    if end.error and end.error.code in ("run_lost", "desktop_rebooted", "supervisor_killed"):
        return end.error.message
    if task.type == "prompt":
        return f"The request was over after {(end.duration_ms or 0) / 1000:.3g} s; the raw answer is what came."
    how = f"was ended by {end.signal}" if end.signal else f"exited with code {end.exit_code}"
    return f"The command {how} after {(end.duration_ms or 0) / 1000:.3g} s; its output above is what it wrote."


@asynccontextmanager
async def open_runner(
    control: Control, fleet: Fleet, *, patience_s: float = PATIENCE_SECONDS
) -> AsyncGenerator[Runner]:
    """Carry out tasks while the block is open; leaving it lets go of every run, and those on outposts go on.

    `patience_s` is how long a run waits for a desktop that is away.
    """
    async with anyio.create_task_group() as group:
        runner = Runner(control, fleet, group, patience_s)
        after = control.log.head
        await runner.recover()
        group.start_soon(runner.follow_the_log, after)
        with control.journal.telling(runner.begin_ahead):
            yield runner
        group.cancel_scope.cancel()
