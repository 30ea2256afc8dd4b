"""Days of work in a log, written through its own door while no server has it: what a page that was away has missed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from mission_control.domain import tasks
from mission_control.domain.entities import Task
from mission_control.domain.events import Event
from mission_control.domain.fold import State
from mission_control.domain.ids import make_id
from mission_control.domain.tasks import NewTask, RunEnd
from mission_control.domain.values import SYSTEM
from mission_control.log.directory import locked_directory
from mission_control.log.event_log import Batch
from mission_control.log.sqlite import open_sqlite_log

EVENTS_A_TASK = 4  # created, started, streaming, and its end
TASKS_A_BATCH = 100


async def add_history(directory: Path, desktop_id: str, tasks_count: int) -> int:
    """So many tasks that were created, run and ended, one after the other; how many events that were."""
    with locked_directory(directory):
        async with open_sqlite_log(directory) as log:
            for first in range(0, tasks_count, TASKS_A_BATCH):
                numbers = range(first, min(first + TASKS_A_BATCH, tasks_count))
                lives = [_life(desktop_id, number) for number in numbers]
                events = tuple(event for events, _ in lives for event in events)
                await log.append(Batch(events=events, actor=SYSTEM, rows=tuple(task for _, task in lives)))
    return tasks_count * EVENTS_A_TASK


def _life(desktop_id: str, number: int) -> tuple[list[Event], Task]:
    now = datetime.now(UTC)
    at = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    id = make_id("task", int(now.timestamp() * 1_000_000), number.to_bytes(8, "big"))
    state, all_events = State(), list[Event]()

    def happens(events: list[Event]) -> Task:
        for event in events:
            state.apply(event)
        all_events.extend(events)
        return state.tasks[id]

    asked = NewTask(type="command", content=f"make part-{number}", desktop_id=desktop_id)
    task = happens(tasks.create(asked, id=id, at=at, actor=SYSTEM))
    task = happens(tasks.run(task, at=at))
    task = happens(tasks.enter_phase(task, "streaming", executed_at=at))
    end = RunEnd(exit_code=0, duration_ms=1200)
    return all_events, happens(tasks.finish(task, end, at=at, approval_mode=False, approval_id=""))
