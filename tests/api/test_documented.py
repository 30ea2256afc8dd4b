"""The documented surface: a script written from those pages works with only host, key and ids changed."""

from __future__ import annotations

from pathlib import Path

from tests.support.server import open_api, problem

DOCUMENTED = {
    "id",
    "type",
    "content",
    "status",
    "desktopId",
    "requiresApproval",
    "createdAt",
    "startedAt",
    "completedAt",
}


async def test_creating_a_task_answers_201_with_the_task_in_pending(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop(agent=True)
        answer = await api.post(
            "/api/mission-control/tasks",
            {
                "type": "prompt",
                "content": "Install PostgreSQL and create a database called myapp_prod",
                "desktopId": desktop,
                "requiresApproval": True,
            },
        )
        task = answer.json()
        assert answer.status_code == 201
        assert set(task) >= DOCUMENTED
        assert task["id"].startswith("task_")
        assert (task["type"], task["status"], task["desktopId"]) == ("prompt", "pending", desktop)
        assert task["requiresApproval"] is True
        assert task["createdAt"].endswith("Z")
        assert task["startedAt"] is None
        assert task["completedAt"] is None
        assert answer.headers["location"] == f"/api/mission-control/tasks/{task['id']}"


async def test_creating_never_starts_and_running_does(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await api.task(await api.running_desktop())
        assert (await api.get(f"/tasks/{task.id}")).json()["status"] == "pending"
        answer = await api.post(f"/tasks/{task.id}/run")
        assert answer.status_code == 200
        assert answer.json()["status"] == "running"
        assert answer.json()["startedAt"] is not None
        problem(await api.post(f"/tasks/{task.id}/run"), 409, "task_not_pending")


async def test_tasks_are_a_bare_array_newest_first_filtered_by_status_and_desktop(tmp_path: Path):
    async with open_api(tmp_path) as api:
        here, there = await api.running_desktop("a"), await api.running_desktop("b")
        first, second = await api.task(here), await api.task(there)
        done = await api.finished(here)
        tasks = (await api.get("/tasks")).json()
        assert [task["id"] for task in tasks] == [done.id, second.id, first.id]
        assert all(set(task) >= DOCUMENTED for task in tasks)
        assert [task["id"] for task in (await api.get("/tasks?status=done")).json()] == [done.id]
        of_here = (await api.get(f"/tasks?status=pending&desktopId={here}")).json()
        assert [task["id"] for task in of_here] == [first.id]


async def test_approving_makes_it_done_and_rejecting_failed_with_the_feedback(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop()
        good, bad = await api.in_review(desktop), await api.in_review(desktop)
        approvals = (await api.get("/approvals")).json()
        assert [approval["taskId"] for approval in approvals] == [bad.id, good.id]
        approved = await api.post(f"/tasks/{good.id}/review", {"decision": "approve"})
        rejected = await api.post(f"/tasks/{bad.id}/review", {"decision": "reject", "feedback": "use apt"})
        assert (approved.status_code, approved.json()["status"]) == (200, "done")
        assert (rejected.json()["status"], rejected.json()["feedback"]) == ("failed", "use apt")
        assert (await api.get("/approvals")).json() == []
        resolved = (await api.get("/approvals?status=all")).json()
        assert [approval["status"] for approval in resolved] == ["rejected", "approved"]
        assert resolved[0]["resolvedBy"]["name"] == "the admin"


async def test_second_reviewer_gets_409_and_the_first_decision_stands(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await api.in_review(await api.running_desktop())
        await api.post(f"/tasks/{task.id}/review", {"decision": "approve"})
        problem(await api.post(f"/tasks/{task.id}/review", {"decision": "reject"}), 409, "task_not_in_review")
        assert (await api.get(f"/tasks/{task.id}")).json()["status"] == "done"


async def test_task_approval_mode_sends_every_finished_task_to_review(tmp_path: Path):
    async with open_api(tmp_path) as api:
        assert (await api.get("/settings")).json() == {"taskApprovalMode": False}
        assert (await api.patch("/settings", {"taskApprovalMode": True})).json() == {"taskApprovalMode": True}
        assert (await api.get("/settings")).json() == {"taskApprovalMode": True}
        task = await api.finished(await api.running_desktop(), requires_approval=False)
        assert task.status == "review"


async def test_a_prompt_needs_an_agent_that_is_ready_and_every_task_a_running_desktop(tmp_path: Path):
    async with open_api(tmp_path) as api:
        without, desktop = await api.running_desktop("a"), await api.running_desktop("b", agent=True)
        await api.control.desktops.agent_ready(desktop, False)
        prompt, other = await api.task(desktop, type="prompt"), await api.task(without, type="prompt")
        problem(await api.post(f"/tasks/{prompt.id}/run"), 409, "agent_not_ready")
        problem(await api.post(f"/tasks/{other.id}/run"), 409, "agent_not_configured")
        command = await api.task(desktop)
        await api.post(f"/api/desktops/{desktop}/stop")
        problem(await api.post(f"/tasks/{command.id}/run"), 409, "desktop_not_running")
        assert (await api.get(f"/tasks/{command.id}")).json()["status"] == "pending"


async def test_keys_are_shown_once_listed_masked_and_refused_when_revoked(tmp_path: Path):
    async with open_api(tmp_path) as api:
        made = (await api.post("/api/auth/api-keys", {"name": "ci"})).json()
        assert made["key"].startswith("mc_k_")
        listed = (await api.get("/api/auth/api-keys")).json()
        (shown,) = [key for key in listed if key["id"] == made["id"]]
        assert (shown["name"], shown["last4"], shown["role"]) == ("ci", made["key"][-4:], "operator")
        assert shown["createdAt"] == made["createdAt"]
        assert made["key"] not in str(listed)
        ci = api.as_(made["key"])
        assert (await ci.get("/tasks")).status_code == 200
        assert (await api.delete(f"/api/auth/api-keys/{made['id']}")).status_code == 204
        problem(await ci.get("/tasks"), 401, "unauthorized")


async def test_desktops_are_made_read_changed_stopped_started_restarted_and_removed(tmp_path: Path):
    async with open_api(tmp_path) as api:
        body = {"name": "web", "ssh": {"host": "10.0.0.7", "auth": {"kind": "agent"}}}
        made = await api.post("/api/desktops/", body)
        desktop = made.json()
        assert made.status_code == 201
        assert set(desktop) >= {"id", "name", "status", "tier", "ipAddress", "createdAt", "keepAlive"}
        assert (desktop["status"], desktop["tier"], desktop["keepAlive"]) == ("pending", None, False)
        path = f"/api/desktops/{desktop['id']}"
        assert [each["id"] for each in (await api.get("/api/desktops/")).json()] == [desktop["id"]]
        assert (await api.patch(path, {"name": "web-1"})).json()["name"] == "web-1"
        assert (await api.get(path)).json()["name"] == "web-1"
        for verb, status in (("stop", "stopped"), ("start", "pending"), ("restart", "pending")):
            answer = await api.post(f"{path}/{verb}")
            assert (answer.status_code, answer.json()["status"]) == (200, status)
        assert (await api.delete(path)).status_code == 204
        assert (await api.get("/api/desktops")).json() == []
        assert (await api.get(path)).json()["removedAt"] is not None
