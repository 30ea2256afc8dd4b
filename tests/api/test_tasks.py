"""What one does with a task beyond the documented."""

from __future__ import annotations

from pathlib import Path

import anyio

from mission_control.domain.tasks import RunEnd
from tests.support.server import open_api, problem


async def test_a_task_can_be_created_and_run_in_one_call(tmp_path: Path):
    async with open_api(tmp_path) as api:
        body = {"type": "command", "content": "x", "desktopId": await api.running_desktop(), "run": True}
        task = (await api.post("/tasks", body)).json()
        assert (task["status"], task["phase"]) == ("running", "queued")


async def test_when_it_cannot_run_it_is_not_created_either(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop()
        await api.post(f"/api/desktops/{desktop}/stop")
        body = {"type": "command", "content": "x", "desktopId": desktop, "run": True}
        problem(await api.post("/tasks", body), 409, "desktop_not_running")
        assert (await api.get("/tasks")).json() == []


async def test_a_pending_task_is_cancelled_at_once_and_only_once(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await api.task(await api.running_desktop())
        answer = await api.post(f"/tasks/{task.id}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
        problem(await api.post(f"/tasks/{task.id}/cancel"), 409, "task_not_cancellable")


async def test_cancelling_a_running_task_asks_its_desktop(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await api.task(await api.running_desktop(), run=True)
        await api.control.tasks.enter_phase(task.id, "streaming")
        asked = (await api.post(f"/tasks/{task.id}/cancel")).json()
        assert (asked["status"], asked["cancelRequestedAt"] is None) == ("running", False)
        again = (await api.post(f"/tasks/{task.id}/cancel")).json()
        assert again["cancelRequestedAt"] == asked["cancelRequestedAt"]


async def test_cancel_can_wait_until_it_is_over(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await api.task(await api.running_desktop(), run=True)
        await api.control.tasks.enter_phase(task.id, "streaming")
        async with anyio.create_task_group() as group:

            @group.start_soon
            async def _() -> None:
                answer = await api.post(f"/tasks/{task.id}/cancel?wait=60")
                assert (answer.json()["status"], answer.json()["signal"]) == ("cancelled", "TERM")

            while not (await api.control.journal.task(task.id)).cancel_requested_at:
                await api.control.log.wait_beyond(api.control.log.head)
            await api.control.tasks.finish(task.id, RunEnd(signal="TERM"))


async def test_waiting_for_a_cancel_is_bounded(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await api.task(await api.running_desktop(), run=True)
        await api.control.tasks.enter_phase(task.id, "streaming")
        answer = await api.post(f"/tasks/{task.id}/cancel?wait=0.01")
        assert answer.json()["status"] == "running"


async def test_a_retry_is_a_new_task_with_the_same_content(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await api.finished(await api.running_desktop(), exit_code=2, labels=("ci",), env={"A": "1"})
        answer = await api.post(f"/tasks/{task.id}/retry")
        again = answer.json()
        assert answer.status_code == 201
        assert (again["status"], again["retryOf"], again["content"]) == ("pending", task.id, task.content)
        assert (again["labels"], again["env"]) == (["ci"], {"A": "1"})
        assert answer.headers["location"].endswith(again["id"])
        problem(await api.post(f"/tasks/{again['id']}/retry"), 409, "task_not_finished")


async def test_reject_and_retry_carries_the_feedback_on_in_the_same_session(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await api.in_review(await api.running_desktop(agent=True), type="prompt", content="deploy")
        body = {"decision": "reject", "feedback": "use apt", "retry": True}
        assert (await api.post(f"/tasks/{task.id}/review", body)).json()["status"] == "failed"
        (again,) = (await api.get("/tasks?status=pending")).json()
        assert (again["retryOf"], again["sessionId"]) == (task.id, task.session_id)
        assert "use apt" in again["content"]


async def test_an_answer_to_a_review_knows_the_output(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await api.in_review(await api.running_desktop())
        await api.output(task, ("stdout", b"hi\n"))
        reviewed = (await api.post(f"/tasks/{task.id}/review", {"decision": "approve"})).json()
        assert (reviewed["outputBytes"], reviewed["outputLines"]) == (3, 1)


async def test_two_reviewers_at_once_and_one_decides(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await api.in_review(await api.running_desktop())
        statuses: list[int] = []

        async def review(decision: str) -> None:
            answer = await api.post(f"/tasks/{task.id}/review", {"decision": decision})
            statuses.append(answer.status_code)

        async with anyio.create_task_group() as group:
            group.start_soon(review, "approve")
            group.start_soon(review, "reject")
        assert sorted(statuses) == [200, 409]
