"""Named secrets over HTTP: values go in and never come out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import Api, full_disk, open_api, problem

VALUE = "correct horse battery staple"
TOKEN = {"name": "NPM_TOKEN", "value": VALUE}


async def stored(api: Api) -> bytes:
    async with api.control.log.snapshot() as snapshot:
        rows = await snapshot.rows("select body from events union all select doc from named_secrets")
    return b"".join(row[0] for row in rows)


async def test_a_secret_is_listed_with_who_made_it_and_no_part_of_its_value_comes_back(tmp_path: Path):
    async with open_api(tmp_path) as api:
        made = await api.post("/secrets", TOKEN)
        assert (made.status_code, made.headers["location"]) == (201, "/api/mission-control/secrets/NPM_TOKEN")
        changed = await api.patch("/secrets/NPM_TOKEN", {"value": VALUE * 2})
        assert changed.json()["createdAt"] == made.json()["createdAt"] < changed.json()["updatedAt"]
        listed = await api.get("/secrets")
        assert listed.json() == [changed.json()]
        assert set(listed.json()[0]) == {"name", "createdAt", "createdBy", "updatedAt", "updatedBy"}
        assert listed.headers["mission-control-total"] == "1"
        assert (await api.delete("/secrets/NPM_TOKEN")).status_code == 204
        assert (await api.get("/secrets")).json() == []
        events = (await api.get("/activity?types=secret.*")).json()
        assert [event["type"] for event in events] == ["secret.removed", "secret.updated", "secret.created"]
        answers = [made.text, changed.text, listed.text, json.dumps(events)]
        assert not any(word in text for word in VALUE.split() for text in answers)
        kept = await stored(api)
        assert not any(word.encode() in kept for word in VALUE.split())


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "npm", "value": VALUE}, "/name"),
        ({"name": "1ST", "value": VALUE}, "/name"),
        ({"name": "A\n", "value": VALUE}, "/name"),
        ({"name": "A" * 101, "value": VALUE}, "/name"),
        ({"name": "A", "value": ""}, "/value"),
        ({"name": "A", "value": "12345"}, "/value"),
        ({"name": "A", "value": " 12345\n"}, "/value"),
        ({"name": "A", "value": "123456\0"}, "/value"),
        ({"name": "A", "value": "x" * 32 * 1024 + "x"}, "/value"),
        ({"name": "A"}, "/value"),
    ],
)
async def test_what_is_no_secret_is_refused_by_its_field_without_repeating_it(
    tmp_path: Path, body: dict[str, str], pointer: str
):
    async with open_api(tmp_path) as api:
        said = problem(await api.post("/secrets", body), 422, "validation_failed")
        assert said["errors"][0]["pointer"] == pointer
        assert "12345" not in json.dumps(said)
        assert (await api.get("/secrets")).json() == []


async def test_a_name_that_is_taken_and_one_that_is_not_there_are_said(tmp_path: Path):
    async with open_api(tmp_path) as api:
        await api.post("/secrets", TOKEN)
        problem(await api.post("/secrets", {"name": "NPM_TOKEN", "value": "another value"}), 409, "secret_exists")
        problem(await api.patch("/secrets/OTHER", {"value": VALUE}), 404, "not_found")
        problem(await api.delete("/secrets/OTHER"), 404, "not_found")


async def test_operators_see_names_to_choose_from_and_only_admins_change_them(tmp_path: Path):
    async with open_api(tmp_path) as api:
        await api.post("/secrets", TOKEN)
        operator, viewer = api.as_("operator"), api.as_("viewer")
        assert [secret["name"] for secret in (await operator.get("/secrets")).json()] == ["NPM_TOKEN"]
        problem(await viewer.get("/secrets"), 403, "forbidden")
        problem(await operator.post("/secrets", {"name": "A", "value": VALUE}), 403, "forbidden")
        problem(await operator.patch("/secrets/NPM_TOKEN", {"value": VALUE}), 403, "forbidden")
        problem(await operator.delete("/secrets/NPM_TOKEN"), 403, "forbidden")


async def test_a_task_may_name_secrets_that_exist_and_keeps_only_their_names(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop()
        await api.post("/secrets", TOKEN)
        new = {"type": "command", "content": "npm publish", "desktopId": desktop, "secrets": ["NPM_TOKEN"]}
        task = (await api.post("/tasks", new)).json()
        assert (task["secrets"], task["maskedCount"]) == (["NPM_TOKEN"], 0)
        edited = await api.patch(f"/tasks/{task['id']}", {"secrets": []})
        assert edited.json()["secrets"] == []
        said = problem(await api.patch(f"/tasks/{task['id']}", {"secrets": ["NO"]}), 422, "validation_failed")
        assert said["errors"][0]["pointer"] == "/secrets/0"
        batch = {"tasks": [new, {**new, "secrets": ["NPM_TOKEN", "OTHER"]}]}
        said = problem(await api.post("/batches", batch), 422, "validation_failed")
        assert said["errors"][0]["pointer"] == "/tasks/1/secrets/1"


@pytest.mark.parametrize(
    "given",
    [
        {"secrets": ["NPM_TOKEN", "NPM_TOKEN"]},
        {"secrets": ["NPM_TOKEN"], "env": {"NPM_TOKEN": "1"}},
        {"secrets": ["NPM_TOKEN"], "type": "prompt"},
        {"secrets": ["NPM_TOKEN"] + [f"A{n}" for n in range(20)]},
    ],
)
async def test_a_task_names_a_secret_once_and_only_as_a_command(tmp_path: Path, given: dict[str, Any]):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop()
        await api.post("/secrets", TOKEN)
        new = {"type": "command", "content": "true", "desktopId": desktop} | given
        said = problem(await api.post("/tasks", new), 422, "validation_failed")
        assert said["errors"][0]["pointer"] == "/secrets"


async def test_when_the_disk_refuses_a_change_the_old_value_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with open_api(tmp_path) as api:
        await api.post("/secrets", TOKEN)
        with full_disk(monkeypatch):
            problem(await api.patch("/secrets/NPM_TOKEN", {"value": "another value"}), 503, "log_unavailable")
            problem(await api.delete("/secrets/NPM_TOKEN"), 503, "log_unavailable")
        task = await api.task(await api.running_desktop(), "true", secrets=("NPM_TOKEN",))
        assert api.control.secrets.given_to(task) == {"NPM_TOKEN": VALUE}
