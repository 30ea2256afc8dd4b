"""Browser sessions: begun by key or one-time link, kept in a cookie, ended at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from mission_control.control import sessions
from mission_control.control.principals import Visitor
from mission_control.domain.settings import SettingsEdit
from mission_control.domain.values import SYSTEM
from mission_control.log.verify import verify
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


async def test_over_tls_the_cookie_is_secure_and_of_this_host_alone(tmp_path: Path):
    """ASVS 5.0: 3.3.1, 3.3.3 (Secure and `__Host-`), 3.3.4 (HttpOnly)."""
    async with open_api(tmp_path, tls=True) as api:
        answer = await api.as_("nobody").post("/api/auth/session", {"key": api.keys["viewer"]})
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-mission_control_")
        assert "Secure" in cookie and "HttpOnly" in cookie and "Path=/" in cookie and "Domain" not in cookie
        ((name, value),) = answer.cookies.items()
        headers = {"cookie": f"{name}={value}"}
        assert (await api.as_("nobody").get("/api/auth/me", headers=headers)).json()["role"] == "viewer"
        problem(await api.as_("nobody").get("/tasks", headers={"cookie": headers["cookie"][7:]}), 401, "unauthorized")


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


def browser_with(api: Api, cookie: tuple[str, str], **headers: str) -> Api:
    """The same server, asked by a browser that has the cookie, from the server's own pages."""
    browser = api.as_("nobody")
    browser.client.cookies.set(*cookie)
    browser.client.headers |= {"origin": URL, **headers}
    return browser


async def test_sessions_say_who_is_signed_in_since_when_from_where_and_which_is_mine(tmp_path: Path):
    async with open_api(tmp_path) as api:
        cookie = await sign_in(api, key=api.keys["operator"])
        await sign_in(api, key=api.keys["operator"])
        await sign_in(api, key=api.keys["viewer"])
        mine = (await browser_with(api, cookie).get("/api/auth/sessions")).json()
        assert [(one["actor"]["name"], one["current"]) for one in mine] == [
            ("the operator", False),
            ("the operator", True),
        ]
        assert (mine[0]["method"], mine[0]["role"], mine[0]["address"]) == ("key", "operator", "127.0.0.1")
        assert mine[0]["userAgent"].startswith("python-httpx")
        assert len((await api.get("/api/auth/sessions")).json()) == 3
        assert cookie[1] not in str(mine), "the token is never shown again"


async def test_one_signs_other_browsers_of_ones_own_out_and_an_admin_anybodys(tmp_path: Path):
    async with open_api(tmp_path) as api:
        here, there, other = [await sign_in(api, key=api.keys[who]) for who in ("operator", "operator", "viewer")]
        browser = browser_with(api, here)
        ids = {one["actor"]["name"]: one["id"] for one in (await api.get("/api/auth/sessions")).json()}
        problem(await browser.delete(f"/api/auth/sessions/{ids['the viewer']}"), 404, "not_found")
        (elsewhere,) = [s for s in (await browser.get("/api/auth/sessions")).json() if not s["current"]]
        assert (await browser.delete(f"/api/auth/sessions/{elsewhere['id']}")).status_code == 204
        problem(await browser_with(api, there).get("/tasks"), 401, "unauthorized")
        assert (await browser.get("/tasks")).status_code == 200
        assert (await api.delete(f"/api/auth/sessions/{ids['the viewer']}")).status_code == 204
        problem(await browser_with(api, other).get("/tasks"), 401, "unauthorized")


@pytest.mark.parametrize("others", [False, True])
async def test_signing_out_everywhere_ends_all_of_ones_own_sessions(others: bool, tmp_path: Path):
    async with open_api(tmp_path) as api:
        here, there, other = [await sign_in(api, key=api.keys[who]) for who in ("operator", "operator", "viewer")]
        answer = await browser_with(api, here).delete(f"/api/auth/sessions?others={str(others).lower()}")
        assert answer.status_code == 204
        assert ("set-cookie" in answer.headers) is not others
        for cookie, lives in ((here, others), (there, False), (other, True)):
            answer = await browser_with(api, cookie).get("/api/auth/me")
            assert answer.status_code == (200 if lives else 401)


async def test_a_session_that_nobody_uses_ends_after_a_week_and_every_one_after_a_month(tmp_path: Path):
    """ASVS 5.0: 7.3.1 (inactivity timeout), 7.3.2 (absolute maximum lifetime)."""
    day = 24 * 3600
    async with open_api(tmp_path) as api:
        used, idle = [await sign_in(api, key=api.keys["viewer"]) for _ in range(2)]
        browser = browser_with(api, used)
        for _ in range(4):
            api.tick(6 * day)
            assert (await browser.get("/tasks")).status_code == 200
        problem(await browser_with(api, idle).get("/tasks"), 401, "unauthorized")
        api.tick(5 * day)
        assert (await browser.get("/tasks")).status_code == 200
        api.tick(2 * day)
        problem(await browser.get("/tasks"), 401, "unauthorized")


async def test_a_token_is_changed_each_day_and_the_old_one_opens_while_the_new_one_is_on_its_way(tmp_path: Path):
    async with open_api(tmp_path) as api:
        old = await sign_in(api, key=api.keys["viewer"])
        api.tick(25 * 3600)
        answer = await browser_with(api, old).get("/tasks")
        ((name, token),) = answer.cookies.items()
        assert (name, token != old[1]) == (old[0], True)
        assert "HttpOnly" in answer.headers["set-cookie"]
        api.tick(3600)
        assert (await browser_with(api, old).get("/tasks")).status_code == 200, "the answer may have been lost"
        assert (await browser_with(api, (name, token)).get("/tasks")).status_code == 200
        assert (await browser_with(api, old).get("/tasks")).status_code == 200, "requests were under way"
        api.tick(61)
        problem(await browser_with(api, old).get("/tasks"), 401, "unauthorized")
        assert (await browser_with(api, (name, token)).get("/tasks")).status_code == 200
    async with open_api(tmp_path) as api:
        assert api.control.access.by_session(token)
        assert not api.control.access.by_session(old[1])


