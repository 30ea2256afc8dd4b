"""Keys that are restricted to desktops by label: nothing of another comes out of any route, nothing goes in.

ASVS 5.0: 8.2.2 (data-specific access).
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from mission_control.api.app import TABLE
from mission_control.api.routes import Route
from mission_control.domain.desktops import DesktopEdit
from mission_control.domain.keys import NewKey
from mission_control.domain.settings import SettingsEdit
from mission_control.domain.tasks import NewTask
from mission_control.domain.values import SYSTEM
from mission_control.domain.watching import Metrics
from tests.api.test_sse import reading
from tests.support.server import PREFIX, Api, open_api, problem

WS = f"{PREFIX}/activity/ws"
DEADLINE_SECONDS = 20


@dataclass
class World:
    """Two desktops with the same things on each; the key sees `web` only."""

    api: Api
    reader: Api
    ids: dict[str, dict[str, str]]  # of each desktop: what its `{id}`s are

    def secrets(self) -> list[str]:
        """What must not come out: everything that names something of the other desktop."""
        return [*self.ids["db"].values(), "marker-db"]


@asynccontextmanager
async def world(tmp_path: Path, role: str = "operator") -> AsyncGenerator[World]:
    async with open_api(tmp_path) as api:
        ids: dict[str, dict[str, str]] = {}
        for label in ("web", "db"):
            desktop = await api.running_desktop(f"marker-{label}", agent=True, labels=(label, "all"))
            running = await api.task(desktop, f"echo marker-{label}", run=True)
            await api.output(running, ("stdout", f"marker-{label}\n".encode() * 3))
            review = await api.in_review(desktop, title=f"marker-{label}")
            done = await api.finished(desktop, content=f"marker-{label}")
            new = NewTask(type="command", content=f"marker-{label}", desktop_id=desktop)
            batch = await api.control.tasks.create([new, new], SYSTEM, batch=True)
            api.metrics[desktop] = Metrics(id=desktop, cpu=0.5, memory=0.5)
            ids[label] = {
                "a desktop": desktop,
                "a task": running.id,
                "a batch": str(batch[0].batch_id),
                "review": review.id,
                "done": done.id,
                "pending": batch[0].id,
                "approval": next(
                    one.id for one in api.control.journal.state.approvals.values() if one.task_id == review.id
                ),
            }
        new = NewKey(name="web only", role=role, desktop_labels=("web", "none has this"))  # pyright: ignore[reportArgumentType]
        _, secret = await api.control.access.keys.create(new, SYSTEM)
        yield World(api, api.as_(secret), ids)


def key_of(api: Api) -> dict[str, str]:
    return {"x-api-key": api.client.headers["x-api-key"]}


READS = [route for route in TABLE if route.method == "GET" and not route.streams and route.access == "read"]


def text_of(route: Route) -> str:
    return f"{route.method} {route.path}"


@pytest.mark.parametrize("route", READS, ids=text_of)
async def test_what_is_read_holds_nothing_of_other_desktops(route: Route, tmp_path: Path):
    queries = ["?q=marker" if "q" in route.query.__struct_fields__ else ""]
    if "types" in route.query.__struct_fields__:
        queries.append("?types=*,task.output,task.progress")
    if "status" in route.query.__struct_fields__:
        queries += ["?status=all"] if "approvals" in route.path else ["?status=review,running", "?order=ended"]
    async with world(tmp_path) as at:
        for query in queries:
            path = route.path.replace("{id}", at.ids["web"].get(route.concerns, ""))
            answer = await at.reader.client.request("GET", path + query)
            if route.concerns == "everything":
                problem(answer, 403, "key_restricted")
                continue
            assert answer.status_code == 200, answer.text
            said = answer.text + str(answer.headers)
            assert not [secret for secret in at.secrets() if secret in said]
            whole = await at.api.client.request("GET", path + query)
            if route.concerns == "several" and "mission-control-total" in whole.headers:
                total = int(whole.headers["mission-control-total"])
                assert int(answer.headers["mission-control-total"]) * 2 == total > 0, "of two equal halves, one"


@pytest.mark.parametrize("route", [r for r in TABLE if "{id}" in r.path and r.access in ("read", "work")], ids=text_of)
async def test_what_is_named_and_out_of_reach_is_not_there_and_stays_as_it_is(route: Route, tmp_path: Path):
    async with world(tmp_path) as at:
        head = at.api.control.log.head
        if route.concerns not in at.ids["db"]:
            assert route.concerns in ("no desktop", "everything"), "say what its {id} is about"
            return
        names = ("a task", "review", "done", "pending") if route.concerns == "a task" else (route.concerns,)
        body: dict[str, Any] = {"json": {}} if route.method in ("POST", "PATCH") else {}
        for name in names:
            path = route.path.replace("{id}", at.ids["db"][name])
            missing = route.path.replace("{id}", at.ids["db"][name] + "0")
            hidden = await at.reader.client.request(route.method, path, **body)
            said = problem(hidden, 404, "not_found")
            unknown = problem(await at.reader.client.request(route.method, missing, **body), 404, "not_found")
            assert unknown["detail"] == said["detail"].replace(at.ids["db"][name], at.ids["db"][name] + "0")
        assert at.api.control.log.head == head


@pytest.mark.parametrize("role", ["viewer", "operator"])
async def test_figures_are_those_of_the_desktops_in_reach(role: str, tmp_path: Path):
    async with world(tmp_path, role) as at:
        mine, whole = (await at.reader.get("/overview")).json(), (await at.api.get("/overview")).json()
        assert {status: 2 * count for status, count in mine["counts"].items()} == whole["counts"]
        assert (mine["desktops"], mine["activeDesktops"], whole["desktops"]) == (1, 1, 2)


async def test_tasks_are_not_made_on_or_moved_to_other_desktops(tmp_path: Path):
    async with world(tmp_path) as at:
        web, db = at.ids["web"]["a desktop"], at.ids["db"]["a desktop"]
        task = {"type": "command", "content": "echo"}
        head = at.api.control.log.head
        answers = {
            "/desktopId": await at.reader.post("/tasks", task | {"desktopId": db}),
            "/tasks/1/desktopId": await at.reader.post(
                "/batches", {"tasks": [task | {"desktopId": web}, task | {"desktopId": db}]}
            ),
            "/desktopIds/1": await at.reader.post("/batches", {"task": task, "desktopIds": [web, db]}),
        }
        for pointer, answer in answers.items():
            said = problem(answer, 422, "validation_failed")
            assert said["errors"] == [{"pointer": pointer, "message": f"there is no desktop {db}"}]
        moved = await at.reader.patch(f"/tasks/{at.ids['web']['pending']}", {"desktopId": db})
        assert problem(moved, 422, "validation_failed")["errors"][0]["pointer"] == "/desktopId"
        assert at.api.control.log.head == head
        assert (await at.reader.post("/tasks", task | {"desktopId": web, "run": True})).status_code == 201


async def test_of_a_batch_over_several_desktops_only_the_tasks_in_reach_are_seen_and_run(tmp_path: Path):
    async with world(tmp_path) as at:
        desktops = [at.ids[label]["a desktop"] for label in ("web", "db")]
        body = {"task": {"type": "command", "content": "echo"}, "desktopIds": desktops}
        made = (await at.api.post("/batches", body)).json()
        seen = (await at.reader.get(f"/batches/{made['id']}")).json()
        assert (seen["total"], seen["counts"]["pending"]) == (1, 1)
        ran = (await at.reader.post(f"/batches/{made['id']}/run")).json()
        assert (ran["applied"], ran["skipped"]) == ([made["tasks"][0]["id"]], [])
        assert (await at.api.get(f"/tasks/{made['tasks'][1]['id']}")).json()["status"] == "pending"


@pytest.mark.parametrize("path", [f"{PREFIX}/activity/stream", "/api/desktops/stream"])
async def test_an_event_stream_tells_nothing_of_other_desktops(path: str, tmp_path: Path):
    async with world(tmp_path) as at:
        async with reading(at.reader, f"{path}?after=0", key_of(at.reader)) as reader:
            await at.api.control.desktops.stop(at.ids["db"]["a desktop"], SYSTEM)
            await at.api.control.desktops.stop(at.ids["web"]["a desktop"], SYSTEM)
            await reader.until(lambda: '"stopped"' in reader.text)
            assert at.ids["web"]["a desktop"] in reader.text
            assert not [secret for secret in at.secrets() if secret in reader.text]


class Peer:
    """A script on the WebSocket, without a network."""

    def __init__(self) -> None:
        self.frames: list[Any] = []
        self.code: int | None = None
        self.give, self._given = anyio.create_memory_object_stream[dict[str, Any]](100)
        self._news = anyio.Event()

    async def receive(self) -> dict[str, Any]:
        return await self._given.receive()

    async def send(self, message: Any) -> None:
        if message["type"] == "websocket.send":
            self.frames.append(json.loads(message["text"]))
        elif message["type"] == "websocket.close":
            self.code = message["code"]
        self._news.set()
        self._news = anyio.Event()

    async def say(self, **order: Any) -> None:
        await self.give.send({"type": "websocket.receive", "text": json.dumps(order)})

    async def until(self, holds: Callable[[], bool]) -> None:
        with anyio.fail_after(DEADLINE_SECONDS):
            while not holds():
                await self._news.wait()

    def has(self, op: str, id: str) -> bool:
        return any(frame["op"] == op and frame.get("id") == id for frame in self.frames)


@asynccontextmanager
async def connected(api: Api) -> AsyncGenerator[Peer]:
    """A WebSocket that was opened."""
    peer = Peer()
    scope = {
        "type": "websocket",
        "path": WS,
        "raw_path": WS.encode(),
        "query_string": b"",
        "scheme": "ws",
        "headers": [(b"host", b"localhost:8765"), (b"x-api-key", api.client.headers["x-api-key"].encode())],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 8765),
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
    }
    async with anyio.create_task_group() as group:
        await peer.give.send({"type": "websocket.connect"})
        group.start_soon(api.app, scope, peer.receive, peer.send)
        yield peer
        await peer.give.send({"type": "websocket.disconnect", "code": 1000})
    peer.give.close()
    peer._given.close()


@pytest.mark.parametrize("output", ["full", "tail", "none"])
async def test_a_socket_tells_nothing_of_other_desktops_whatever_is_asked_for(output: str, tmp_path: Path):
    async with world(tmp_path) as at, connected(at.reader) as peer:
        hidden = at.ids["db"]
        more = {"output": output, "metrics": True}
        await peer.say(op="subscribe", id="all", after=0, **more)
        await peer.say(
            op="subscribe", id="typed", after=0, types=["task.*", "desktop.*", "approval.*", "key.*"], **more
        )
        await peer.say(op="subscribe", id="their task", after=0, taskId=hidden["a task"], **more)
        await peer.say(op="subscribe", id="their desktop", after=0, desktopId=hidden["a desktop"], **more)
        for id in ("all", "typed", "their task", "their desktop"):
            await peer.until(lambda id=id: peer.has("live", id) and peer.has("metrics", id))
        await at.api.output(at.api.control.journal.state.tasks[hidden["a task"]], ("stdout", b"marker-db\n"))
        await at.api.control.settings.edit(SettingsEdit(task_approval_mode=True), SYSTEM)
        await peer.until(lambda: "settings.updated" in json.dumps(peer.frames))
        said = json.dumps([frame for frame in peer.frames if frame.get("id") not in ("their task", "their desktop")])
        assert at.ids["web"]["a desktop"] in said
        assert not [secret for secret in at.secrets() if secret in said]
        for frame in peer.frames:
            if frame.get("id") in ("their task", "their desktop"):
                assert frame["op"] in ("live", "metrics") or [e["type"] for e in frame["events"]] == [
                    "settings.updated"
                ]
                assert not any(one["id"] == hidden["a desktop"] for one in frame.get("desktops", []))


async def test_when_the_labels_of_a_desktop_change_streams_begin_anew_with_what_is_in_reach_now(tmp_path: Path):
    async with world(tmp_path) as at, connected(at.reader) as peer:
        await peer.say(op="subscribe", id="board", after=0)
        await peer.until(lambda: peer.has("live", "board"))
        async with reading(at.reader, f"{PREFIX}/activity/stream", key_of(at.reader)) as reader:
            await reader.until(lambda: "connected" in reader.text)
            await at.api.control.desktops.edit(at.ids["web"]["a desktop"], DesktopEdit(labels=("db",)), SYSTEM)
            await peer.until(lambda: peer.has("reset", "board"))
            await reader.until(lambda: "event: reset" in reader.text)
            assert "desktop.updated" not in reader.text
        assert (await at.reader.get("/api/desktops")).json() == []
        problem(await at.reader.get(f"/tasks/{at.ids['web']['a task']}"), 404, "not_found")
        await at.api.control.desktops.edit(at.ids["db"]["a desktop"], DesktopEdit(labels=("web",)), SYSTEM)
        assert [desktop["name"] for desktop in (await at.reader.get("/api/desktops")).json()] == ["marker-db"]


async def test_a_restricted_key_is_no_admin_and_says_what_it_reaches(tmp_path: Path):
    async with open_api(tmp_path) as api:
        refused = await api.post("/api/auth/api-keys", {"name": "a", "role": "admin", "desktopLabels": ["web"]})
        assert problem(refused, 422, "validation_failed")["errors"][0]["pointer"] == "/desktopLabels"
        refused = await api.post("/api/auth/api-keys", {"name": "a", "desktopLabels": ["\n"]})
        assert problem(refused, 422, "validation_failed")["errors"][0]["pointer"] == "/desktopLabels"
        made = (await api.post("/api/auth/api-keys", {"name": "a", "desktopLabels": ["web"]})).json()
        assert made["desktopLabels"] == ["web"]
        assert (await api.as_(made["key"]).get("/api/auth/me")).json()["desktopLabels"] == ["web"]
        listed = {key["name"]: key["desktopLabels"] for key in (await api.get("/api/auth/api-keys")).json()}
        assert (listed["a"], listed["the admin"]) == (["web"], [])


async def test_a_session_of_a_restricted_key_is_restricted_also_after_a_restart(tmp_path: Path):
    async with world(tmp_path) as at:
        made = (await at.api.post("/api/auth/api-keys", {"name": "b", "desktopLabels": ["web"]})).json()
        signed_in = await at.api.control.access.sign_in(key=made["key"])
        assert signed_in and signed_in[1].labels == ("web",)
    async with open_api(tmp_path) as api:
        principal = api.control.access.by_session(signed_in[0])
        assert principal and principal.labels == ("web",)
        assert api.control.access.reach(principal) == {at.ids["web"]["a desktop"]}
