"""Changes of what is known of hosts for the whole fleet."""

from __future__ import annotations

from ..domain import known_hosts
from ..domain.entities import KnownHost
from ..domain.known_hosts import NewKnownHost
from ..domain.values import Actor
from ..log.event_log import Statement
from .journal import Journal


class KnownHosts:
    """Commands on known hosts. Desktops that they concern change in the same transaction."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def add(self, new: NewKnownHost, actor: Actor) -> KnownHost:
        """Trust an authority for hosts, or revoke a key."""
        state, id = await self._journal.ready(), self._journal.new_id("host")
        events = known_hosts.add(
            new, state.known_hosts, state.desktops.values(), id=id, at=self._journal.now(), actor=actor
        )
        made: list[KnownHost] = []
        await self._journal.commit(events, actor, before_append=lambda: made.append(state.known_hosts[id]))
        return made[0]

    async def remove(self, id: str, actor: Actor) -> None:
        """Take one back."""
        state = await self._journal.ready()
        events = known_hosts.remove(id, state.known_hosts, state.desktops.values(), at=self._journal.now())
        row = Statement("delete from known_hosts where id = ?", (id,))
        await self._journal.commit(events, actor, beside=[row])
