"""A data directory in which time has passed: what happened days ago, written through the log as a server does."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from mission_control.control.door import Control, open_control
from mission_control.domain.desktops import KeyAuth, NewDesktop, NewSsh, Reached
from mission_control.domain.entities import Error, HostKey, Task
from mission_control.domain.tasks import NewTask, RunEnd
from mission_control.domain.values import SYSTEM, Actor
from mission_control.log.directory import locked_directory

FINGERPRINT = "SHA256:" + "a" * 43
HOST_KEY = HostKey(type="ed25519", fingerprint=FINGERPRINT, public_key="ssh-ed25519 AAAA")
SECOND_US = 1_000_000


@dataclass
class Clock:
    """Microseconds since 1970: as somebody sets them, until time goes on by itself."""

    now_us: int = field(default_factory=lambda: time.time_ns() // 1000)
    stands: bool = True

    def __call__(self) -> int:
        return self.now_us if self.stands else time.time_ns() // 1000


@dataclass
class Past:
    """What there is to write a past with."""

    control: Control
    clock: Clock

    async def desktop(self, name: str, *, labels: tuple[str, ...] = ()) -> str:
        """A desktop that was reached once; its id."""
        new = NewDesktop(
            name=name,
            ssh=NewSsh(host="127.0.0.1", auth=KeyAuth(private_key="a key"), host_key_fingerprint=FINGERPRINT),
            labels=labels,
            max_concurrent_tasks=1000,
        )
        desktop = await self.control.desktops.create(new, [HOST_KEY], SYSTEM)
        await self.control.desktops.started(desktop.id, ip_address="127.0.0.1", reached=Reached(os="Linux"))
        return desktop.id

    async def started(
        self, desktop_ids: Sequence[str], content: str, actor: Actor = SYSTEM, **facts: Any
    ) -> list[Task]:
        """A task on each of the desktops, made and started now."""
        new = [
            NewTask(**{"type": "command", "content": content, "desktop_id": id, "run": True} | facts)
            for id in desktop_ids
        ]
        return await self.control.tasks.create(new, actor)

    async def end(self, tasks: Sequence[Task], *, exit_code: int = 0, duration_ms: int = 1000) -> None:
        """The tasks end, as long as they took after now."""
        self.clock.now_us += duration_ms * 1000
        error = Error(code="exit_nonzero", message=f"The command exited with {exit_code}.") if exit_code else None
        end = RunEnd(exit_code=exit_code, duration_ms=duration_ms, error=error)
        async with anyio.create_task_group() as group:
            for task in tasks:
                group.start_soon(self._end, task, end)

    async def _end(self, task: Task, end: RunEnd) -> None:
        await self.control.tasks.enter_phase(task.id, "streaming")
        await self.control.tasks.finish(task.id, end)


@asynccontextmanager
async def open_past(directory: Path) -> AsyncGenerator[Past]:
    """The log of a data directory without a server, at whatever time `clock` says."""
    clock = Clock()
    directory.mkdir(mode=0o700, exist_ok=True)
    with locked_directory(directory):
        async with open_control(directory, clock_us=clock) as control:
            yield Past(control, clock)
