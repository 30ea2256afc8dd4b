"""Batches: several tasks, made all or none, and driven together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mission_control.domain import limits
from tests.support.server import Api, open_api, problem


def command(desktop: str, content: str = "x", **more: Any) -> dict[str, Any]:
    return {"type": "command", "content": content, "desktopId": desktop, **more}


async def counts(api: Api, id: str) -> dict[str, int]:
    batch = (await api.get(f"/batches/{id}")).json()
    assert batch["total"] == sum(batch["counts"].values())
    return {status: count for status, count in batch["counts"].items() if count}


async def test_a_batch_is_made_of_tasks_in_one_append(tmp_path: Path):
    async with open_api(tmp_path) as api:
        here, there = await api.running_desktop("a"), await api.running_desktop("b")
        answer = await api.post("/batches", {"tasks": [command(here, "one"), command(there, "two")]})
        batch = answer.json()
        assert answer.status_code == 201
        assert answer.headers["location"] == f"/api/mission-control/batches/{batch['id']}"
        assert [(task["content"], task["desktopId"]) for task in batch["tasks"]] == [("one", here), ("two", there)]
        assert {task["batchId"] for task in batch["tasks"]} == {batch["id"]}
        listed = (await api.get(f"/tasks?batchId={batch['id']}")).json()
        assert [task["id"] for task in listed] == [task["id"] for task in reversed(batch["tasks"])]
        assert await counts(api, batch["id"]) == {"pending": 2}
        (seen,) = (await api.get("/batches")).json()
        assert (seen["content"], seen["title"], seen["type"]) == ("one", None, "command")
        assert seen["createdAt"] == batch["tasks"][0]["createdAt"]
        assert seen["createdBy"]["id"] == (await api.get("/api/auth/me")).json()["id"]
        desktops = (await api.get(f"/batches/{batch['id']}")).json()["desktops"]
        assert {each["desktopId"]: each["counts"]["pending"] for each in desktops} == {here: 1, there: 1}


async def test_one_task_goes_to_several_desktops_and_runs_at_once(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktops = [await api.running_desktop(name) for name in "abc"]
        body = {"task": {"type": "command", "content": "uptime"}, "desktopIds": desktops, "run": True}
        batch = (await api.post("/batches", body)).json()
        assert [task["desktopId"] for task in batch["tasks"]] == desktops
        assert {task["status"] for task in batch["tasks"]} == {"running"}


async def test_one_wrong_task_and_none_is_made(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop()
        body = {"tasks": [command(desktop), command(desktop, ""), command("desk_0")]}
        said = problem(await api.post("/batches", body), 422, "validation_failed")
        assert [error["pointer"] for error in said["errors"]] == ["/tasks/1/content", "/tasks/2/desktopId"]
        body = {"task": {"type": "command", "content": " "}, "desktopIds": [desktop, "desk_0"]}
        said = problem(await api.post("/batches", body), 422, "validation_failed")
        assert [error["pointer"] for error in said["errors"]] == ["/task/content", "/desktopIds/1"]
        typed = {"tasks": [command(desktop), {**command(desktop), "content": 3}]}
        said = problem(await api.post("/batches", typed), 422, "validation_failed")
        assert said["errors"][0]["pointer"] == "/tasks/1/content"
        stopped = await api.running_desktop("b")
        await api.post(f"/api/desktops/{stopped}/stop")
        body = {"tasks": [command(desktop), command(stopped)], "run": True}
        problem(await api.post("/batches", body), 409, "desktop_not_running")
        assert (await api.get("/tasks")).json() == []
        assert (await api.get("/batches")).json() == []


async def test_a_batch_has_one_shape_and_a_bounded_size(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop()
        task = {"type": "command", "content": "x"}
        wrong: list[tuple[dict[str, Any], str]] = [
            ({}, "/tasks"),
            ({"tasks": []}, "/tasks"),
            ({"task": task}, "/tasks"),
            ({"tasks": [command(desktop)], "desktopIds": [desktop]}, "/tasks"),
            ({"task": task, "desktopIds": []}, "/desktopIds"),
            ({"task": task, "desktopIds": [desktop, desktop]}, "/desktopIds"),
            ({"task": command(desktop), "desktopIds": [desktop]}, "/task/desktopId"),
            ({"tasks": [command(desktop)] * (limits.BATCH_TASKS_MAX + 1)}, "/tasks"),
        ]
        for body, pointer in wrong:
            said = problem(await api.post("/batches", body), 422, "validation_failed")
            assert said["errors"][0]["pointer"] == pointer, body


async def test_the_largest_batch_is_made_run_and_cancelled(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop()
        body = {"tasks": [command(desktop)] * limits.BATCH_TASKS_MAX}
        batch = (await api.post("/batches", body)).json()
        ran = (await api.post(f"/batches/{batch['id']}/run")).json()
        assert ran == {"applied": [task["id"] for task in batch["tasks"]], "skipped": []}
        await api.post(f"/batches/{batch['id']}/cancel")
        assert await counts(api, batch["id"]) == {"cancelled": limits.BATCH_TASKS_MAX}


async def test_run_cancel_and_retry_apply_where_they_can_and_name_the_rest(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop()
        stopped = await api.running_desktop("b")
        body = {"tasks": [command(desktop), command(stopped), command(desktop)]}
        batch = (await api.post("/batches", body)).json()
        one, two, three = [task["id"] for task in batch["tasks"]]
        path = f"/batches/{batch['id']}"
        await api.post(f"/api/desktops/{stopped}/stop")
        await api.post(f"/tasks/{three}/cancel")
        assert (await api.post(f"{path}/run")).json() == {
            "applied": [one],
            "skipped": [
                {"taskId": two, "code": "desktop_not_running"},
                {"taskId": three, "code": "task_not_pending"},
            ],
        }
        cancelled = (await api.post(f"{path}/cancel")).json()
        assert cancelled["applied"] == [one, two]
        assert cancelled["skipped"] == [{"taskId": three, "code": "task_not_cancellable"}]
        retried = (await api.post(f"{path}/retry-failed")).json()
        assert retried["applied"] == [one, two, three]
        assert await counts(api, batch["id"]) == {"cancelled": 3, "pending": 3}
        again = (await api.get(f"/tasks?batchId={batch['id']}&status=pending")).json()
        assert [task["retryOf"] for task in again] == [three, two, one]


async def test_batches_are_listed_newest_first_page_by_page(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop()
        ids = [(await api.post("/batches", {"tasks": [command(desktop)]})).json()["id"] for _ in range(5)][::-1]
        answer = await api.get("/batches?limit=2")
        assert [batch["id"] for batch in answer.json()] == ids[:2]
        assert answer.headers["mission-control-total"] == "5"
        rest = await api.get(answer.headers["link"][1:].partition(">")[0])
        assert [batch["id"] for batch in rest.json()] == ids[2:4]
        last = await api.get(f"/batches?limit=2&before={ids[3]}")
        assert [batch["id"] for batch in last.json()] == ids[4:]
        assert "link" not in last.headers
