"""How often one may ask, and how often one may guess."""

from __future__ import annotations

from pathlib import Path

import pytest

from mission_control.domain import limits
from tests.api.test_access import upgrade
from tests.api.test_permissions import begin
from tests.api.test_sse import reading
from tests.support.server import PREFIX, open_api, problem


async def test_a_key_has_so_many_requests_a_minute_and_is_told_when_to_come_back(tmp_path: Path):
    async with open_api(tmp_path, requests_per_minute=3) as api:
        left = [(await api.get("/settings")).headers["ratelimit"] for _ in range(3)]
        assert left == ['"default";r=2;t=20', '"default";r=1;t=40', '"default";r=0;t=60']
        refused = await api.get("/settings")
        problem(refused, 429, "rate_limited")
        assert refused.headers["retry-after"] == "20"
        assert refused.headers["ratelimit-policy"] == '"default";q=3;w=60'
        assert (await api.as_("viewer").get("/settings")).status_code == 200
        api.tick(20)
        assert (await api.get("/settings")).status_code == 200


async def test_zero_is_no_limit(tmp_path: Path):
    async with open_api(tmp_path, requests_per_minute=0) as api:
        answers = [await api.get("/settings") for _ in range(20)]
        assert {answer.status_code for answer in answers} == {200}
        assert "ratelimit" not in answers[0].headers


async def test_a_key_holds_so_many_streams_at_once_and_others_still_open_theirs(tmp_path: Path):
    path = f"{PREFIX}/activity/stream"
    async with open_api(tmp_path, streams_per_key=2) as api:
        async with reading(api, path) as one, reading(api, path) as two:
            await one.until(lambda: "connected" in one.text)
            await two.until(lambda: "connected" in two.text)
            viewer = {"x-api-key": api.keys["viewer"]}
            for refused in (
                await begin(api.app, path, viewer),
                await upgrade(api.app, f"{PREFIX}/activity/ws", viewer),
            ):
                problem(refused, 429, "too_many_streams")
                assert refused.headers["retry-after"] == "5"
            assert (await begin(api.app, path, {"x-api-key": api.keys["operator"]})).status_code == 200
            assert (await api.as_("viewer").get("/tasks")).status_code == 200
        assert (await begin(api.app, path, viewer)).status_code == 200


async def test_wrong_keys_from_one_address_are_limited_and_right_ones_still_open(tmp_path: Path):
    async with open_api(tmp_path) as api:
        wrong, nobody = api.as_("mc_k_wrong"), api.as_("nobody")
        for _ in range(5):
            problem(await wrong.get("/tasks"), 401, "unauthorized")
            problem(await nobody.post("/api/auth/session", {"key": "mc_k_wrong"}), 401, "unauthorized")
        for answer in (await wrong.get("/tasks"), await nobody.post("/api/auth/session", {"link": "wrong"})):
            problem(answer, 429, "rate_limited")
            assert int(answer.headers["retry-after"]) > 0
        assert (await api.get("/tasks")).status_code == 200
        problem(await nobody.get("/tasks"), 401, "unauthorized")
        api.tick(60)
        problem(await wrong.get("/tasks"), 401, "unauthorized")


async def test_a_desktop_has_so_many_waiting_tasks_and_says_when_to_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "WAITING_TASKS_MAX", 1)
    async with open_api(tmp_path) as api:
        new = {"type": "command", "content": "true", "desktopId": await api.running_desktop(), "run": True}
        assert (await api.post("/tasks", new)).status_code == 201
        refused = await api.post("/tasks", new)
        assert "choose another desktop" in problem(refused, 429, "desktop_queue_full")["detail"]
        assert refused.headers["retry-after"] == "10"
        assert (await api.get("/tasks")).headers["mission-control-total"] == "1", "nothing was made"
