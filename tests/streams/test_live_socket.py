"""The WebSocket's protocol, over the real log, without a network."""

import asyncio
import json
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest

from mission_control.domain.events import TaskOutput
from mission_control.domain.filters import Filter
from mission_control.domain.output import RunPosition
from mission_control.domain.values import SYSTEM
from mission_control.log import queries
from mission_control.log.event_log import Batch, RunRow, StoredEvent
from mission_control.log.sqlite import SqliteLog, open_sqlite_log
from mission_control.streams import live_socket, wire
from mission_control.streams.live_socket import Socket

DEADLINE_SECONDS = 20


class Client:
    """The other end of a socket: what arrived, and what to say."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []
        self.orders: asyncio.Queue[str | None] = asyncio.Queue()
        self._news = anyio.Event()
        self.may_read = anyio.Event()
        self.may_read.set()

    async def send(self, data: bytes) -> None:
        await self.may_read.wait()
        self.frames.append(json.loads(data))
        self._news.set()
        self._news = anyio.Event()

    async def receive(self) -> str | None:
        return await self.orders.get()

    async def say(self, **message: object) -> None:
        self.orders.put_nowait(json.dumps(message))

    def leave(self) -> None:
        self.orders.put_nowait(None)

    async def until(self, op: str, count: int = 1) -> list[dict[str, Any]]:
        """The frames of a kind, once there are so many."""
        with anyio.fail_after(DEADLINE_SECONDS):
            while len(found := [frame for frame in self.frames if frame["op"] == op]) < count:
                await self._news.wait()
        return found

    async def until_seq(self, seq: int) -> list[int]:
        """The seqs that arrived, once there is this one."""
        with anyio.fail_after(DEADLINE_SECONDS):
            while seq not in (seqs := self.seqs()):
                await self._news.wait()
        return seqs

    def seqs(self, id: str | None = None) -> list[int]:
        batches = [frame for frame in self.frames if frame["op"] == "events" and id in (None, frame["id"])]
        return [event["seq"] for frame in batches for event in frame["events"]]


@asynccontextmanager
async def connected(log: SqliteLog, group: anyio.abc.TaskGroup, **options: Any) -> AsyncGenerator[Client]:
    client = Client()
    settings = {"hello": {}, "metrics": list, "is_allowed": lambda: True, "may": lambda _: True} | options
    socket = Socket(log, client.send, **settings)

    async def serve() -> None:
        await socket.serve(client.receive)

    group.start_soon(serve)
    await client.until("hello")
    yield client
    client.may_read.set()
    client.leave()


async def write(log: SqliteLog, count: int, *, task: str = "task_1", text: str = "line\n") -> None:
    """So many output events, one after the other."""
    position = RunPosition()
    for _ in range(count):
        event = TaskOutput(
            task_id=task,
            stream="stdout",
            position=position.position,
            offset=position.position,
            length=len(text),
            line=position.lines,
            ms=0,
            crc=0,
            text=text,
        )
        position = position.after("stdout", text.encode())
        await log.append(Batch(events=(event,), actor=SYSTEM, rows=(RunRow(task, position),), run=task))


async def test_history_then_live_without_gap_or_repeat(tmp_path: Path):
    async with open_sqlite_log(tmp_path) as log, anyio.create_task_group() as group:
        await write(log, 30)
        async with connected(log, group) as client:
            await client.say(op="subscribe", id="a", after=0)
            await client.until("live")
            await write(log, 30)
            assert await client.until_seq(60) == list(range(1, 61))


async def test_a_reader_that_was_away_gets_precisely_what_it_missed(tmp_path: Path):
    async with open_sqlite_log(tmp_path, ring_bytes_max=2000) as log, anyio.create_task_group() as group:
        await write(log, 10)
        async with connected(log, group) as client:
            await client.say(op="subscribe", id="a", after=0)
            await client.until_seq(10)
            cursor = (await client.until("events"))[-1]["cursor"]
        await write(log, 50)
        async with connected(log, group) as client:
            await client.say(op="subscribe", id="a", after=cursor)
            assert await client.until_seq(60) == list(range(11, 61))


async def test_without_a_cursor_a_subscription_starts_now(tmp_path: Path):
    async with open_sqlite_log(tmp_path) as log, anyio.create_task_group() as group:
        await write(log, 3)
        async with connected(log, group) as client:
            await client.say(op="subscribe", id="a")
            await client.until("live")
            await write(log, 1)
            assert await client.until_seq(4) == [4]


async def test_the_cursor_moves_past_what_the_filter_leaves_out(tmp_path: Path):
    async with open_sqlite_log(tmp_path) as log, anyio.create_task_group() as group:
        async with connected(log, group) as client:
            await client.say(op="subscribe", id="mine", after=0, taskId="task_other")
            await client.until("live")
            await write(log, 5)
            with anyio.fail_after(DEADLINE_SECONDS):
                while (await client.until("heartbeat"))[-1]["cursors"].get("mine") != 5:
                    await client.until("heartbeat", len([f for f in client.frames if f["op"] == "heartbeat"]) + 1)
            assert client.seqs() == []


async def test_a_cursor_of_the_future_or_of_another_log_is_told_to_reset(tmp_path: Path):
    async with open_sqlite_log(tmp_path) as log, anyio.create_task_group() as group:
        await write(log, 2)
        async with connected(log, group) as client:
            await client.say(op="subscribe", id="future", after=3)
            await client.say(op="subscribe", id="foreign", after=1, logId="another")
            resets = await client.until("reset", 2)
            assert [(frame["id"], frame["head"]) for frame in resets] == [("future", 2), ("foreign", 2)]


async def test_what_is_not_understood_is_answered_and_the_socket_goes_on(tmp_path: Path):
    async with open_sqlite_log(tmp_path) as log, anyio.create_task_group() as group:
        async with connected(log, group) as client:
            client.orders.put_nowait("{nonsense")
            await client.say(op="dance", id="a")
            await client.say(op="subscribe", id="a", after=-1)
            await client.say(op="subscribe", id="a", types=["no.such"])
            await client.say(op="subscribe", id="a", after=0, unknown=True)
            errors = await client.until("error", 5)
            assert [error["code"] for error in errors] == ["bad_message"] * 2 + ["bad_cursor"] + ["bad_message"] * 2
            await client.say(op="subscribe", id="a", after=0)
            await client.until("live")


async def test_an_ended_subscription_says_nothing_more(tmp_path: Path):
    async with open_sqlite_log(tmp_path) as log, anyio.create_task_group() as group:
        async with connected(log, group) as client:
            await client.say(op="subscribe", id="a", after=0)
            await client.say(op="subscribe", id="b", after=0)
            await client.until("live", 2)
            await client.say(op="unsubscribe", id="a")
            await write(log, 1)
            await client.until_seq(1)
            await write(log, 1)
            with anyio.fail_after(DEADLINE_SECONDS):
                while client.seqs("b") != [1, 2]:
                    await anyio.lowlevel.checkpoint()
            assert 2 not in client.seqs("a")


async def test_a_reader_that_does_not_read_disturbs_nobody_and_gets_everything_later(tmp_path: Path):
    async with open_sqlite_log(tmp_path, ring_bytes_max=100_000) as log, anyio.create_task_group() as group:
        async with connected(log, group) as stalled, connected(log, group) as quick:
            for client in (stalled, quick):
                await client.say(op="subscribe", id="a", after=0)
                await client.until("live")
            stalled.may_read = anyio.Event()
            await write(log, 300, text="x" * 5000 + "\n")
            assert await quick.until_seq(300) == list(range(1, 301))
            assert len(stalled.seqs()) <= 1, "nothing more leaves while it does not read"
            ring = log.statistics()["ring"]
            assert ring["bytes"] <= ring["bytes_max"], "what it has not read is not kept in memory for it"
            stalled.may_read.set()
            assert await stalled.until_seq(300) == list(range(1, 301))


async def test_a_tail_thins_output_but_never_state(tmp_path: Path):
    from mission_control.domain.events import SettingsUpdated

    async with open_sqlite_log(tmp_path) as log, anyio.create_task_group() as group:
        async with connected(log, group) as client:
            await client.say(
                op="subscribe", id="board", after=0, output="tail", tailLines=1, types=["task.*", "settings.*"]
            )
            await client.until("live")
            await write(log, 50, text="line\n")
            await log.append(Batch(events=(SettingsUpdated(task_approval_mode=True),), actor=SYSTEM))
            assert await client.until_seq(51) == [51]
            with anyio.fail_after(DEADLINE_SECONDS):
                while (tails := await client.until("tail"))[-1]["tasks"][0]["lines"] != 50:
                    await client.until("tail", len(tails) + 1)
            assert tails[-1]["tasks"][0] == {
                "taskId": "task_1", "lines": 50, "bytes": 250, "from": 49, "streams": "o", "text": "line", "ms": 0,
                "open": False,
            }  # fmt: skip


async def test_a_board_gets_tails_of_what_it_shows_and_at_once_of_what_it_comes_to_show(tmp_path: Path):
    async with open_sqlite_log(tmp_path) as log, anyio.create_task_group() as group:

        async def recent(_: Filter, until: int, ids: Collection[str] | None) -> AsyncGenerator[list[StoredEvent]]:
            for id in ids or ():
                async with log.snapshot() as snapshot:
                    query = queries.newest_output(id, until)
                    events = await snapshot.events(query.sql, query.parameters)
                yield events[::-1]

        async with connected(log, group, recent=recent) as client:
            await client.say(op="subscribe", id="board", after=0, output="tail", tailLines=1, types=["task.*"])
            await client.say(op="show", id="board", taskIds=["task_1", "task_none"])
            await client.until("live")
            for task in ("task_1", "task_2"):
                await write(log, 3, task=task)
            assert [task["taskId"] for task in (await client.until("tail"))[0]["tasks"]] == ["task_1"]
            await client.say(op="show", id="board", taskIds=["task_2"])
            (shown,) = (await client.until("tail", 2))[1]["tasks"]
            assert (shown["taskId"], shown["from"], shown["text"]) == ("task_2", 2, "line")
            await write(log, 1, task="task_1")
            await write(log, 1, task="task_2", text="again\n")
            assert [task["text"] for task in (await client.until("tail", 3))[2]["tasks"]] == ["again"]
            await client.say(op="show", id="board", taskIds=None)
            await write(log, 1, task="task_1", text="back\n")
            assert [task["taskId"] for task in (await client.until("tail", 4))[3]["tasks"]] == ["task_1"]


async def test_a_board_that_was_away_reads_the_state_that_it_missed_and_not_the_output(tmp_path: Path):
    from mission_control.domain.events import SettingsUpdated

    asked: list[int] = []

    async def recent(_: Filter, until: int, ids: Collection[str] | None) -> AsyncGenerator[list[StoredEvent]]:
        asked.append(until)
        async with log.snapshot() as snapshot:
            query = queries.newest_output("task_1", until)
            events = await snapshot.events(query.sql, query.parameters)
        yield events[::-1]

    async with open_sqlite_log(tmp_path, ring_bytes_max=2000) as log, anyio.create_task_group() as group:
        for _ in range(3):
            await write(log, 40)
            await log.append(Batch(events=(SettingsUpdated(task_approval_mode=True),), actor=SYSTEM))
        await write(log, 1, text="the newest\n")
        async with connected(log, group, recent=recent) as client:
            await client.say(op="subscribe", id="board", after=0, output="tail", tailLines=1, types=["*"])
            assert (await client.until("live"))[0]["cursor"] == 124
            assert client.seqs() == [41, 82, 123]
            (shown,) = (await client.until("tail"))[-1]["tasks"]
            assert shown["text"] == "the newest"
            assert len(asked) == 1 and not log.holds_after(asked[0] - 20)


async def test_what_cannot_be_shown_is_said(tmp_path: Path):
    async with open_sqlite_log(tmp_path) as log, anyio.create_task_group() as group:
        async with connected(log, group) as client:
            await client.say(op="subscribe", id="full", after=0)
            await client.say(op="subscribe", id="board", after=0, output="tail")
            await client.say(op="show", id="full", taskIds=[])
            await client.say(op="show", id="none", taskIds=[])
            await client.say(op="show", id="board", taskIds=["task"] * (wire.SHOWN_TASKS_MAX + 1))
            await client.say(op="show", id="board")
            assert [error["code"] for error in await client.until("error", 4)] == ["bad_message"] * 4


async def test_two_hundred_tasks_that_print_all_the_time_are_two_frames_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(live_socket, "BOARD_TAIL_SECONDS", 0.1)
    async with open_sqlite_log(tmp_path) as log, anyio.create_task_group() as group:
        async with connected(log, group) as client:
            await client.say(op="subscribe", id="board", after=0, output="tail", tailLines=1, types=["task.*"])
            await client.until("live")
            began = anyio.current_time()
            for _ in range(5):
                for number in range(200):
                    await write(log, 1, task=f"task_{number:03d}")
            with anyio.fail_after(DEADLINE_SECONDS):
                while len(seen := {task["taskId"] for frame in client.frames for task in frame.get("tasks", [])}) < 200:
                    await client.until("tail", len([f for f in client.frames if f["op"] == "tail"]) + 1)
            assert len(seen) == 200
            turns = int((anyio.current_time() - began) / 0.1) + 1
            assert len(await client.until("tail")) <= turns, "one frame for all of them in each turn"


async def test_the_cursor_of_a_tail_is_never_behind_one_that_was_sent_before(tmp_path: Path):
    from mission_control.domain.events import SettingsUpdated

    async with open_sqlite_log(tmp_path) as log, anyio.create_task_group() as group:
        await write(log, 3)
        await log.append(Batch(events=(SettingsUpdated(task_approval_mode=True),), actor=SYSTEM))
        async with connected(log, group) as client:
            for id in ("a", "b", "c"):  # the tail's own turn comes before or after the events, as it happens
                await client.say(op="subscribe", id=id, after=0, output="tail", types=["*"])
            await client.until("live", 3)
            await client.until("tail", 3)
            for id in ("a", "b", "c"):
                cursors = [frame["cursor"] for frame in client.frames if frame.get("id") == id]
                assert cursors == sorted(cursors), client.frames


async def test_a_page_that_stays_open_does_not_remember_every_task_that_ever_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(live_socket, "TAILS_MAX", 3)
    async with open_sqlite_log(tmp_path) as log:
        socket = Socket(log, Client().send, hello={}, metrics=list, is_allowed=lambda: True, may=lambda _: True)
        order = wire.Subscribe(id="board", after=0, output="tail", tail_lines=1)
        subscription = live_socket._Subscription(socket, order, Filter(), 0)
        for number in range(10):
            await write(log, 1, task=f"task_{number}")
        for event in (await log.read_after(0, Filter())).events:
            subscription._is_state(event)
        shown = json.loads(subscription._tail_frame())["tasks"]
        assert len(shown) == 10, "nothing is forgotten before it was shown"
        assert list(subscription._tails) == ["task_7", "task_8", "task_9"]


async def test_a_key_that_ends_closes_its_open_streams(tmp_path: Path):
    is_valid = True
    async with open_sqlite_log(tmp_path) as log:
        client = Client()
        socket = Socket(log, client.send, hello={}, metrics=list, is_allowed=lambda: is_valid, may=lambda _: True)
        with anyio.fail_after(DEADLINE_SECONDS):
            async with anyio.create_task_group() as group:

                async def end_the_key() -> None:
                    nonlocal is_valid
                    await client.until("hello")
                    is_valid = False

                group.start_soon(end_the_key)
                await socket.serve(client.receive)
