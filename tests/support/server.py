"""The API over a real log in a temporary folder, called in this process: no socket, no clock, no double of ours.

    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop()
        task = await api.task(desktop, "echo hi")
        answer = await api.post(f"/tasks/{task['id']}/run")

Paths without `/api` are below `/api/mission-control`. `api` asks with an admin key; `api.as_("viewer")` with another.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import anyio
import httpx2
import msgspec
import pytest

from mission_control.api.app import create_app
from mission_control.api.proxies import proxies_of
from mission_control.api.services import Services
from mission_control.control.door import Control, open_control
from mission_control.control.principals import LOCAL
from mission_control.domain.desktops import KeyAuth, NewAgent, NewDesktop, NewSsh, Reached
from mission_control.domain.entities import Desktop, HostKey, Task
from mission_control.domain.keys import NewKey
from mission_control.domain.output import OutputCutter, RunPosition, Stream
from mission_control.domain.tasks import NewTask, RunEnd
from mission_control.domain.values import SYSTEM, Error, Role
from mission_control.domain.watching import CheckReport, CheckStep, Metrics, Unreachable
from mission_control.log import writer
from mission_control.log.event_log import RunRow
from mission_control.runs.recorder import output_event
from mission_control.streams.find import open_finder

FINGERPRINT = "SHA256:" + "a" * 43
HOST_KEY = HostKey(type="ed25519", fingerprint=FINGERPRINT, public_key="ssh-ed25519 AAAA")
PREFIX = "/api/mission-control"
URL = "http://localhost:8765"

SSH: dict[str, Any] = {"host": "10.0.0.7", "username": "me", "auth": {"kind": "password", "password": "hunter2"}}


@dataclass
class Hosts:
    """What desktops show when they are looked at; tests set it. Not a double: the seam is what `runs` fills."""

    keys: list[HostKey] = field(default_factory=lambda: [HOST_KEY])
    error: Error | None = None
    asked: list[NewSsh] = field(default_factory=list[NewSsh])

    async def offered(self, ssh: NewSsh) -> list[HostKey]:
        self.asked.append(ssh)
        await anyio.lowlevel.checkpoint()
        if self.error:
            raise Unreachable(self.error)
        return self.keys

    async def check(self, desktop: Desktop) -> CheckReport:
        step = CheckStep(name="connect", ok=self.error is None, detail=f"{desktop.ssh.host} answers", ms=3)
        return CheckReport(ok=bool(step.ok), steps=(step,))


class Client(httpx2.AsyncClient):
    """An HTTP client that knows the prefix."""

    async def request(self, method: str, url: Any, **more: Any) -> httpx2.Response:
        text = str(url)
        is_whole = text.startswith(("/api", "/healthz", "/readyz", "/openapi.json", "/metrics", "http", "!"))
        return await super().request(method, text.removeprefix("!") if is_whole else PREFIX + text, **more)


@dataclass(frozen=True)
class Api:
    """A client, and what stands behind it."""

    client: Client
    services: Services
    control: Control
    hosts: Hosts
    keys: dict[str, str]
    metrics: dict[str, Metrics]
    app: Any
    local_app: Any
    tick: Callable[[float], None]

    def get(self, path: str, **more: Any) -> Any:
        return self.client.get(path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> Any:
        return self.client.post(path, **({} if body is None else {"json": body}), **more)

    def patch(self, path: str, body: Any, **more: Any) -> Any:
        return self.client.patch(path, json=body, **more)

    def delete(self, path: str, **more: Any) -> Any:
        return self.client.delete(path, **more)

    def as_(self, who: Role | Literal["nobody", "local"] | str) -> Api:
        """The same server, asked by somebody else: a role, nobody, the local socket, or the holder of a key."""
        if who == "local":
            return replace(self, client=_client(self.local_app, {}))
        key = None if who == "nobody" else self.keys.get(who, who)
        return replace(self, client=_client(self.app, {"x-api-key": key} if key else {}))

    async def running_desktop(self, name: str = "build-1", *, agent: bool = False, labels: tuple[str, ...] = ()) -> str:
        """A desktop that takes tasks, with an agent that is ready if wanted; its id."""
        new = NewDesktop(
            name=name,
            ssh=NewSsh(host="10.0.0.7", auth=KeyAuth(private_key="a key"), host_key_fingerprint=FINGERPRINT),
            agent=NewAgent(kind="openai", url="http://127.0.0.1:1/v1", token="t", via="direct") if agent else None,
            labels=labels,
        )
        desktop = await self.control.desktops.create(new, [HOST_KEY], SYSTEM)
        await self.control.desktops.started(desktop.id, ip_address="10.0.0.7", reached=Reached(os="linux"))
        if agent:
            await self.control.desktops.agent_ready(desktop.id, True)
        return desktop.id

    async def task(self, desktop_id: str, content: str = "echo hi", **facts: Any) -> Task:
        """A task."""
        kind = facts.pop("type", "command")
        new = NewTask(type=kind, content=content, desktop_id=desktop_id, **facts)
        (task,) = await self.control.tasks.create([new], SYSTEM)
        return task

    async def finished(self, desktop_id: str, exit_code: int = 0, **facts: Any) -> Task:
        """A task that ran to its end: done, failed, or in review."""
        task = await self.task(desktop_id, run=True, **facts)
        await self.control.tasks.enter_phase(task.id, "streaming")
        error = Error(code="exit_code", message=f"It exited with {exit_code}.") if exit_code else None
        return await self.control.tasks.finish(task.id, RunEnd(exit_code=exit_code, duration_ms=40, error=error))

    async def in_review(self, desktop_id: str, **facts: Any) -> Task:
        """A task that waits for a decision."""
        return await self.finished(desktop_id, requires_approval=True, **facts)

    async def output(self, task: Task, *written: tuple[Stream, bytes]) -> None:
        """Record what a run wrote, each part as a read of its own."""
        await self._record(task, OutputCutter(), written)

    async def output_more(self, task: Task, *written: tuple[Stream, bytes]) -> None:
        """Record what it wrote after that."""
        async with self.control.log.snapshot() as snapshot:
            row = await snapshot.row("select doc from runs where task_id = ?", (task.id,))
        assert row
        await self._record(task, OutputCutter(msgspec.json.decode(row[0], type=RunPosition)), written)

    async def _record(self, task: Task, cutter: OutputCutter, written: Sequence[tuple[Stream, bytes]]) -> None:
        for stream, data in written:
            for piece in [*cutter.feed(stream, data, 5), *cutter.finish()]:
                event = output_event(task.id, piece)
                await self.control.tasks.record(task, [event], RunRow(task.id, cutter.position))


def _client(app: Any, headers: dict[str, str]) -> Client:
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    return Client(transport=transport, base_url=URL, headers=headers)


@asynccontextmanager
async def open_api(
    folder: Path,
    *,
    dashboard: Path | None = None,
    tls: bool = False,
    requests_per_minute: int = 6000,
    streams_per_key: int = 500,
    proxies: Sequence[str] = (),
    public_metrics: bool = False,
    allowed_hosts: frozenset[str] = frozenset({"localhost", "127.0.0.1", "[::1]"}),
) -> AsyncGenerator[Api]:
    """A server in this process, with a key for each role."""
    now = 1000.0

    def tick(seconds: float) -> None:
        nonlocal now
        now += seconds

    def clock_us() -> int:
        """This machine's clock, which `tick` moves on."""
        return time.time_ns() // 1000 + int((now - 1000) * 1_000_000)

    async with open_control(folder, clock_us=clock_us) as control, open_finder() as finder:
        hosts, metrics = Hosts(), dict[str, Metrics]()
        services = Services(
            control=control,
            probe=hosts,
            metrics=lambda: metrics,
            allowed_hosts=allowed_hosts,
            tls=tls,
            version="0.0.0-test",
            stopping=anyio.Event(),
            finder=finder,
            dashboard=dashboard,
            url=URL,
            public_metrics=public_metrics,
            requests_per_minute=requests_per_minute,
            streams_per_key=streams_per_key,
            proxies=proxies_of(proxies),
        )
        app = create_app(services, clock=lambda: now)
        keys: dict[str, str] = {}
        for role in ("viewer", "operator", "admin"):
            _, keys[role] = await control.access.keys.create(NewKey(name=f"the {role}", role=role), SYSTEM)
        yield Api(
            client=_client(app, {"x-api-key": keys["admin"]}),
            services=services,
            control=control,
            hosts=hosts,
            keys=keys,
            metrics=metrics,
            app=app,
            local_app=create_app(services, principal=LOCAL),
            tick=tick,
        )


@contextmanager
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """The log's disk has nothing free, as far as it can see."""
    monkeypatch.setattr(writer, "FREE_CHECK_US", 0)  # for the rest of the test: so that it sees at once what is free
    with monkeypatch.context() as patch:
        patch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=0, f_frsize=4096))
        yield


def problem(response: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """The one shape of every error, checked; the problem."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = json.loads(response.content)
    assert set(body) - {"errors"} == {"type", "title", "status", "code", "detail"}, body
    assert (body["status"], body["code"]) == (status, code), body
    assert body["detail"].strip() and body["title"].strip()
    assert body["type"] == f"urn:mission-control:problem:{code}"
    for error in body.get("errors", []):
        assert set(error) == {"pointer", "message"}
        assert error["pointer"] == "" or error["pointer"].startswith("/")
    return body
