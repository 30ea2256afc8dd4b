"""Desktops over HTTP: host keys confirmed by a person, secrets that never come back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mission_control.domain.entities import HostKey
from mission_control.domain.values import Error
from mission_control.domain.watching import Metrics
from tests.support.server import FINGERPRINT, HOST_KEY, SSH, open_api, problem

WEB: dict[str, Any] = {"name": "web", "ssh": SSH}


async def test_a_new_desktop_shows_its_host_keys_and_waits_until_one_is_confirmed(tmp_path: Path):
    async with open_api(tmp_path) as api:
        made = (await api.post("/api/desktops", WEB)).json()
        assert (made["status"], made["ssh"]["offeredFingerprints"]) == ("pending", [FINGERPRINT])
        path = f"/api/desktops/{made['id']}"
        other = "SHA256:" + "b" * 43
        said = problem(await api.patch(path, {"ssh": {"hostKeyFingerprint": other}}), 422, "validation_failed")
        assert said["errors"][0]["pointer"] == "/ssh/hostKeyFingerprint"
        confirmed = (await api.patch(path, {"ssh": {"hostKeyFingerprint": FINGERPRINT}})).json()
        assert (confirmed["status"], confirmed["ssh"]["hostKeyFingerprint"]) == ("booting", FINGERPRINT)


async def test_with_the_right_fingerprint_it_boots_at_once_and_with_a_wrong_one_it_is_not_made(tmp_path: Path):
    async with open_api(tmp_path) as api:
        good = {**WEB, "ssh": {**SSH, "hostKeyFingerprint": FINGERPRINT}}
        assert (await api.post("/api/desktops", good)).json()["status"] == "booting"
        wrong = {**WEB, "ssh": {**SSH, "hostKeyFingerprint": "SHA256:" + "b" * 43}}
        said = problem(await api.post("/api/desktops", wrong), 422, "validation_failed")
        assert FINGERPRINT in said["errors"][0]["message"]
        assert len((await api.get("/api/desktops")).json()) == 1


async def test_a_host_that_cannot_be_reached_is_added_and_says_why(tmp_path: Path):
    async with open_api(tmp_path) as api:
        api.hosts.error = Error(code="connect_timeout", message="10.0.0.7 does not answer.")
        answer = await api.post("/api/desktops", WEB)
        assert answer.status_code == 201
        assert (answer.json()["status"], answer.json()["error"]["code"]) == ("pending", "connect_timeout")


async def test_a_new_address_needs_the_secret_again_and_shows_its_own_host_keys(tmp_path: Path):
    async with open_api(tmp_path) as api:
        path = f"/api/desktops/{await api.running_desktop(agent=True)}"
        said = problem(await api.patch(path, {"ssh": {"host": "10.0.0.8"}}), 422, "secret_needed")
        assert said["errors"][0]["pointer"] == "/ssh/auth"
        agent = {"kind": "openai", "url": "http://elsewhere/v1"}
        assert problem(await api.patch(path, {"agent": agent}), 422, "secret_needed")["errors"][0]["pointer"] == (
            "/agent/token"
        )
        other = HostKey(type="rsa", fingerprint="SHA256:" + "c" * 43, public_key="ssh-rsa AAAA")
        api.hosts.keys = [other]
        moved = (await api.patch(path, {"ssh": {"host": "10.0.0.8", "auth": {"kind": "agent"}}})).json()
        assert (moved["status"], moved["ssh"]["offeredFingerprints"]) == ("pending", [other.fingerprint])
        assert moved["ssh"]["hostKeyFingerprint"] is None
        assert [ssh.host for ssh in api.hosts.asked] == ["10.0.0.8"]


async def test_secrets_are_never_answered(tmp_path: Path):
    async with open_api(tmp_path) as api:
        secrets = ["hunter2", "PRIVATE-KEY-TEXT", "PASSPHRASE-TEXT", "TOKEN-TEXT"]
        key = {"kind": "key", "privateKey": secrets[1], "passphrase": secrets[2]}
        agent = {"kind": "openai", "url": "http://127.0.0.1:1", "token": secrets[3]}
        made = await api.post("/api/desktops", {**WEB, "agent": agent})
        path = f"/api/desktops/{made.json()['id']}"
        answers = [
            made,
            await api.patch(path, {"ssh": {"auth": key}}),
            await api.get(path),
            await api.get("/api/desktops"),
            await api.get("/activity?limit=1000"),
            await api.post(f"{path}/check"),
            await api.post("/api/desktops", {**WEB, "agent": {**agent, "url": "ftp://x"}}),
        ]
        told = "".join(answer.text for answer in answers)
        for secret in secrets:
            assert secret not in told
        assert made.json()["agent"]["hasToken"] is True
        assert made.json()["ssh"]["auth"] == {"kind": "password"}


async def test_stopping_lets_tasks_go_on_unless_they_are_to_be_cancelled(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop()
        running, waiting = await api.task(desktop, run=True), await api.task(desktop)
        await api.control.tasks.enter_phase(running.id, "streaming")
        path = f"/api/desktops/{desktop}/stop"
        assert (await api.post(path)).json()["status"] == "stopped"
        assert (await api.get(f"/tasks/{running.id}")).json()["cancelRequestedAt"] is None
        assert (await api.post(f"{path}?drain=false")).json()["status"] == "stopped"
        assert (await api.get(f"/tasks/{running.id}")).json()["cancelRequestedAt"] is not None
        assert (await api.get(f"/tasks/{waiting.id}")).json()["status"] == "pending"


async def test_a_desktop_with_running_tasks_is_not_removed(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop()
        running, waiting = await api.task(desktop, run=True), await api.task(desktop)
        problem(await api.delete(f"/api/desktops/{desktop}"), 409, "desktop_has_running_tasks")
        await api.post(f"/tasks/{running.id}/cancel")
        assert (await api.delete(f"/api/desktops/{desktop}")).status_code == 204
        assert (await api.get(f"/tasks/{waiting.id}")).json()["status"] == "cancelled"
        problem(await api.delete(f"/api/desktops/{desktop}"), 404, "not_found")
        problem(await api.patch(f"/api/desktops/{desktop}", {"name": "x"}), 409, "desktop_removed")
        assert [each["id"] for each in (await api.get("/api/desktops?removed=true")).json()] == [desktop]


async def test_a_check_answers_each_step_and_the_desktop(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop()
        api.metrics[desktop] = Metrics(id=desktop, cpu=0.5)
        report = (await api.post(f"/api/desktops/{desktop}/check")).json()
        assert report["ok"] is True
        assert report["steps"] == [{"name": "connect", "ok": True, "detail": "10.0.0.7 answers", "ms": 3}]
        assert (report["desktop"]["id"], report["desktop"]["metrics"]["cpu"]) == (desktop, 0.5)


async def test_the_host_key_itself_is_public(tmp_path: Path):
    async with open_api(tmp_path) as api:
        shown = (await api.get(f"/api/desktops/{await api.running_desktop()}")).json()
        assert shown["ssh"]["hostKey"] == HOST_KEY.public_key
        assert "a key" not in json.dumps(shown)
