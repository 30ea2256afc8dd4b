"""Browser sessions: begun by key or one-time link, kept in a cookie, ended at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api.test_access import FOREIGN, upgrade
from tests.support.server import URL, Api, open_api, problem

WS = "/api/mission-control/activity/ws"


async def sign_in(api: Api, **given: str) -> tuple[str, str]:
    """The cookie's name and value of a new session."""
    answer = await api.as_("nobody").post("/api/auth/session", given)
    assert answer.status_code == 201, answer.text
    ((name, value),) = answer.cookies.items()
    return name, value


async def test_a_key_signs_a_browser_in_and_its_role_stays(tmp_path: Path):
    async with open_api(tmp_path) as api:
        nobody = api.as_("nobody")
        answer = await nobody.post("/api/auth/session", {"key": api.keys["operator"]}, headers={"origin": URL})
        assert answer.status_code == 201
        assert (answer.json()["kind"], answer.json()["role"]) == ("session", "operator")
        cookie = answer.headers["set-cookie"]
        server_id = api.control.log.server_id
        assert cookie.startswith(f"mission_control_{server_id[:8]}=")
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Path=/" in cookie
        assert "Secure" not in cookie
        me = await nobody.get("/api/auth/me")
        assert me.json() == answer.json()
        assert me.json()["logId"] == api.control.log.log_id


async def test_over_tls_the_cookie_is_secure(tmp_path: Path):
    async with open_api(tmp_path, tls=True) as api:
        answer = await api.as_("nobody").post("/api/auth/session", {"key": api.keys["viewer"]})
        assert "Secure" in answer.headers["set-cookie"]


async def test_a_link_signs_in_as_admin_once(tmp_path: Path):
    async with open_api(tmp_path) as api:
        link = (await api.as_("local").post("/api/auth/links")).json()
        assert link["url"] == f"{URL}/#signin={link['token']}"
        assert (await sign_in(api, link=link["token"]))[1]
        again = await api.as_("nobody").post("/api/auth/session", {"link": link["token"]})
        assert "mission-control open" in problem(again, 401, "link_invalid")["detail"]


async def test_only_the_owner_of_the_server_makes_links(tmp_path: Path):
    async with open_api(tmp_path) as api:
        problem(await api.post("/api/auth/links"), 403, "local_only")


async def test_a_wrong_key_or_none_or_both_signs_nobody_in(tmp_path: Path):
    async with open_api(tmp_path) as api:
        nobody = api.as_("nobody")
        problem(await nobody.post("/api/auth/session", {"key": "mc_k_wrong"}), 401, "unauthorized")
        problem(await nobody.post("/api/auth/session", {}), 422, "validation_failed")
        problem(await nobody.post("/api/auth/session", {"key": "a", "link": "b"}), 422, "validation_failed")


@pytest.mark.parametrize("origin", FOREIGN)
async def test_another_site_cannot_sign_a_browser_in(origin: str, tmp_path: Path):
    async with open_api(tmp_path) as api:
        body = {"key": api.keys["viewer"]}
        answer = await api.as_("nobody").post("/api/auth/session", body, headers={"origin": origin})
        problem(answer, 403, "origin_refused")


@pytest.mark.parametrize("origin", [*FOREIGN, None])
async def test_a_cookie_changes_something_only_with_this_servers_origin(origin: str | None, tmp_path: Path):
    async with open_api(tmp_path) as api:
        name, value = await sign_in(api, key=api.keys["admin"])
        task = await api.task(await api.running_desktop())
        browser = api.as_("nobody")
        browser.client.cookies.set(name, value)
        headers = {"origin": origin} if origin else {}
        problem(await browser.post(f"/tasks/{task.id}/run", headers=headers), 403, "origin_refused")
        problem(await browser.delete(f"/tasks/{task.id}", headers=headers), 403, "origin_refused")
        problem(await upgrade(api.app, WS, {"cookie": f"{name}={value}", **headers}), 403, "origin_refused")
        assert (await api.get(f"/tasks/{task.id}")).json()["status"] == "pending"


async def test_a_cookie_with_this_servers_origin_works_and_reads_need_none(tmp_path: Path):
    async with open_api(tmp_path) as api:
        name, value = await sign_in(api, key=api.keys["admin"])
        task = await api.task(await api.running_desktop())
        browser = api.as_("nobody")
        browser.client.cookies.set(name, value)
        assert (await browser.get("/tasks")).status_code == 200
        assert (await browser.post(f"/tasks/{task.id}/run", headers={"origin": URL})).status_code == 200
        assert (await upgrade(api.app, WS, {"cookie": f"{name}={value}", "origin": URL})).status_code == 101


async def test_signing_out_ends_the_session_at_once(tmp_path: Path):
    async with open_api(tmp_path) as api:
        name, value = await sign_in(api, key=api.keys["viewer"])
        browser = api.as_("nobody")
        browser.client.cookies.set(name, value)
        answer = await browser.delete("/api/auth/session", headers={"origin": URL})
        assert answer.status_code == 204
        assert "Max-Age=0" in answer.headers["set-cookie"]
        browser = api.as_("nobody")
        browser.client.cookies.set(name, value)
        problem(await browser.get("/tasks"), 401, "unauthorized")


async def test_revoking_a_key_ends_the_sessions_that_it_began(tmp_path: Path):
    async with open_api(tmp_path) as api:
        made = (await api.post("/api/auth/api-keys", {"name": "laptop"})).json()
        name, value = await sign_in(api, key=made["key"])
        await api.delete(f"/api/auth/api-keys/{made['id']}")
        browser = api.as_("nobody")
        browser.client.cookies.set(name, value)
        problem(await browser.get("/tasks"), 401, "unauthorized")
