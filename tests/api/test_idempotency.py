"""Idempotency-Key: sent twice, carried out once, answered in the same words."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import anyio
import pytest

from mission_control.api.app import TABLE
from mission_control.domain.desktops import Reached
from tests.support.server import SSH, full_disk, open_api, problem

KEY = {"idempotency-key": "5f1c"}


async def test_a_task_is_created_once_and_answered_twice_the_same(tmp_path: Path):
    async with open_api(tmp_path) as api:
        body = {"type": "command", "content": "x", "desktopId": await api.running_desktop()}
        first = await api.post("/tasks", body, headers=KEY)
        head = api.control.log.head
        again = await api.post("/tasks", body, headers=KEY)
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert again.headers["location"] == first.headers["location"]
        assert again.headers["content-type"] == first.headers["content-type"]
        assert again.headers["idempotent-replayed"] == "true"
        assert "idempotent-replayed" not in first.headers
        assert api.control.log.head == head
        assert len((await api.get("/tasks")).json()) == 1


async def test_the_answer_outlives_the_server(tmp_path: Path):
    async with open_api(tmp_path) as api:
        body = {"type": "command", "content": "x", "desktopId": await api.running_desktop()}
        first = await api.post("/tasks", body, headers=KEY)
        key = api.keys["admin"]
    async with open_api(tmp_path) as api:
        again = await api.as_(key).post("/tasks", body, headers=KEY)
        assert again.content == first.content
        assert len((await api.get("/tasks")).json()) == 1


async def test_another_body_under_the_same_key_is_422(tmp_path: Path):
    async with open_api(tmp_path) as api:
        body = {"type": "command", "content": "x", "desktopId": await api.running_desktop()}
        await api.post("/tasks", body, headers=KEY)
        answer = await api.post("/tasks", {**body, "content": "y"}, headers=KEY)
        problem(answer, 422, "idempotency_key_reused")
        assert len((await api.get("/tasks")).json()) == 1


async def test_a_key_belongs_to_its_holder_and_its_path(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop()
        body = {"type": "command", "content": "x", "desktopId": desktop}
        ids = {(await who.post("/tasks", body, headers=KEY)).json()["id"] for who in (api, api.as_("operator"))}
        assert len(ids) == 2
        for id in ids:
            assert (await api.post(f"/tasks/{id}/run", headers=KEY)).json()["id"] == id


async def test_while_the_first_is_under_way_the_second_is_409(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop()
        body = {"type": "command", "content": "x", "desktopId": desktop}
        answers: list[Any] = []

        async def post() -> None:
            answers.append(await api.post("/tasks", body, headers=KEY))

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(post)
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [201, 409, 409, 409, 409]
        for answer in answers:
            if answer.status_code == 409:
                problem(answer, 409, "idempotency_in_progress")
        assert len((await api.get("/tasks")).json()) == 1


async def test_a_request_that_failed_may_be_sent_again(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await api.task(desktop := await api.running_desktop())
        await api.post(f"/api/desktops/{desktop}/stop")
        problem(await api.post(f"/tasks/{task.id}/run", headers=KEY), 409, "desktop_not_running")
        await api.post(f"/api/desktops/{desktop}/start")
        await api.control.desktops.started(desktop, ip_address=None, reached=Reached())
        assert (await api.post(f"/tasks/{task.id}/run", headers=KEY)).json()["status"] == "running"
        replayed = await api.post(f"/tasks/{task.id}/run", headers=KEY)
        assert (replayed.status_code, replayed.json()["status"]) == (200, "running")


async def test_an_answer_is_kept_only_when_its_events_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with open_api(tmp_path) as api:
        body = {"type": "command", "content": "x", "desktopId": await api.running_desktop()}
        with full_disk(monkeypatch):
            said = problem(await api.post("/tasks", body, headers=KEY), 503, "log_unavailable")
            assert "Free some space" in said["detail"]
            problem(await api.get("/readyz"), 503, "log_unavailable")
            assert (await api.get("/tasks")).json() == []
        answer = await api.post("/tasks", body, headers=KEY)
        assert answer.status_code == 201
        assert "idempotent-replayed" not in answer.headers


async def test_every_post_that_creates_or_starts_a_task_takes_a_key():
    takes = {route.path.removeprefix("/api/mission-control") for route in TABLE if route.once}
    assert takes == {
        "/tasks",
        "/tasks/{id}/run",
        "/tasks/{id}/review",
        "/tasks/{id}/retry",
        "/batches",
        "/batches/{id}/run",
        "/batches/{id}/retry-failed",
        "/api/desktops",
    }


async def test_each_of_them_remembers_its_answer(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop()
        one = {"type": "command", "content": "x", "desktopId": desktop}
        made = (await api.post("/batches", {"tasks": [one, one]}, headers=KEY)).json()
        waiting, done = await api.in_review(desktop), await api.finished(desktop)
        posts: list[tuple[str, Any]] = [
            ("/batches", {"tasks": [one, one]}),
            (f"/batches/{made['id']}/run", None),
            (f"/batches/{made['id']}/retry-failed", None),
            (f"/tasks/{waiting.id}/review", {"decision": "reject", "retry": True}),
            (f"/tasks/{done.id}/retry", None),
            ("/api/desktops", {"name": "web", "ssh": SSH}),
        ]
        for path, body in posts:
            first = await api.post(path, body, headers=KEY)
            assert first.status_code in (200, 201), first.text
            head = api.control.log.head
            again = await api.post(path, body, headers=KEY)
            assert again.headers["idempotent-replayed"] == "true"
            assert (again.status_code, again.content) == (first.status_code, first.content)
            assert api.control.log.head == head
            assert "hunter2" not in again.text


async def test_answers_older_than_a_day_are_deleted(tmp_path: Path):
    async with open_api(tmp_path) as api:
        body = {"type": "command", "content": "x", "desktopId": await api.running_desktop()}
        first = await api.post("/tasks", body, headers=KEY)
        _age_by(tmp_path, 24 * 3600 * 1_000_000 + 1)
        again = await api.post("/tasks", body, headers=KEY)
        assert again.json()["id"] != first.json()["id"]
        await api.post("/tasks", body, headers={"idempotency-key": "other"})
        _age_by(tmp_path, 24 * 3600 * 1_000_000 + 1)
        await api.post("/tasks", body, headers={"idempotency-key": "newest"})
        async with api.control.log.snapshot() as snapshot:
            assert await snapshot.rows("select key from idempotency") == [("newest",)]


def _age_by(folder: Path, us: int) -> None:
    with sqlite3.connect(folder / "mission-control.db") as database:
        database.execute("update idempotency set at = at - ?", (us,))
    database.close()


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
async def test_a_key_that_is_none_is_422(key: str, tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = await api.task(await api.running_desktop())
        answer = await api.post(f"/tasks/{task.id}/run", headers={"idempotency-key": key})
        problem(answer, 422, "validation_failed")
