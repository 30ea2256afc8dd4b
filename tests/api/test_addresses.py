"""From where people came is for admins: no route and no stream shows it to anybody else.

ASVS 5.0: 8.2.3 (field-level access).
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mission_control.api.app import TABLE
from mission_control.api.routes import Route
from mission_control.control.principals import Visitor
from mission_control.domain.desktops import DesktopEdit
from mission_control.domain.keys import NewKey
from mission_control.domain.known_hosts import NewKnownHost
from mission_control.domain.permissions import may
from mission_control.domain.secrets import NewSecret, SecretEdit
from mission_control.domain.settings import SettingsEdit
from mission_control.domain.tasks import NewTask
from mission_control.domain.values import Actor, Role
from tests.api.test_reach import connected
from tests.api.test_sse import reading
from tests.support.server import PREFIX, Api, open_api
from tests.support.sshd import key, public_line

ADDRESS, BROWSER = "203.0.113.9", "the browser of Mia"
MIA = Actor(id="key_mia", name="Mia", via="key", address=ADDRESS)
READS = [route for route in TABLE if route.method == "GET" and not route.streams and route.access in ("read", "work")]
ROLES: list[Role] = ["viewer", "operator"]


@asynccontextmanager
async def world(tmp_path: Path) -> AsyncGenerator[tuple[Api, dict[str, str]]]:
    """Everything that a person can do, done from one address; and what its `{id}`s are."""
    async with open_api(tmp_path) as api:
        control = api.control
        desktop = await api.running_desktop()
        await control.desktops.edit(desktop, DesktopEdit(name="build-2"), MIA)
        new = NewTask(type="command", content="echo", desktop_id=desktop)
        batch = await control.tasks.create([new, new], MIA, batch=True)
        reviewed = await api.in_review(desktop)
        await control.tasks.review(reviewed.id, "approve", None, MIA)
        await control.secrets.create(NewSecret(name="NPM_TOKEN", value="a value"), MIA)
        await control.secrets.replace("NPM_TOKEN", SecretEdit(value="another"), MIA)
        await control.settings.edit(SettingsEdit(task_approval_mode=True), MIA)
        authority = NewKnownHost(marker="cert-authority", hosts=("*.lab",), public_key=public_line(key("ssh-ed25519")))
        await control.known_hosts.add(authority, MIA)
        _, secret = await control.access.keys.create(NewKey(name="Mia", role="operator"), MIA)
        visitor = Visitor(ADDRESS, BROWSER)
        assert await control.access.sign_in(key=secret, visitor=visitor)
        head = control.log.head
        control.access.failed("key", visitor)
        await control.log.wait_beyond(head)
        yield api, {"a task": reviewed.id, "a desktop": desktop, "a batch": str(batch[0].batch_id)}


def shows(text: str) -> list[str]:
    return [word for word in (ADDRESS, BROWSER) if word in text]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("route", READS, ids=lambda route: route.path)
async def test_what_is_read_does_not_show_it(route: Route, role: Role, tmp_path: Path):
    async with world(tmp_path) as (api, ids):
        path = route.path.replace("{id}", ids.get(route.concerns, ""))
        fields = route.query.__struct_fields__
        more = ["?types=*"] if "types" in fields else []
        for query in ["?q=echo" if "q" in fields else "", *more]:
            answer = await api.as_(role).client.request("GET", path + query)
            if route.access != "public" and may(role, route.access):
                assert answer.status_code == 200, answer.text
            assert not shows(answer.text)


async def test_an_admin_sees_it(tmp_path: Path):
    async with world(tmp_path) as (api, ids):
        assert shows((await api.get("/activity?types=*")).text) == [ADDRESS, BROWSER]
        assert shows((await api.get(f"/tasks/{ids['a task']}/events")).text) == [ADDRESS]
        failed = (await api.get("/activity?types=auth.failed")).json()[0]
        assert (failed["actor"]["from"], failed["payload"]["address"]) == (ADDRESS, ADDRESS)


@pytest.mark.parametrize("role", [*ROLES, "admin"])
@pytest.mark.parametrize("path", [f"{PREFIX}/activity/stream", "/api/desktops/stream"])
async def test_an_event_stream_shows_it_to_admins_only(path: str, role: str, tmp_path: Path):
    async with world(tmp_path) as (api, ids):
        headers = {"x-api-key": api.keys[role]}
        async with reading(api.as_(role), f"{path}?after=0", headers) as reader:
            await api.control.desktops.stop(ids["a desktop"], MIA)
            await reader.until(lambda: '"stopped"' in reader.text)
            is_shown = role == "admin" and "activity" in path
            assert shows(reader.text) == ([ADDRESS, BROWSER] if is_shown else [])


@pytest.mark.parametrize("output", ["full", "tail"])
@pytest.mark.parametrize("role", ROLES)
async def test_a_socket_shows_it_to_admins_only_also_where_both_stand_at_the_same_place(
    role: Role, output: str, tmp_path: Path
):
    async with world(tmp_path) as (api, ids), connected(api) as admin, connected(api.as_(role)) as peer:
        for who in (admin, peer):
            await who.say(op="subscribe", id="all", after=0, output=output)
            await who.until(lambda who=who: who.has("live", "all"))
        await api.control.desktops.stop(ids["a desktop"], MIA)
        for who in (admin, peer):
            await who.until(lambda who=who: "desktop.stopped" in json.dumps(who.frames))
        assert shows(json.dumps(admin.frames)) == [ADDRESS, BROWSER]
        assert not shows(json.dumps(peer.frames))
