"""Changes of desktops: what people ask for, and what the connections report."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import UNSET, UnsetType

from ..domain import desktops
from ..domain.desktops import AnyAuth, DesktopEdit, KeyAuth, NewAgent, NewDesktop, PasswordAuth, Reached
from ..domain.entities import Desktop, HostKey, LinkState
from ..domain.errors import VERSION_MISMATCH, Refused, invalid, invalid_fields
from ..domain.events import Event
from ..domain.values import SYSTEM, Actor, Error, Time
from ..log.event_log import Statement
from ..log.vault import Vault
from .journal import Journal


class Desktops:
    """Commands on desktops. Each returns the desktop as it stands when its events are durable."""

    def __init__(self, journal: Journal, vault: Vault) -> None:
        self._journal = journal
        self._vault = vault

    def check_new(self, new: NewDesktop) -> None:
        """Refuse a description that is not valid, before anything is sent to the host that it names."""
        if errors := desktops.problems_of(new):
            raise invalid_fields(errors)
        self._check_jump(None, new.ssh.jump)

    def _check_jump(self, id: str | None, jump: str | UnsetType | None) -> None:
        known = self._journal.state.desktops
        if jump is not UNSET and jump is not None and (wrong := desktops.jump_problem(id, jump, known)):
            raise invalid("/ssh/jump", wrong)

    async def create(
        self,
        new: NewDesktop,
        offered: Sequence[HostKey],
        actor: Actor,
        *,
        error: Error | None = None,
        remember: Callable[[Desktop], Statement] | None = None,
    ) -> Desktop:
        """Add a desktop that showed these host keys; its secrets are sealed in the same transaction."""
        state = await self._journal.ready()
        self.check_new(new)
        id = self._journal.new_id("desk")
        events = desktops.create(
            new, id=id, at=self._journal.now(), offered=offered, error=error, known=state.known_hosts.values()
        )
        sealed = [*self._auth_secrets(id, new.ssh.auth), *self._agent_secret(id, new.agent)]
        return await self._change(id, events, actor, sealed, remember)

    async def edit(self, id: str, changes: DesktopEdit, actor: Actor, *, version: int | None = None) -> Desktop:
        """Edit a desktop; with `version`, only if it is still that one."""
        state = await self._journal.ready()
        desktop = self._journal.desktop(id)
        if version is not None and version != desktop.version:
            raise Refused(VERSION_MISMATCH, version=desktop.version)
        if changes.ssh is not UNSET:
            self._check_jump(id, changes.ssh.jump)
        events = desktops.edit(desktop, changes, known=state.known_hosts.values())
        sealed: list[Statement] = []
        if changes.ssh is not UNSET and changes.ssh.auth is not UNSET:
            sealed += [self._vault.forget(id, name) for name in ("privateKey", "passphrase", "certificate", "password")]
            sealed += self._auth_secrets(id, changes.ssh.auth)
        if changes.agent is None:
            sealed.append(self._vault.forget(id, "agentToken"))
        elif changes.agent is not UNSET:
            sealed += self._agent_secret(id, changes.agent)
        return await self._change(id, events, actor, sealed)

    async def stop(self, id: str, actor: Actor) -> Desktop:
        """Take it out of service."""
        await self._journal.ready()
        return await self._change(id, desktops.stop(self._journal.desktop(id)), actor)

    async def start(self, id: str, actor: Actor) -> Desktop:
        """Bring it back into service."""
        await self._journal.ready()
        return await self._change(id, desktops.start(self._journal.desktop(id)), actor)

    async def restart(self, id: str, actor: Actor) -> Desktop:
        """Connect it anew."""
        await self._journal.ready()
        return await self._change(id, desktops.restart(self._journal.desktop(id)), actor)

    async def remove(self, id: str, actor: Actor) -> Desktop:
        """Take it out of the fleet; its pending tasks are cancelled and its secrets deleted."""
        state = await self._journal.ready()
        desktop = self._journal.desktop(id, removed=False)
        events = desktops.remove(desktop, state.open_tasks(), state.desktops.values(), at=self._journal.now())
        of_runs = Statement("delete from secrets where owner in (select id from tasks where desktop_id = ?)", (id,))
        return await self._change(id, events, actor, [self._vault.forget(id), of_runs])

    async def secret(self, id: str, name: str) -> str | None:
        """A sealed secret of a desktop, opened. Raises SecretUnreadable."""
        async with self._journal.log.snapshot() as snapshot:
            row = await snapshot.row("select sealed from secrets where owner = ? and name = ?", (id, name))
        return self._vault.open(id, name, row[0]) if row else None

    # What connections report.

    async def offer(self, id: str, offered: Sequence[HostKey]) -> Desktop:
        """The host showed these keys."""
        await self._journal.ready()
        return await self._change(id, desktops.offer(self._journal.desktop(id), offered), SYSTEM)

    async def started(self, id: str, *, ip_address: str | None, reached: Reached) -> Desktop:
        """It is connected and can run something."""
        await self._journal.ready()
        at = self._journal.now()
        events = desktops.started(self._journal.desktop(id), at=at, ip_address=ip_address, reached=reached)
        return await self._change(id, events, SYSTEM)

    async def failed(self, id: str, error: Error, *, next_try_at: Time | None) -> Desktop:
        """It cannot be used, for this reason."""
        await self._journal.ready()
        events = desktops.failed(self._journal.desktop(id), error, next_try_at=next_try_at)
        return await self._change(id, events, SYSTEM)

    async def link_changed(
        self,
        id: str,
        link: LinkState,
        *,
        error: Error | None = None,
        next_try_at: Time | None = None,
        reached: Reached | None = None,
    ) -> Desktop:
        """The connection came or went."""
        await self._journal.ready()
        desktop, at = self._journal.desktop(id), self._journal.now()
        events = desktops.link_changed(desktop, link, at=at, error=error, next_try_at=next_try_at, reached=reached)
        return await self._change(id, events, SYSTEM)

    async def agent_ready(self, id: str, ready: bool) -> Desktop:
        """Its agent answers, or does not any more."""
        await self._journal.ready()
        return await self._change(id, desktops.agent_ready(self._journal.desktop(id), ready), SYSTEM)

    def _auth_secrets(self, id: str, auth: AnyAuth) -> list[Statement]:
        match auth:
            case KeyAuth():
                given = {
                    "privateKey": auth.private_key,
                    "passphrase": auth.passphrase,
                    "certificate": auth.certificate,
                }
                return [self._vault.seal(id, name, value) for name, value in given.items() if value is not None]
            case PasswordAuth(password=password):
                return [self._vault.seal(id, "password", password)]
            case _:
                return []

    def _agent_secret(self, id: str, agent: NewAgent | None) -> list[Statement]:
        return [self._vault.seal(id, "agentToken", agent.token)] if agent and agent.token else []

    async def _change(
        self,
        id: str,
        events: list[Event],
        actor: Actor,
        beside: Sequence[Statement] = (),
        remember: Callable[[Desktop], Statement] | None = None,
    ) -> Desktop:
        result: list[Desktop] = []

        def before_append() -> Statement | None:
            result.append(self._journal.desktop(id))
            return remember(result[0]) if remember else None

        await self._journal.commit(events, actor, beside=beside, before_append=before_append)
        return result[0]
