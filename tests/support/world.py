"""A server without its HTTP edge: log, control, connections and runner, with one desktop on a real sshd."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import anyio
import msgspec

from mission_control.control.door import Control, open_control
from mission_control.domain.addresses import networks_of
from mission_control.domain.desktops import DesktopEdit, KeyAuth, NewAgent, NewDesktop, NewSsh, SshEdit
from mission_control.domain.entities import Desktop, Task
from mission_control.domain.filters import Filter
from mission_control.domain.tasks import NewTask
from mission_control.domain.values import Actor
from mission_control.log.event_log import StoredEvent
from mission_control.runs.fleet import Fleet, open_fleet
from mission_control.runs.runner import open_runner
from tests.support.sshd import SshHost, open_sshd, private_text

MIA = Actor(id="key_mia", name="Mia")
DEADLINE_SECONDS = 30


@dataclass
class World:
    """What a test works with."""

    control: Control
    fleet: Fleet

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds; it is looked at after every commit."""
        with anyio.fail_after(DEADLINE_SECONDS):
            while not holds():
                await self.control.log.wait_beyond(self.control.log.head)

    async def add_desktop(
        self, host: SshHost, *, port: int | None = None, confirm: bool = True, **facts: Any
    ) -> Desktop:
        """Add the host as a person does: look at the fingerprint it offers, confirm it, wait until it runs."""
        auth = KeyAuth(private_key=private_text(host.user_key))
        ssh = NewSsh(host="127.0.0.1", port=port or host.port, username=host.username, auth=auth)
        offered = await self.fleet.offered(ssh)
        desktop = await self.control.desktops.create(NewDesktop(**{"name": "ci", "ssh": ssh} | facts), offered, MIA)
        if confirm:
            edit = DesktopEdit(ssh=SshEdit(host_key_fingerprint=offered[0].fingerprint))
            await self.control.desktops.edit(desktop.id, edit, MIA)
            await self.until(lambda: self.desktop(desktop).status == "running")
        return self.desktop(desktop)

    def desktop(self, desktop: Desktop) -> Desktop:
        """As it is now."""
        return self.control.journal.desktop(desktop.id)

    async def run(self, desktop: Desktop, content: str, **facts: Any) -> Task:
        """Create a task and start it."""
        new = NewTask(**{"type": "command", "content": content, "desktop_id": desktop.id, "run": True} | facts)
        (task,) = await self.control.tasks.create([new], MIA)
        return task

    async def task(self, task: Task) -> Task:
        """As it is now."""
        return await self.control.journal.task(task.id)

    async def ended(self, task: Task) -> Task:
        """As it is when nothing runs any more, and the log says so."""
        state = self.control.journal.state
        await self.until(lambda: state.tasks[task.id].status not in ("pending", "running"))
        await self.control.journal.commit((), MIA)  # decided in memory: also wait until it is durable
        return state.tasks[task.id]

    async def in_phase(self, task: Task, phase: str) -> Task:
        """As it is in that phase."""
        state = self.control.journal.state
        await self.until(lambda: state.tasks[task.id].phase == phase)
        return state.tasks[task.id]

    async def events(self, task: Task, *types: str) -> list[dict[str, Any]]:
        """The payloads of a task's events, of these types or all."""
        found: list[StoredEvent] = []
        cursor = 0
        while cursor < self.control.log.head:
            page = await self.control.log.read_after(cursor, Filter(task_id=task.id))
            found, cursor = found + page.events, page.cursor
        return [
            {"type": event.type, **msgspec.json.decode(event.body or b"{}")}
            for event in found
            if not types or event.type in types
        ]

    async def recorded(self, task: Task, output: bytes, stream: str = "stdout") -> None:
        """Wait until exactly this is recorded of a stream."""
        with anyio.fail_after(DEADLINE_SECONDS):
            while await self.output(task, stream) != output:
                await self.control.log.wait_beyond(self.control.log.head)

    async def output(self, task: Task, stream: str) -> bytes:
        """What is recorded of a stream."""
        return b"".join(
            event["text"].encode() if "text" in event else base64.b64decode(event["base64"])
            for event in await self.events(task, "task.output")
            if event["stream"] == stream
        )


def with_agent(url: str, token: str | None = "a-token", via: Literal["ssh", "direct"] = "ssh") -> dict[str, Any]:
    """A desktop's agent endpoint, for `add_desktop`."""
    return {"agent": NewAgent(kind="openai", url=url, token=token, via=via)}


@asynccontextmanager
async def open_world(
    directory: Path, *, patience_s: float = 3600, agent_networks: Sequence[str] = ()
) -> AsyncGenerator[World]:
    """Everything but HTTP, on this data directory; `patience_s` is how long a run waits for its desktop."""
    networks = networks_of(agent_networks)
    async with open_control(directory) as control, open_fleet(control, agent_networks=networks) as fleet:
        async with open_runner(control, fleet, patience_s=patience_s):
            yield World(control, fleet)


__all__ = ["World", "open_sshd", "open_world", "with_agent"]
