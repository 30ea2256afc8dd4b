"""The log refuses: people get 503, nothing was changed, and the memory is again what is on the disk."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from mission_control.control.door import Control, open_control
from mission_control.domain import limits, tasks
from mission_control.domain.errors import Refused
from mission_control.domain.keys import NewKey
from mission_control.domain.settings import SettingsEdit
from mission_control.domain.tasks import TaskEdit
from mission_control.domain.values import SYSTEM
from mission_control.log.event_log import Statement
from mission_control.log.verify import verify, verify_directory
from tests.log.world import ALICE, DONE, finished_task, new_task, running_desktop

from .test_decisions import outcomes


class Disk:
    """How much room there is."""

    def __init__(self) -> None:
        self.free = limits.OUTPUT_FREE_BYTES_MIN

    def __call__(self) -> int:
        return self.free


@asynccontextmanager
async def open_on(folder: Path, disk: Disk) -> AsyncGenerator[Control]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mission_control.log.writer.FREE_CHECK_US", 0)  # every look is a fresh one
        async with open_control(folder, free_bytes=disk) as control:
            yield control


async def facts(control: Control) -> Any:
    """All that memory and disk say about what exists."""
    state = await control.journal.ready()
    async with control.log.snapshot() as snapshot:
        tables = [
            await snapshot.rows(f"select * from {table}")
            for table in ("tasks", "approvals", "desktops", "keys", "settings", "sessions", "credentials", "secrets")
        ]
    return state.open_tasks(), dict(state.approvals), dict(state.desktops), dict(state.keys), state.settings, tables


async def test_when_everything_is_refused_nothing_has_changed(tmp_path: Path):
    disk = Disk()
    async with open_on(tmp_path, disk) as control:
        desktop = await running_desktop(control, agent=True)
        pending, reviewed = (
            await new_task(control, desktop),
            await finished_task(control, desktop, requires_approval=True),
        )
        running = await new_task(control, desktop, run=True)
        key, secret = await control.access.keys.create(NewKey(name="k", role="admin"), SYSTEM)
        session = await control.access.sign_in(key=secret)
        assert session is not None
        link = control.access.sessions.make_link()
        before = await facts(control)
        disk.free = 0
        commands = [
            lambda: control.tasks.run(pending.id, ALICE),
            lambda: control.tasks.cancel(pending.id, ALICE),
            lambda: control.tasks.edit(pending.id, TaskEdit(content="other"), ALICE),
            lambda: control.tasks.archive(pending.id, ALICE),
            lambda: control.tasks.review(reviewed.id, "approve", None, ALICE),
            lambda: control.tasks.finish(running.id, DONE),
            lambda: control.tasks.run_all([pending.id], ALICE),
            lambda: new_task(control, desktop),
            lambda: running_desktop(control, "Other"),
            lambda: control.desktops.stop(desktop.id, ALICE),
            lambda: control.settings.edit(SettingsEdit(task_approval_mode=True), ALICE),
            lambda: control.access.keys.create(NewKey(name="other"), SYSTEM),
            lambda: control.access.revoke_key(key.id, ALICE, by_owner=True),
            lambda: control.access.sign_in(link=link),
            lambda: control.access.sign_out(control.access.sessions.seen_by(session[1]), ALICE),
        ]
        for command in commands:
            assert await outcomes(command) == ["log_unavailable"]
            assert await facts(control) == before
        assert "done" not in await outcomes(*commands)
        assert await facts(control) == before
        disk.free = limits.OUTPUT_FREE_BYTES_MIN
        assert await control.access.sign_in(link=link), "the link was not used up"
        assert control.access.by_session(session[0])
        assert (await control.tasks.run(pending.id, ALICE)).status == "running"
        assert (await verify(control.log)).problems == ()


async def test_the_refusal_says_what_to_do_and_that_nothing_was_changed(tmp_path: Path):
    disk = Disk()
    async with open_on(tmp_path, disk) as control:
        desktop = await running_desktop(control)
        disk.free = 0
        with pytest.raises(Refused) as refused:
            await new_task(control, desktop)
        assert (refused.value.code, refused.value.refusal.status) == ("log_unavailable", 503)
        assert refused.value.detail == (
            "The event log is not available: only 0 MiB of disk are free. Free some space on the server."
            " Nothing was changed."
        )


async def test_nobody_decides_on_what_a_failed_commit_left_in_memory(tmp_path: Path):
    """A statement that fails at the commit stands for the disk: the error comes from SQLite itself."""
    async with open_control(tmp_path) as control:
        task = await new_task(control, await running_desktop(control))
        impossible = Statement("insert into meta values (null, null)", ())

        async def fail() -> None:
            state = await control.journal.ready()
            events = tasks.run(state.tasks[task.id], at=control.journal.now())
            await control.journal.commit(events, ALICE, beside=[impossible])

        codes = await outcomes(
            fail,
            lambda: control.tasks.cancel(task.id, ALICE),  # decided on a run that never was
            lambda: control.tasks.edit(task.id, TaskEdit(content="other"), ALICE),
        )
        assert codes == ["log_unavailable", "log_unavailable", "task_not_pending"]
        assert "NOT NULL" in (control.log.trouble or "")
        codes = await outcomes(*[lambda: control.tasks.run(task.id, ALICE)] * 3)
        assert codes == ["done", "task_not_pending", "task_not_pending"]
        assert control.log.trouble is None
        assert (await verify(control.log)).problems == ()


async def test_while_the_memory_is_rebuilt_everybody_waits_for_it(tmp_path: Path):
    disk = Disk()
    async with open_on(tmp_path, disk) as control:
        desktop = await running_desktop(control)
        pending = [await new_task(control, desktop) for _ in range(20)]
        for _ in range(10):
            disk.free = 0
            codes = await outcomes(*(lambda id=task.id: control.tasks.run(id, ALICE) for task in pending))
            assert set(codes) == {"log_unavailable"}
            disk.free = limits.OUTPUT_FREE_BYTES_MIN
            codes = await outcomes(
                *(lambda id=task.id: control.tasks.edit(id, TaskEdit(content="x"), ALICE) for task in pending)
            )
            assert set(codes) == {"done"}, "each of them saw a pending task"
        assert (await verify(control.log)).problems == ()


async def test_who_does_not_wait_for_the_answer_has_changed_it_all_the_same(tmp_path: Path):
    async with open_control(tmp_path) as control:
        task = await new_task(control, await running_desktop(control))
        async with anyio.create_task_group() as group:
            group.start_soon(control.tasks.run, task.id, ALICE)
            await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        assert await outcomes(lambda: control.tasks.run(task.id, ALICE)) == ["task_not_pending"]
    async with open_control(tmp_path) as control:
        assert (await control.journal.task(task.id)).status == "running"


async def test_what_is_decided_while_the_server_stops_is_durable_or_refused(tmp_path: Path):
    codes: list[str] = []
    async with open_control(tmp_path) as control, anyio.create_task_group() as group:
        desktop = await running_desktop(control)

        async def create() -> None:
            codes.extend(await outcomes(*[lambda: new_task(control, desktop)] * 10))

        for _ in range(5):
            group.start_soon(create)
        await anyio.lowlevel.checkpoint()
    async with open_control(tmp_path) as control:
        assert len((await control.journal.ready()).tasks) == codes.count("done") == 50
    assert (await verify_directory(tmp_path)).problems == ()


async def test_what_no_json_can_carry_is_a_bug_of_its_caller_and_leaves_no_trace(tmp_path: Path):
    async with open_control(tmp_path) as control:
        task = await new_task(control, await running_desktop(control))
        before = await facts(control)
        with pytest.raises(UnicodeEncodeError):
            await control.tasks.edit(task.id, TaskEdit(title="\ud800"), ALICE)
        assert await facts(control) == before
