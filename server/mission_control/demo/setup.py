"""Offers the demo desktop while there is nothing else, and takes it up again at the next start.

It goes through the same doors as any desktop: a pinned host key, a private key in the vault, an agent with a token.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from ..control.door import Control
from ..domain.desktops import DesktopEdit, KeyAuth, NewAgent, NewDesktop, NewSsh, SshEdit
from ..domain.entities import Desktop, HostKey
from ..domain.values import SYSTEM
from .world import DemoWorld, open_demo_world

LABEL = "demo"
NAME = "Demo desktop"


@asynccontextmanager
async def offer_demo(control: Control, directory: Path) -> AsyncGenerator[None]:
    """Run the demo world while the block is open, if its desktop is wanted: none exists yet, or it was kept.

    Removing the demo desktop removes it for good; a new data directory offers it again.
    """
    state = await control.journal.ready()
    kept = next((one for one in state.desktops.values() if LABEL in one.labels and not one.removed_at), None)
    if state.desktops and kept is None:
        yield
        return
    async with open_demo_world(directory) as world:
        await (_take_up(control, kept, world) if kept else _add(control, world))
        yield


def _host_key(world: DemoWorld) -> HostKey:
    return HostKey(type=world.host_key_type, fingerprint=world.fingerprint, public_key=world.host_public_key)


def _agent(world: DemoWorld) -> NewAgent:
    return NewAgent(kind="openai", url=world.agent_url, token=world.agent_token, model="demo")


async def _add(control: Control, world: DemoWorld) -> None:
    ssh = NewSsh(
        host="127.0.0.1",
        port=world.ssh_port,
        username=world.username,
        host_key_fingerprint=world.fingerprint,
        auth=KeyAuth(private_key=world.client_private_key),
    )
    new = NewDesktop(name=NAME, ssh=ssh, agent=_agent(world), labels=(LABEL,))
    await control.desktops.create(new, [_host_key(world)], SYSTEM)


async def _take_up(control: Control, desktop: Desktop, world: DemoWorld) -> None:
    """The same desktop again; only where a port was taken meanwhile did its address change."""
    if desktop.ssh.port != world.ssh_port:
        auth = KeyAuth(private_key=world.client_private_key)
        await control.desktops.edit(desktop.id, DesktopEdit(ssh=SshEdit(port=world.ssh_port, auth=auth)), SYSTEM)
        await control.desktops.offer(desktop.id, [_host_key(world)])
        confirmed = DesktopEdit(ssh=SshEdit(host_key_fingerprint=world.fingerprint))
        await control.desktops.edit(desktop.id, confirmed, SYSTEM)
    if desktop.agent is None or desktop.agent.url != world.agent_url:
        await control.desktops.edit(desktop.id, DesktopEdit(agent=_agent(world)), SYSTEM)
