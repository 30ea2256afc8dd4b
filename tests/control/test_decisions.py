"""Decisions that touch several things, or come at the same time: one of them wins, and the log says which."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import msgspec
import pytest

from mission_control.control.door import Control, open_control
from mission_control.control.journal import FINISHED_KEPT
from mission_control.domain import limits
from mission_control.domain.desktops import DesktopEdit, NewAgent
from mission_control.domain.entities import Task
from mission_control.domain.errors import Refused
from mission_control.domain.filters import Filter
from mission_control.domain.keys import NewKey
from mission_control.domain.settings import SettingsEdit
from mission_control.domain.tasks import NewTask, TaskEdit
from mission_control.domain.values import SYSTEM
from mission_control.log.vault import SecretUnreadable
from mission_control.log.verify import verify_directory
from tests.log.contract import everything
from tests.log.world import ALICE, DONE, FAILED, finished_task, new_task, running_desktop


async def outcomes(*commands: Callable[[], Awaitable[object]]) -> list[str]:
    """Give commands at the same moment; the code of each refusal, or `done`."""
    found = [""] * len(commands)

    async def attempt(at: int, command: Callable[[], Awaitable[object]]) -> None:
        try:
            await command()
            found[at] = "done"
        except Refused as refused:
            found[at] = refused.code

    async with anyio.create_task_group() as group:
        for at, command in enumerate(commands):
            group.start_soon(attempt, at, command)
    return found


async def history_of(control: Control, task: Task) -> list[str]:
    return [event.type for event in await everything(control.log, Filter(task_id=task.id))]


async def test_of_two_reviewers_at_once_one_decides_and_the_other_is_told(tmp_path: Path):
    async with open_control(tmp_path) as control:
        task = await finished_task(control, await running_desktop(control), requires_approval=True)
        codes = await outcomes(
            lambda: control.tasks.review(task.id, "approve", None, ALICE),
            lambda: control.tasks.review(task.id, "reject", "no", ALICE),
        )
        assert codes == ["done", "task_not_in_review"]
        assert (await control.journal.task(task.id)).status == "done"
        assert (await history_of(control, task))[-2:] == ["approval.resolved", "task.completed"]


async def test_a_desktop_is_either_removed_or_runs_the_task_never_both(tmp_path: Path):
    async with open_control(tmp_path) as control:
        desktop = await running_desktop(control)
        task = await new_task(control, desktop)
        codes = await outcomes(
            lambda: control.desktops.remove(desktop.id, ALICE), lambda: control.tasks.run(task.id, ALICE)
        )
        assert codes == ["done", "task_not_pending"]
        desktop = await running_desktop(control)
        task = await new_task(control, desktop)
        codes = await outcomes(
            lambda: control.tasks.run(task.id, ALICE), lambda: control.desktops.remove(desktop.id, ALICE)
        )
        assert codes == ["done", "desktop_has_running_tasks"]


async def test_of_the_last_two_admin_keys_only_one_can_be_revoked(tmp_path: Path):
    async with open_control(tmp_path) as control:
        made = [await control.access.keys.create(NewKey(name=name, role="admin"), SYSTEM) for name in ("a", "b")]
        codes = await outcomes(
            *(lambda id=key.id: control.access.revoke_key(id, ALICE, by_owner=False) for key, _ in made)
        )
        assert codes == ["done", "last_admin_key"]
        assert control.access.by_key(made[0][1]) is None
        assert control.access.by_key(made[1][1]) is not None


async def test_a_task_that_is_run_twice_at_once_runs_once(tmp_path: Path):
    async with open_control(tmp_path) as control:
        task = await new_task(control, await running_desktop(control))
        assert await outcomes(*[lambda: control.tasks.run(task.id, ALICE)] * 3) == ["done", *["task_not_pending"] * 2]
        assert await history_of(control, task) == ["task.created", "task.started"]


async def test_a_task_named_twice_in_one_request_runs_once(tmp_path: Path):
    async with open_control(tmp_path) as control:
        task = await new_task(control, await running_desktop(control))
        applied = await control.tasks.run_all([task.id, task.id], ALICE)
        assert (applied.applied, applied.skipped) == ([task.id], [])
        assert await history_of(control, task) == ["task.created", "task.started"]


async def test_who_cancels_again_is_answered_only_when_the_first_cancel_is_durable(tmp_path: Path):
    async with open_control(tmp_path) as control:
        task = await new_task(control, await running_desktop(control), run=True)
        await control.tasks.enter_phase(task.id, "starting")
        before = control.log.head

        async def again() -> None:
            cancelled = await control.tasks.cancel(task.id, ALICE)
            assert cancelled.cancel_requested_at
            assert control.log.head == before + 1

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(again)


async def test_whether_approval_is_needed_is_decided_when_the_run_ends(tmp_path: Path):
    async with open_control(tmp_path) as control:
        desktop = await running_desktop(control)
        tasks = [await new_task(control, desktop, run=True) for _ in range(2)]
        for task in tasks:
            await control.tasks.enter_phase(task.id, "starting")
        await control.settings.edit(SettingsEdit(task_approval_mode=True), ALICE)
        assert (await control.tasks.finish(tasks[0].id, DONE)).status == "review"
        await control.settings.edit(SettingsEdit(task_approval_mode=False), ALICE)
        assert (await control.tasks.finish(tasks[1].id, DONE)).status == "done"
        assert (await control.journal.task(tasks[0].id)).status == "review", "what waits goes on waiting"


async def test_a_batch_is_created_whole_or_not_at_all(tmp_path: Path):
    async with open_control(tmp_path) as control:
        desktop, before = await running_desktop(control), control.log.head
        good = NewTask(type="command", content="true", desktop_id=desktop.id)
        bad = msgspec.structs.replace(good, content=" ")
        nowhere = msgspec.structs.replace(good, desktop_id="desk_none")
        with pytest.raises(Refused) as refused:
            await control.tasks.create([good, bad, nowhere], ALICE, batch=True)
        pointers = [error.pointer for error in refused.value.errors]
        assert pointers == ["/tasks/1/content", "/tasks/2/desktopId"]
        assert control.log.head == before
        made = await control.tasks.create([good] * limits.BATCH_TASKS_MAX, ALICE, batch=True)
        assert len({task.batch_id for task in made}) == 1
        assert [task.id for task in made] == sorted({task.id for task in made}), "they list in the order given"


async def test_a_batch_that_cannot_all_be_run_creates_nothing(tmp_path: Path):
    async with open_control(tmp_path) as control:
        desktop = await running_desktop(control)
        stopped = await running_desktop(control, "Other")
        await control.desktops.stop(stopped.id, ALICE)
        before = control.log.head
        new = [NewTask(type="command", content="true", desktop_id=id, run=True) for id in (desktop.id, stopped.id)]
        assert await outcomes(lambda: control.tasks.create(new, ALICE, batch=True)) == ["desktop_not_running"]
        assert control.log.head == before


async def test_a_full_queue_of_one_desktop_does_not_hold_up_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "WAITING_TASKS_MAX", 3)
    async with open_control(tmp_path) as control:
        desktops = [await running_desktop(control, name) for name in ("A", "B")]
        tasks = [await new_task(control, desktop) for desktop in desktops for _ in range(4)]
        applied = await control.tasks.run_all([task.id for task in tasks], ALICE)
        assert applied.applied == [task.id for task in (*tasks[:3], *tasks[4:7])]
        assert [skip["code"] for skip in applied.skipped] == ["desktop_queue_full"] * 2


async def test_several_are_run_and_what_cannot_be_is_told_one_by_one(tmp_path: Path):
    async with open_control(tmp_path) as control:
        desktop = await running_desktop(control)
        done, pending = await finished_task(control, desktop), await new_task(control, desktop)
        prompt = await new_task(control, desktop, type="prompt")
        applied = await control.tasks.run_all([done.id, pending.id, prompt.id], ALICE)
        assert applied.applied == [pending.id]
        assert {skip["taskId"]: skip["code"] for skip in applied.skipped} == {
            done.id: "task_not_pending",
            prompt.id: "agent_not_configured",
        }
        assert await outcomes(lambda: control.tasks.run_all([pending.id, "task_none"], ALICE)) == ["not_found"]


async def test_only_what_failed_is_retried(tmp_path: Path):
    async with open_control(tmp_path) as control:
        desktop = await running_desktop(control)
        new = NewTask(type="command", content="true", desktop_id=desktop.id, run=True)
        made = await control.tasks.create([new] * 3, ALICE, batch=True)
        for task, end in zip(made, (DONE, FAILED, FAILED), strict=True):
            await control.tasks.enter_phase(task.id, "starting")
            await control.tasks.finish(task.id, end)
        applied = await control.tasks.retry_failed([task.id for task in made], ALICE)
        assert applied.applied == [made[1].id, made[2].id]
        again = (await control.journal.ready()).open_tasks()
        assert [task.retry_of for task in again] == [made[1].id, made[2].id]
        assert {task.batch_id for task in again} == {made[0].batch_id}
        # Another time, only the retry that failed, too: each desktop is asked once.
        await control.tasks.run(again[0].id, ALICE)
        await control.tasks.enter_phase(again[0].id, "starting")
        await control.tasks.finish(again[0].id, FAILED)
        applied = await control.tasks.retry_failed([task.id for task in (*made, *again)], ALICE)
        assert applied.applied == [again[0].id]


async def test_a_rejected_prompt_continues_in_its_session_with_what_was_said(tmp_path: Path):
    async with open_control(tmp_path) as control:
        desktop = await running_desktop(control, agent=True)
        task = await finished_task(control, desktop, type="prompt", content="Write.", requires_approval=True)
        rejected = await control.tasks.review(task.id, "reject", "Shorter.", ALICE, retry=True)
        (follow,) = (await control.journal.ready()).open_tasks()
        assert (rejected.status, rejected.feedback) == ("failed", "Shorter.")
        assert (follow.retry_of, follow.session_id, follow.status) == (task.id, task.session_id, "pending")
        assert "Shorter." in follow.content
        later = await control.tasks.retry(task.id, ALICE)
        assert (later.content, later.session_id) == (follow.content, follow.session_id)


async def test_no_follow_up_is_made_for_a_desktop_that_is_gone(tmp_path: Path):
    async with open_control(tmp_path) as control:
        desktop = await running_desktop(control)
        failed = await finished_task(control, desktop, FAILED)
        waiting = await finished_task(control, desktop, requires_approval=True)
        await control.desktops.remove(desktop.id, ALICE)
        codes = await outcomes(
            lambda: control.tasks.retry(failed.id, ALICE),
            lambda: control.tasks.review(waiting.id, "reject", "no", ALICE, retry=True),
        )
        assert codes == ["desktop_removed"] * 2
        assert [skip["code"] for skip in (await control.tasks.retry_failed([failed.id], ALICE)).skipped] == [
            "desktop_removed"
        ]
        assert (await control.tasks.review(waiting.id, "approve", None, ALICE)).status == "done"


async def test_an_edit_of_a_version_that_is_gone_is_refused(tmp_path: Path):
    async with open_control(tmp_path) as control:
        task = await new_task(control, await running_desktop(control))
        edits = [TaskEdit(content="one"), TaskEdit(content="two")]
        codes = await outcomes(*(lambda e=edit: control.tasks.edit(task.id, e, ALICE, version=1) for edit in edits))
        assert codes == ["done", "version_mismatch"]
        assert (await control.journal.task(task.id)).content == "one"


async def test_the_state_after_a_restart_is_the_state_before(tmp_path: Path):
    async with open_control(tmp_path) as control:
        desktop = await running_desktop(control, agent=True)
        await finished_task(control, desktop, requires_approval=True)
        done = await finished_task(control, desktop)
        await new_task(control, desktop, run=True)
        await control.settings.edit(SettingsEdit(task_approval_mode=True), ALICE)
        key, secret = await control.access.keys.create(NewKey(name="k", role="operator"), SYSTEM)
        signed_in = await control.access.sign_in(key=secret)
        assert signed_in is not None
        before = await control.journal.ready()
        done = await control.journal.task(done.id)
    async with open_control(tmp_path) as control:
        after = await control.journal.ready()
        assert (after.desktops, after.approvals, after.settings) == (before.desktops, before.approvals, before.settings)
        assert after.keys == before.keys
        assert after.open_tasks() == before.open_tasks()
        assert done.id not in after.tasks, "what is over is read when it is needed"
        assert await control.journal.task(done.id) == done
        holder = control.access.by_key(secret)
        assert holder is not None
        assert holder.id == key.id
        assert control.access.by_session(signed_in[0]) == signed_in[1]
        assert await control.desktops.secret(desktop.id, "privateKey") == "secret key"


async def test_memory_holds_a_bounded_number_of_finished_tasks_and_decides_the_same_about_the_others(
    tmp_path: Path,
):
    async with open_control(tmp_path) as control:
        desktop = await running_desktop(control)
        first = await new_task(control, desktop)
        await control.tasks.cancel(first.id, ALICE)
        new = NewTask(type="command", content="true", desktop_id=desktop.id)
        for _ in range(FINISHED_KEPT // limits.BATCH_TASKS_MAX + 1):
            made = await control.tasks.create([new] * limits.BATCH_TASKS_MAX, ALICE, batch=True)
            await control.tasks.cancel_all([task.id for task in made], ALICE)
        state = await control.journal.ready()
        assert len(state.tasks) == FINISHED_KEPT
        assert first.id not in state.tasks
        codes = await outcomes(
            lambda: control.tasks.archive(first.id, ALICE),
            lambda: control.tasks.run(first.id, ALICE),
            lambda: control.tasks.archive(first.id, ALICE),
        )
        assert codes == ["done", "task_not_pending", "done"]
        assert (await history_of(control, first)).count("task.archived") == 1
    assert (await verify_directory(tmp_path)).problems == ()


# Secrets and doors.


async def test_a_removed_desktop_takes_its_secrets_along(tmp_path: Path):
    async with open_control(tmp_path) as control:
        desktop = await running_desktop(control, agent=True)
        assert await control.desktops.secret(desktop.id, "agentToken") == "secret token"
        await control.desktops.remove(desktop.id, ALICE)
        for name in ("privateKey", "passphrase", "agentToken"):
            assert await control.desktops.secret(desktop.id, name) is None


async def test_secrets_stay_out_of_the_log(tmp_path: Path):
    async with open_control(tmp_path) as control:
        await running_desktop(control, agent=True)
        _, secret = await control.access.keys.create(NewKey(name="k"), SYSTEM)
        for event in await everything(control.log):
            for word in (b"secret key", b"secret word", b"secret token", secret.encode()):
                assert word not in event.envelope()
    assert all(secret.encode() not in path.read_bytes() for path in tmp_path.iterdir())


async def test_a_secret_that_was_sealed_with_another_key_file_is_said_to_be_missing(tmp_path: Path):
    async with open_control(tmp_path) as control:
        desktop = await running_desktop(control)
    (tmp_path / "seal.key").unlink()
    async with open_control(tmp_path) as control:
        with pytest.raises(SecretUnreadable, match="sealed with another key"):
            await control.desktops.secret(desktop.id, "privateKey")


async def test_an_edited_agent_without_a_token_keeps_the_one_it_has_and_a_new_one_replaces_it(tmp_path: Path):
    async with open_control(tmp_path) as control:
        desktop = await running_desktop(control, agent=True)
        same = NewAgent(kind="openai", url="http://127.0.0.1:1/v1", model="m")
        await control.desktops.edit(desktop.id, DesktopEdit(agent=same), ALICE)
        assert await control.desktops.secret(desktop.id, "agentToken") == "secret token"
        fresh = msgspec.structs.replace(same, token="fresh")
        edited = await control.desktops.edit(desktop.id, DesktopEdit(agent=fresh), ALICE)
        assert await control.desktops.secret(desktop.id, "agentToken") == "fresh"
        assert not edited.agent_ready, "whether the agent takes the new token is to be seen"
        await control.desktops.edit(desktop.id, DesktopEdit(agent=None), ALICE)
        assert await control.desktops.secret(desktop.id, "agentToken") is None


async def test_a_sign_in_link_opens_once(tmp_path: Path):
    async with open_control(tmp_path) as control:
        link = control.access.sessions.make_link()
        assert await control.access.sign_in(link="something else") is None
        signed_in = await control.access.sign_in(link=link)
        assert signed_in is not None
        assert signed_in[1].role == "admin"
        assert await control.access.sign_in(link=link) is None


async def test_a_session_ends_with_its_key_and_by_signing_out(tmp_path: Path):
    async with open_control(tmp_path) as control:
        key, secret = await control.access.keys.create(NewKey(name="k", role="viewer"), SYSTEM)
        sessions = [await control.access.sign_in(key=secret) for _ in range(2)]
        (one, who), (other, _) = [session for session in sessions if session]
        await control.access.sign_out(control.access.sessions.seen_by(who)[1:], ALICE)
        assert control.access.by_session(one) is None
        assert control.access.by_session(other) is not None
        await control.access.revoke_key(key.id, ALICE, by_owner=False)
        assert control.access.by_session(other) is None
        assert await control.access.sign_in(key=secret) is None
