"""The door: no other site or name comes in, and keys are what they say. The table of rights: `test_permissions`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.server import URL, open_api, problem


async def upgrade(app: Any, path: str, headers: dict[str, str]) -> httpx2.Response:
    """Ask for a WebSocket; the refusal before the upgrade, or 101 when it would be opened."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"} if not sent else {"type": "websocket.disconnect", "code": 1000}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "scheme": "ws",
        "headers": [(b"host", b"localhost:8765")]
        + [(name.lower().encode(), value.encode()) for name, value in headers.items() if name.lower() != "host"],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 8765),
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
    }
    await app(scope, receive, send)
    if sent[0]["type"] == "websocket.accept":
        return httpx2.Response(101)
    assert sent[0]["type"] == "websocket.http.response.start"
    return httpx2.Response(sent[0]["status"], headers=sent[0]["headers"], content=sent[1]["body"])


async def test_a_key_works_as_bearer_too(tmp_path: Path):
    async with open_api(tmp_path) as api:
        headers = {"authorization": f"Bearer {api.keys['viewer']}"}
        answer = await api.as_("nobody").get("/api/auth/me", headers=headers)
        assert (answer.json()["role"], answer.json()["kind"]) == ("viewer", "key")


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "127.0.0.1.evil.example:8765", "[::2]"])
async def test_a_foreign_host_is_refused_everywhere(host: str, tmp_path: Path):
    async with open_api(tmp_path) as api:
        for path in ("/tasks", "/healthz", "!/"):
            problem(await api.get(path, headers={"host": host}), 400, "host_refused")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8765", "[::1]:8765", "localhost.:8765"])
async def test_own_names_are_taken_with_any_port(host: str, tmp_path: Path):
    async with open_api(tmp_path) as api:
        assert (await api.get("/tasks", headers={"host": host})).status_code == 200


FOREIGN = [
    "https://evil.example",
    "null",
    "http://localhost:8766",
    "http://localhost.evil.example:8765",
    "http://localhost:8765.evil.example",
    "file://localhost:8765",
    "http://localhost:8765/",
    "http://user@localhost:8765",
    "http://localhost:port",
]


@pytest.mark.parametrize("origin", FOREIGN)
async def test_a_foreign_origin_is_refused_even_with_a_key(origin: str, tmp_path: Path):
    async with open_api(tmp_path) as api:
        headers = {"origin": origin}
        problem(await api.post("/tasks", {}, headers=headers), 403, "origin_refused")
        problem(await api.get("/tasks", headers=headers), 403, "origin_refused")
        asked = {"x-api-key": api.keys["admin"], "origin": origin}
        problem(await upgrade(api.app, "/api/mission-control/activity/ws", asked), 403, "origin_refused")


async def test_an_own_origin_is_taken_and_a_program_needs_none(tmp_path: Path):
    async with open_api(tmp_path) as api:
        assert (await api.get("/tasks", headers={"origin": URL})).status_code == 200
        for more in ({}, {"origin": URL}):
            asked = {"x-api-key": api.keys["viewer"], **more}
            assert (await upgrade(api.app, "/api/mission-control/activity/ws", asked)).status_code == 101


async def test_behind_a_proxy_with_tls_the_origin_is_https(tmp_path: Path):
    async with open_api(tmp_path, allowed_hosts=frozenset({"mc.example"})) as api:
        headers = {"host": "mc.example", "origin": "https://mc.example"}
        assert (await api.get("/tasks", headers=headers)).status_code == 200
        problem(await api.get("/tasks", headers=headers | {"origin": "https://mc.example:444"}), 403, "origin_refused")


async def test_with_tls_an_origin_without_it_is_foreign(tmp_path: Path):
    async with open_api(tmp_path, tls=True) as api:
        problem(await api.get("/tasks", headers={"origin": URL}), 403, "origin_refused")


async def test_the_local_socket_needs_no_key_host_or_origin_and_acts_as_admin(tmp_path: Path):
    async with open_api(tmp_path, requests_per_minute=1) as api:
        local = api.as_("local")
        for _ in range(3):
            answer = await local.get("/api/auth/me", headers={"host": "anything"})
            assert (answer.json()["kind"], answer.json()["role"], answer.json()["name"]) == ("local", "admin", "local")
            assert "ratelimit" not in answer.headers
        made = (await local.post("/api/auth/api-keys", {"name": "first", "role": "admin"})).json()
        assert (await api.as_(made["key"]).get("/api/auth/me")).json()["role"] == "admin"


async def test_a_key_that_expired_opens_nothing(tmp_path: Path):
    async with open_api(tmp_path) as api:
        late = await api.post("/api/auth/api-keys", {"name": "ci", "expiresAt": "2020-01-01T00:00:00Z"})
        assert problem(late, 422, "validation_failed")["errors"][0]["pointer"] == "/expiresAt"


async def test_the_last_admin_key_is_revoked_by_the_owner_only(tmp_path: Path):
    async with open_api(tmp_path) as api:
        (admin,) = [key for key in (await api.get("/api/auth/api-keys")).json() if key["role"] == "admin"]
        problem(await api.delete(f"/api/auth/api-keys/{admin['id']}"), 409, "last_admin_key")
        assert (await api.as_("local").delete(f"/api/auth/api-keys/{admin['id']}")).status_code == 204


async def test_every_answer_tells_browsers_to_run_embed_and_keep_nothing_of_it(tmp_path: Path):
    """ASVS 5.0: 3.2.1, 3.4.3, 3.4.4, 3.4.5, 3.4.6, 3.4.8, 3.5.8."""
    async with open_api(tmp_path) as api:
        for path in ("/tasks", "/nothing", "/healthz", "/openapi.json", "!/", "!/assets/nothing.js", "/api/auth/me"):
            fields = (await api.get(path)).headers
            assert fields["x-content-type-options"] == "nosniff"
            assert fields["referrer-policy"] == "no-referrer"
            assert fields["cross-origin-opener-policy"] == fields["cross-origin-resource-policy"] == "same-origin"
            assert "camera=()" in fields["permissions-policy"]
            policy = fields["content-security-policy"]
            for directive in ("default-src 'none'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
                assert directive in policy
            assert "unsafe" not in policy
            assert fields["cache-control"] == "no-store"
            assert not [name for name in fields if name.startswith("access-control")], "no other site reads it"
            assert "strict-transport-security" not in fields


async def test_with_tls_browsers_are_told_to_come_by_it_from_now_on(tmp_path: Path):
    """ASVS 5.0: 3.4.1 (as for level 1: this host alone, since others of its domain are not ours to speak for)."""
    async with open_api(tmp_path, tls=True) as api:
        for path in ("/tasks", "/nothing", "/healthz", "!/"):
            assert (await api.get(path)).headers["strict-transport-security"] == "max-age=31536000"
