"""The two Server-Sent Events streams: history, then live, by `Last-Event-ID`; and readers that leave or do not read."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest

from mission_control.api import sse
from mission_control.control.principals import Principal
from mission_control.domain.values import SYSTEM
from tests.support.server import PREFIX, Api, open_api

DEADLINE_SECONDS = 20


class Reader:
    """Somebody who reads a stream; `may_read` stops them from reading on."""

    def __init__(self) -> None:
        self.text = ""
        self.is_over = False
        self.left = anyio.Event()
        self.may_read = anyio.Event()
        self.may_read.set()
        self._news = anyio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        await self.may_read.wait()
        if message["type"] == "http.response.body":
            self.text += message["body"].decode()
            self.is_over |= not message["more_body"]
        self._news.set()
        self._news = anyio.Event()

    async def messages(self, count: int) -> list[tuple[str | None, Any]]:
        """The first so many messages that carry data: their id, and what they say."""
        await self.until(lambda: len(self._found()) >= count)
        return self._found()

    def _found(self) -> list[tuple[str | None, Any]]:
        return [_parsed(block) for block in self.text.split("\n\n") if "data: " in block]

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds; it is looked at whenever something came."""
        with anyio.fail_after(DEADLINE_SECONDS):
            while not holds():
                await self._news.wait()


def _parsed(block: str) -> tuple[str | None, Any]:
    fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
    return fields.get("id"), json.loads(fields["data"])


@asynccontextmanager
async def reading(api: Api, url: str, headers: dict[str, str] | None = None) -> AsyncGenerator[Reader]:
    """Open a stream with the viewer's key."""
    reader, parts = Reader(), urlsplit(url)
    given = {"host": "localhost:8765", "x-api-key": api.keys["viewer"]} | (headers or {})
    scope = {
        "type": "http",
        "method": "GET",
        "path": parts.path,
        "query_string": parts.query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 8765),
        "scheme": "http",
    }
    async with anyio.create_task_group() as group:
        group.start_soon(api.app, scope, reader.receive, reader.send)
        yield reader
        reader.left.set()


async def test_a_reader_who_comes_back_gets_exactly_what_it_missed_and_then_what_happens(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop()
        await api.finished(desktop)
        missed_from = api.control.log.head - 2
        async with reading(api, f"{PREFIX}/activity/stream", {"Last-Event-ID": str(missed_from)}) as reader:
            await reader.messages(2)
            await api.task(desktop)
            seen = await reader.messages(3)
            assert [id for id, _ in seen] == [str(missed_from + step) for step in (1, 2, 3)]
            assert [said["seq"] for _, said in seen] == [missed_from + step for step in (1, 2, 3)]
            assert [said["type"] for _, said in seen[1:]] == ["task.completed", "task.created"]
            assert {"taskId", "desktopId", "status", "completedAt"} <= set(seen[1][1]["payload"])


async def test_without_a_position_a_stream_begins_now_and_a_filter_holds(tmp_path: Path):
    async with open_api(tmp_path) as api:
        desktop = await api.running_desktop()
        await api.finished(desktop)
        async with reading(api, f"{PREFIX}/activity/stream?types=task.completed") as reader:
            await anyio.wait_all_tasks_blocked()
            task = await api.finished(desktop)
            ((_, said),) = await reader.messages(1)
            assert (said["type"], said["payload"]["taskId"]) == ("task.completed", task.id)


async def test_a_position_that_this_log_does_not_have_is_told_to_reset(tmp_path: Path):
    async with open_api(tmp_path) as api:
        async with reading(api, f"{PREFIX}/activity/stream?after=999999") as reader:
            ((id, said),) = await reader.messages(1)
            assert "event: reset" in reader.text and id is None
            assert said == {"logId": api.control.log.log_id, "head": api.control.log.head}


async def test_desktops_are_followed_under_their_documented_names(tmp_path: Path):
    async with open_api(tmp_path) as api:
        async with reading(api, "/api/desktops/stream") as reader:
            await anyio.wait_all_tasks_blocked()
            desktop = await api.running_desktop("ci", agent=True)
            seen = await reader.messages(3)
            assert [said["type"] for _, said in seen] == ["desktop.status", "desktop.status", "desktop.agentReady"]
            assert (seen[0][1]["payload"]["status"], seen[2][1]["payload"]["agentReady"]) == ("booting", True)
            facts = {"id": desktop, "name": "ci", "status": "running", "ipAddress": "10.0.0.7"}
            assert seen[1][1]["payload"] | facts | {"cpu": None, "memory": None} == seen[1][1]["payload"]


async def test_a_quiet_stream_sends_a_comment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sse, "COMMENT_SECONDS", 0)
    async with open_api(tmp_path) as api:
        async with reading(api, f"{PREFIX}/activity/stream") as reader:
            await reader.until(lambda: ":\n\n" in reader.text.removeprefix(": connected\n\n"))


async def test_the_stream_of_a_key_that_is_revoked_ends(tmp_path: Path):
    async with open_api(tmp_path) as api:
        async with reading(api, f"{PREFIX}/activity/stream") as reader:
            await anyio.wait_all_tasks_blocked()
            viewer = api.control.access.by_key(api.keys["viewer"])
            assert isinstance(viewer, Principal) and viewer.key_id
            await api.control.access.revoke_key(viewer.key_id, SYSTEM, by_owner=True)
            await reader.until(lambda: reader.is_over)


async def test_the_streams_end_when_the_server_stops(tmp_path: Path):
    async with open_api(tmp_path) as api:
        async with reading(api, f"{PREFIX}/activity/stream") as reader:
            await anyio.wait_all_tasks_blocked()
            api.services.stopping.set()
            await reader.until(lambda: reader.is_over)


async def test_a_reader_that_takes_nothing_is_cut_without_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sse, "STALL_SECONDS", 0.05)
    async with open_api(tmp_path) as api:
        async with reading(api, f"{PREFIX}/activity/stream") as reader:
            await anyio.wait_all_tasks_blocked()
            reader.may_read = anyio.Event()
            await api.running_desktop()
        assert not reader.is_over, "nothing more was taken, and leaving the block shows that nothing was raised"