async def test_signing_in_anew_gives_another_token_and_ends_the_one_before(tmp_path: Path):
    """ASVS 5.0: 7.2.4."""
    async with open_api(tmp_path) as api:
        first = await sign_in(api, key=api.keys["viewer"])
        again = await browser_with(api, first).post("/api/auth/session", {"key": api.keys["viewer"]})
        ((_, second),) = again.cookies.items()
        assert second != first[1]
        problem(await browser_with(api, first).get("/tasks"), 401, "unauthorized")


async def test_a_person_has_so_many_sessions_and_the_one_unused_longest_gives_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sessions, "SESSIONS_MAX", 2)
    async with open_api(tmp_path) as api:
        other = await sign_in(api, key=api.keys["admin"])
        cookies = [await sign_in(api, key=api.keys["viewer"]) for _ in range(3)]
        problem(await browser_with(api, cookies[0]).get("/tasks"), 401, "unauthorized")
        for cookie in (*cookies[1:], other):
            assert (await browser_with(api, cookie).get("/tasks")).status_code == 200


async def test_when_and_from_where_a_key_was_used_is_shown_and_kept_without_a_commit_for_each_request(tmp_path: Path):
    async with open_api(tmp_path) as api:
        await api.as_("viewer").get("/tasks")
        before = api.control.log.statistics()["writer"]["commits"]
        for _ in range(50):
            await api.as_("viewer").get("/tasks")
        assert api.control.log.statistics()["writer"]["commits"] - before <= 1
        keys = {key["name"]: key for key in (await api.get("/api/auth/api-keys")).json()}
        assert keys["the viewer"]["lastUsedFrom"] == "127.0.0.1"
        assert keys["the viewer"]["lastUsedAt"] > keys["the viewer"]["createdAt"]
        assert keys["the operator"]["lastUsedAt"] is None
    async with open_api(tmp_path) as api:
        kept = {key["id"]: key for key in (await api.get("/api/auth/api-keys")).json()}
        assert kept[keys["the viewer"]["id"]]["lastUsedAt"] == keys["the viewer"]["lastUsedAt"]


async def test_signing_in_and_out_and_what_failed_is_told_with_who_and_from_where(tmp_path: Path):
    """ASVS 5.0: 16.3.1 (all authentication operations are logged), 16.2.1 (when, where, who, what)."""
    async with open_api(tmp_path) as api:
        nobody = api.as_("nobody")
        evil = {"user-agent": "evil\x1b]0;x"}
        for _ in range(3):
            await nobody.post("/api/auth/session", {"key": "mc_k_wrong"}, headers=evil)
        cookie = await sign_in(api, key=api.keys["operator"])
        browser = browser_with(api, cookie)
        await browser.delete("/api/auth/session")
        api.control.access._failures._write()  # the minute is over
        await api.control.settings.edit(SettingsEdit(task_approval_mode=True), SYSTEM)
        found = (await api.get("/activity?types=auth.*")).json()
        assert [event["type"] for event in found] == ["auth.failed", "auth.signedOut", "auth.signedIn", "auth.failed"]
        assert [found[0]["payload"]["count"], found[3]["payload"]["count"]] == [2, 1]
        assert found[0]["payload"] == {"address": "127.0.0.1", "method": "key", "count": 2}
        assert found[0]["actor"] == {"id": "unknown", "name": "unknown", "from": "127.0.0.1"}
        operator = found[2]["actor"]
        assert (operator["name"], operator["via"], operator["from"]) == ("the operator", "session", "127.0.0.1")
        assert found[1]["payload"]["sessionId"] == found[2]["payload"]["sessionId"]
        mine = (await api.get(f"/activity?actor={operator['id']}")).json()
        assert [event["type"] for event in mine] == ["auth.signedOut", "auth.signedIn"]
        assert (await verify(api.control.log)).problems == ()


async def test_whoever_guesses_from_many_addresses_cannot_fill_the_log(tmp_path: Path):
    async with open_api(tmp_path) as api:
        head = api.control.log.head
        for number in range(5000):
            api.control.access.failed("key", Visitor(f"10.0.{number // 250}.{number % 250}"))
        api.control.access._failures._write()  # the minute is over
        await api.control.settings.edit(SettingsEdit(task_approval_mode=True), SYSTEM)
        found = (await api.get("/activity?types=auth.failed&limit=1000")).json()
        assert sum(event["payload"]["count"] for event in found) == 5000
        assert api.control.log.head - head <= 13


async def test_what_was_done_is_told_with_by_what_and_from_where_and_objects_keep_only_who(tmp_path: Path):
    async with open_api(tmp_path) as api:
        task = {"type": "command", "content": "echo", "desktopId": await api.running_desktop()}
        made = (await api.post("/tasks", task)).json()
        assert made["createdBy"] == {"id": made["createdBy"]["id"], "name": "the admin"}
        await api.as_("local").post(f"/tasks/{made['id']}/cancel")
        events = (await api.get(f"/tasks/{made['id']}/events")).json()
        assert events[0]["actor"] == made["createdBy"] | {"via": "key", "from": "127.0.0.1"}
        assert events[0]["payload"]["createdBy"] == made["createdBy"]
        assert events[1]["actor"] == {"id": "local", "name": "local", "via": "local"}
