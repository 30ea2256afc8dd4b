"""A client that follows the log as a browser does: it is cut off at random moments, and comes back with its cursor."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio
import msgspec
import websockets
import websockets.asyncio.client as ws

from tests.faults.history import Seen, Watched

RETRY_SECONDS = 0.02  # the server may be away; nothing tells when it is back
# Far above what anything takes. Lower where a test is expected to fail: see scripts/faults.
DEADLINE_SECONDS = float(os.environ.get("MISSION_CONTROL_FAULTS_SECONDS", "60"))


class _Envelope(msgspec.Struct):
    seq: int
    type: str
    payload: msgspec.Raw


class _Frame(msgspec.Struct):
    op: str
    events: list[_Envelope] = []
    cursor: int = 0
    log_id: str | None = msgspec.field(name="logId", default=None)
    head: int = 0


_decode = msgspec.json.Decoder(_Frame).decode


class Watcher:
    """Collects events of the whole log, or of one task, over as many connections as it takes."""

    def __init__(
        self, name: str, url: Callable[[], str], key: str, *, task_id: str | None = None, seed: int = 0
    ) -> None:
        self.name = name
        self.events: list[Seen] = []
        self.cursor = 0
        self.resets = 0
        self.connects = 0
        self.follows = task_id
        self._url, self._key, self._task_id = url, key, task_id
        self._chance = random.Random(f"{seed} {name}")
        self._log_id: str | None = None
        self._changed = anyio.Event()
        self._output_bytes: dict[str, int] = {}

    def seen(self) -> Watched:
        """What it has put together so far."""
        return Watched(self.name, 0, self.cursor, tuple(self.events), self._task_id, self.resets)

    def output_bytes(self, task_id: str) -> int:
        """How much output of a task has come."""
        return self._output_bytes.get(task_id, 0)

    def of(self, task_id: str, *types: str) -> list[Seen]:
        """The events of a task that have come; of some types."""
        return [one for one in self.events if (not types or one.type in types) and one.task_id == task_id]

    async def until(self, holds: Callable[[], Any], what: str, seconds: float = DEADLINE_SECONDS) -> None:
        """Wait until something holds; it is asked again whenever something has come."""
        with anyio.move_on_after(seconds):
            while not holds():
                await self._changed.wait()
            return
        raise AssertionError(
            f"{self.name} waited {seconds:.0f} s for {what}; it has {list(map(str, self.events[-12:]))}"
        )

    async def follow(self) -> None:
        """For ever: connect, subscribe from the cursor, and be cut off."""
        while True:
            with suppress(OSError, websockets.exceptions.WebSocketException, TimeoutError):
                await self._follow_once()
            await anyio.sleep(RETRY_SECONDS)

    async def _follow_once(self) -> None:
        frames_left = self._chance.choice((1, 3, 10, 40, 200, 10_000))
        headers = {"x-api-key": self._key}
        url = self._url().replace("http", "ws") + "/api/mission-control/activity/ws"
        async with ws.connect(
            url, additional_headers=headers, max_size=None, compression=None, close_timeout=0.1
        ) as socket:
            self.connects += 1
            order: dict[str, Any] = {"op": "subscribe", "id": "all", "after": self.cursor, "logId": self._log_id}
            order |= {"taskId": self._task_id}
            await socket.send(json.dumps({name: value for name, value in order.items() if value is not None}))
            async for message in socket:
                frame = _decode(message)
                if frame.op == "hello" and self._log_id is None:
                    self._log_id = frame.log_id
                elif frame.op == "reset":
                    self.resets += 1
                    self.events.clear()
                    self._output_bytes.clear()
                    self.cursor, self._log_id = 0, frame.log_id
                    return
                elif frame.op in ("events", "live"):
                    self._take(frame)
                    frames_left -= 1
                    if frames_left <= 0:
                        socket.transport.abort()
                        return

    def _take(self, frame: _Frame) -> None:
        for one in frame.events:
            seen = Seen(one.seq, one.type, bytes(one.payload))
            self.events.append(seen)
            if one.type == "task.output" and seen.task_id:
                count = self._output_bytes.get(seen.task_id, 0)
                self._output_bytes[seen.task_id] = count + seen.payload["length"]
        self.cursor = frame.cursor
        self._changed.set()
        self._changed = anyio.Event()
