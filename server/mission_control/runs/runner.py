"""Carries out what the log says: starts tasks when their desktop has a place, stops what is to be cancelled.

It is a reader of the log like any other. A task that was started waits in its desktop's queue; at most
`maxConcurrentTasks` run there at once, in the order in which they were started. What was running when the server died
cannot be known any more in `direct` mode: it ends as `run_lost`, said aloud at the next start.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager

import anyio
import anyio.abc
import msgspec
import structlog

from ..control.door import Control
from ..domain.entities import Task
from ..domain.errors import Refused
from ..domain.events import TaskOutput, TaskProgress, TaskResponse, decode_event
from ..domain.filters import Filter
from ..domain.output import OutputCutter, RunPosition, decode_text
from ..domain.tasks import RunEnd
from ..domain.values import Error
from ..log.event_log import RunRow
from ..log.vault import SecretUnreadable
from ..streams.cursor import follow
from . import direct
from .agents.openai_chat import ResponseParser, Turn
from .connection import SshFailure
from .direct import CommandRefused, open_command
from .fleet import Fleet
from .prompts import GATHER_SECONDS, PromptRun
from .recorder import open_recorder, progress_event

RETRY_SECONDS = 1.0  # between two tries to record an end while the log takes none
TURNS_MAX = 50  # earlier exchanges of a conversation that are looked up

_WATCHED = frozenset(
    (
        *("task.started", "task.cancelRequested", "task.cancelled", "task.completed", "task.failed", "task.review"),
        *("desktop.started", "desktop.updated", "desktop.link"),
    )
)
_logger = structlog.get_logger(__name__)


class Runner:
    """All runs of this server. Made by `open_runner`."""

    def __init__(self, control: Control, fleet: Fleet, group: anyio.abc.TaskGroup) -> None:
        self._control = control
        self._fleet = fleet
        self._group = group
        self._queues: defaultdict[str, dict[str, None]] = defaultdict(dict)  # desktop → tasks, oldest first
        self._running: defaultdict[str, set[str]] = defaultdict(set)  # desktop → tasks
        self._cancels: dict[str, Callable[[], None]] = {}
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
            if task is not None and task.status == "running" and task.phase == "queued":
                running.add(task_id)
                self._group.start_soon(self._run, task_id, desktop_id)

    async def recover(self) -> None:
        """Take up what the log left open: what waited goes on waiting, what ran is lost and said to be."""
        state = await self._control.journal.ready()
        running = [task for task in state.open_tasks() if task.status == "running"]
        for task in sorted(running, key=lambda task: (task.started_at or "", task.id)):
            if task.phase == "queued":
                self._queues[task.desktop_id][task.id] = None
            else:
                await self._say_lost(task)

    async def _say_lost(self, task: Task) -> None:
        message = "The server stopped while this was running, so its end is not known. "
        message += "Look on the desktop whether it still runs there; then retry."
        result: str | None = None
        if task.type == "prompt":
            result = await self._derive_rest(task)
            message = "The server stopped while the agent was answering. What came so far is kept; retry to ask again."
        await self._finish(task.id, RunEnd(error=Error(code="run_lost", message=message), result=result))

    async def _derive_rest(self, task: Task) -> str | None:
        """Progress that the stored answer has but the log does not say yet; the text of the answer so far."""
        parser: ResponseParser | None = None
        silent_until = offset = 0
        answers: list[tuple[TaskResponse, list[bytes]]] = []
        async for event in self._events_of(task.id):
            match event:
                case TaskProgress(up_to=up_to):
                    silent_until = max(silent_until, up_to)
                case TaskResponse():
                    answers.append((event, []))
                case TaskOutput(stream="response") if answers:
                    text = None if event.text is msgspec.UNSET else event.text
                    base64 = None if event.base64 is msgspec.UNSET else event.base64
                    answers[-1][1].append(decode_text(text, base64))
                case _:
                    pass
        for head, pieces in answers:
            parser = ResponseParser(
                status=head.status, content_type=head.content_type, start=offset, silent_until=silent_until
            )
            missing = [item for piece in pieces for item in parser.feed(piece)]
            offset += sum(map(len, pieces))
            missing += parser.finish("the server stopped")
            row = await self._run_row(task.id)
            if missing and row:
                await self._control.tasks.record(task, [progress_event(task.id, item) for item in missing], row)
        return parser.outcome.result if parser and parser.outcome else None

    async def _run_row(self, task_id: str) -> RunRow | None:
        async with self._control.log.snapshot() as snapshot:
            row = await snapshot.row("select doc from runs where task_id = ?", (task_id,))
        return RunRow(task_id, msgspec.json.decode(row[0], type=RunPosition)) if row else None

    async def _events_of(self, task_id: str) -> AsyncGenerator[object]:
        cursor, head = 0, self._control.log.head
        wanted = Filter(task_id=task_id)
        while cursor < head:
            page = await self._control.log.read_after(cursor, wanted)
            cursor = page.cursor
            for event in page.events:
                if event.body is not None:
                    yield decode_event(event.type, event.body)

    async def _run(self, task_id: str, desktop_id: str) -> None:
        """One task from its place on the desktop to its end."""
        try:
            task = await self._until_taken(lambda: self._control.tasks.enter_phase(task_id, "starting"))
            if task.status == "running":  # else it was cancelled while it waited
                await self._finish(task_id, await self._to_its_end(task))
        finally:
            self._cancels.pop(task_id, None)
            self._running[desktop_id].discard(task_id)
        self._fill(desktop_id)  # not when the server stops: what waits is taken up at its next start

    async def _to_its_end(self, task: Task) -> RunEnd:
        try:
            return await (self._command(task) if task.type == "command" else self._prompt(task))
        except Exception as error:  # a bug of ours must not leave a task running for ever, nor stop other runs
            _logger.exception("run failed", task=task.id)
            return RunEnd(error=Error(code="internal_error", message=f"Mission Control failed: {error!r}."))

    async def _command(self, task: Task) -> RunEnd:
        try:
            connection = await self._fleet.connection(task.desktop_id)
            timeout_s = None if task.timeout_seconds is None else float(task.timeout_seconds)
            async with (
                open_command(
                    connection,
                    task.content,
                    task_id=task.id,
                    env=task.env,
                    cwd=task.cwd,
                    tty=task.tty,
                    timeout_s=timeout_s,
                ) as run,
                open_recorder(self._control.tasks, task, RunPosition()) as recorder,
            ):
                await self._streaming(task.id, run.cancel)
                cutter = OutputCutter()
                async with aclosing(run.pieces(cutter)) as arriving:
                    async for pieces in arriving:
                        await recorder.add(pieces, position=cutter.position)
                await recorder.drained()
                return end_of_command(run.end, task.timeout_seconds)
        except CommandRefused as refused:
            return RunEnd(error=Error(code=refused.code, message=refused.message))
        except SshFailure as failure:
            message = f"{failure.message} The command may have been started."
            return RunEnd(error=Error(code="connection_lost", message=message))

    async def _prompt(self, task: Task) -> RunEnd:
        desktop = self._control.journal.desktop(task.desktop_id)
        if desktop.agent is None:
            message = f"Desktop {desktop.name} has no agent endpoint any more."
            return RunEnd(error=Error(code="agent_not_configured", message=message))
        try:
            token = await self._control.desktops.secret(desktop.id, "agentToken") if desktop.agent.has_token else None
        except SecretUnreadable as error:
            return RunEnd(error=Error(code="secret_missing", message=f"{error}. Enter it again."))
        turns = await self._turns(task)
        async with open_recorder(self._control.tasks, task, RunPosition(), pause_s=GATHER_SECONDS) as recorder:
            run = PromptRun(task, desktop.agent, token, turns, recorder)
            await self._streaming(task.id, run.cancel)
            end = await run.run()
            await recorder.drained()
            return end

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

    async def _streaming(self, task_id: str, cancel: Callable[[], None]) -> None:
        """The desktop has begun; from now on the run can be cancelled there."""
        self._cancels[task_id] = cancel
        now = self._control.journal.now()
        task = await self._until_taken(lambda: self._control.tasks.enter_phase(task_id, "streaming", executed_at=now))
        if task.cancel_requested_at:
            cancel()

    async def _finish(self, task_id: str, end: RunEnd) -> None:
        await self._until_taken(lambda: self._control.tasks.finish(task_id, end))

    async def _until_taken(self, change: Callable[[], Awaitable[Task]]) -> Task:
        """Make a change; while the log is unavailable, try again."""
        while True:
            try:
                return await change()
            except Refused as refused:
                if refused.code != "log_unavailable":
                    raise
                _logger.warning("a run waits for the log", reason=refused.detail)
                await anyio.sleep(RETRY_SECONDS)


def end_of_command(end: direct.RunEnd, timeout_seconds: int | None) -> RunEnd:
    """What the end of a command means for its task: why it did not succeed, in a sentence."""
    error: Error | None = None
    may_run = " The host gave no exit: it may still be running there." if end.maybe_running else ""
    match end.reason:
        case "timeout":
            error = Error(code="timeout", message=f"It was stopped after its timeout of {timeout_seconds} s.{may_run}")
        case "cancelled":
            if end.maybe_running:
                error = Error(code="may_be_running", message=f"It was told to stop.{may_run}")
        case "connection_lost":
            error = Error(
                code="connection_lost",
                message="The connection to the desktop was lost. "
                "The command may have ended with it, or still run there.",
            )
        case "no_exit":
            error = Error(code="no_exit", message=f"The host closed the session without an exit code.{may_run}")
        case "exited":
            if end.signal:
                error = Error(code="killed_by_signal", message=f"The command was ended by {end.signal}.")
            elif end.exit_code != 0:
                error = Error(code="exit_nonzero", message=f"The command exited with code {end.exit_code}.")
    return RunEnd(exit_code=end.exit_code, signal=end.signal, error=error, duration_ms=end.ms)


@asynccontextmanager
async def open_runner(control: Control, fleet: Fleet) -> AsyncGenerator[Runner]:
    """Carry out tasks while the block is open; leaving it closes every run's channel."""
    async with anyio.create_task_group() as group:
        runner = Runner(control, fleet, group)
        after = control.log.head
        await runner.recover()
        group.start_soon(runner.follow_the_log, after)
        yield runner
        group.cancel_scope.cancel()
