"""Who may do what: every route and every way to come, from the route table. A new route is in it from the start.

ASVS 5.0: 8.2.1 (function-level access), 8.3.1 (enforced by the service), 3.5.1 (another site changes nothing), 3.5.3
(nothing changes by a safe method), 4.4.2 (the Origin of a WebSocket is checked), 7.2.1 (tokens are verified by the
service).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from mission_control.api.app import TABLE
from mission_control.api.auth import SAFE_METHODS
from mission_control.api.routes import Route
from mission_control.domain.keys import NewKey
from mission_control.domain.permissions import NEEDED, may
from mission_control.domain.values import ROLES, SYSTEM, Role
from tests.api.test_access import upgrade
from tests.support.server import URL, Api, open_api


@dataclass(frozen=True)
class Who:
    """One way to come, as header fields; and what it opens."""

    headers: dict[str, str]
    role: Role | None = None
    is_session: bool = False
    origin: str | None = None
    is_restricted: bool = False


async def everybody(api: Api) -> dict[str, Who]:
    """Every way to come."""

    async def key(name: str, **facts: Any) -> tuple[str, str]:
        made, secret = await api.control.access.keys.create(NewKey(name=name, **facts), SYSTEM)
        return made.id, secret

    _, expired = await key("expired", role="admin", expires_at="2127-01-01T00:00:00Z")
    api.tick(101 * 366 * 24 * 3600)
    revoked_id, revoked = await key("revoked", role="admin")
    await api.control.access.revoke_key(revoked_id, SYSTEM, by_owner=True)
    _, restricted = await key("restricted", role="operator", desktop_labels=("web",))
    found = {
        "nobody": Who({}),
        "a wrong key": Who({"x-api-key": "mc_k_" + "x" * 43}),
        "an empty key": Who({"x-api-key": ""}),
        "a wrong bearer": Who({"authorization": "Bearer mc_k_wrong"}),
        "a password": Who({"authorization": "Basic YWRtaW46YWRtaW4="}),
        "an expired key": Who({"x-api-key": expired}),
        "a revoked key": Who({"x-api-key": revoked}),
        "a restricted key": Who({"x-api-key": restricted}, "operator", is_restricted=True),
    }
    for role in ROLES:
        found[f"the {role}"] = Who({"x-api-key": api.keys[role]}, role)
        found[f"the {role} of another site"] = Who({"x-api-key": api.keys[role]}, role, origin="https://evil.example")
    for role in ROLES:
        for origin in (None, URL, "https://evil.example", "null"):
            name = f"a session of the {role} from {origin or 'nowhere'}"
            found[name] = Who({}, role, is_session=True, origin=origin)
    wrong = {"cookie": f"mission_control_{api.control.log.server_id[:8]}=wrong"}
    return found | {"a wrong cookie": Who(wrong, is_session=True, origin=URL)}


def expected(route: Route, who: Who) -> tuple[int, str] | None:
    """The refusal by the rules; None where the door opens."""
    if who.origin not in (None, URL):
        return 403, "origin_refused"
    if route.access == "public":
        return None
    if who.role is None:
        return 401, "unauthorized"
    if who.is_session and who.origin is None and route.method not in SAFE_METHODS:
        return 403, "origin_refused"
    if not may(who.role, route.access):
        return 403, "forbidden"
    if who.is_restricted and route.concerns == "everything":
        return 403, "key_restricted"
    if who.is_restricted and route.concerns in ("a task", "a desktop", "a batch"):
        return 404, "not_found"
    return None


async def ask(api: Api, route: Route, who: Who, id: str = "task_0") -> httpx2.Response:
    """A request to a route; of a stream only how it begins."""
    path = route.path.replace("{id}", id)
    headers = who.headers | ({"origin": who.origin} if who.origin else {})
    if who.is_session and who.role:
        signed_in = await api.control.access.sign_in(key=api.keys[who.role])
        assert signed_in
        headers["cookie"] = f"mission_control_{api.control.log.server_id[:8]}={signed_in[0]}"
    if route.method == "WEBSOCKET":
        return await upgrade(api.app, path, headers)
    if route.streams:
        return await begin(api.app, path, headers)
    body: dict[str, Any] = {"json": {}} if route.method in ("POST", "PATCH") else {}
    return await api.as_("nobody").client.request(route.method, path, headers=headers, **body)


async def begin(app: Any, path: str, headers: dict[str, str]) -> httpx2.Response:
    """Ask for a stream, and leave when it begins; a refusal comes whole."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "scheme": "http",
        "headers": [(b"host", b"localhost:8765")]
        + [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 8765),
    }
    await app(scope, receive, send)
    body = b"".join(message["body"] for message in sent[1:])
    return httpx2.Response(sent[0]["status"], headers=sent[0]["headers"], content=body)


@pytest.mark.parametrize("route", TABLE, ids=lambda route: f"{route.method} {route.path}")
async def test_everybody_gets_what_the_table_says(route: Route, tmp_path: Path):
    async with open_api(tmp_path) as api:
        object.__setattr__(api.services, "wrong_keys_per_minute", 0)
        for name, who in (await everybody(api)).items():
            api.tick(60)  # for those who show wrong keys
            head = api.control.log.head
            answer = await ask(api, route, who)
            refusal = expected(route, who)
            if refusal is None:
                is_refused = answer.status_code in (401, 403) and answer.json()["code"] not in (
                    "local_only",
                    "unauthorized" if route.access == "public" else "",
                )
                assert not is_refused, f"{name}: {answer.text}"
                assert answer.status_code < 500, f"{name}: {answer.text}"
            else:
                assert (answer.status_code, answer.json()["code"]) == refusal, f"{name}: {answer.text}"
                events = await api.as_("local").get("/activity?types=task.*,approval.*,desktop.*,settings.*,key.*")
                assert all(event["seq"] <= head for event in events.json()), f"{name}: it changed something"


def test_only_health_and_signing_in_are_public():
    public = {f"{route.method} {route.path}" for route in TABLE if route.access == "public"}
    assert public == {"GET /healthz", "GET /readyz", "POST /api/auth/session"}


def test_what_a_route_says_nothing_about_is_not_for_restricted_keys():
    assert Route("GET", "/api/mission-control/new", ask, "read").concerns == "everything"  # pyright: ignore[reportArgumentType]
    assert Route("GET", "/api/mission-control/tasks/{id}/new", ask, "read").concerns == "a task"  # pyright: ignore[reportArgumentType]


def test_each_role_includes_the_one_before():
    for permission, needed in NEEDED.items():
        assert [may(role, permission) for role in ROLES] == [ROLES.index(role) >= ROLES.index(needed) for role in ROLES]
