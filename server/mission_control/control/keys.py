"""API keys: only digests of them are kept. Look-up is by digest, so its time says nothing about the secret."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from ..domain import keys
from ..domain.entities import Key
from ..domain.events import Event
from ..domain.keys import NewKey
from ..domain.values import Actor
from ..log.event_log import Statement
from ..log.sqlite import Snapshot
from .journal import Journal
from .last_uses import LastUses
from .principals import Principal, Visitor


class Use(NamedTuple):
    """When a key was last used, and from where."""

    at: str
    address: str | None


_USED = (
    "insert into key_uses select ?, ?, ? where exists (select 1 from credentials where key_id = ?)"
    " on conflict (key_id) do update set at = excluded.at, address = excluded.address"
)
_OF_KEYS = ("credentials", "sessions", "key_uses")


class Keys:
    """The keys, and when each was last used."""

    def __init__(self, journal: Journal, last_uses: LastUses) -> None:
        self._journal = journal
        self._last_uses = last_uses
        self._ids: dict[bytes, str] = {}
        self._uses: dict[str, Use] = {}

    async def load(self, snapshot: Snapshot) -> None:
        """Read what is stored."""
        for digest, key_id in await snapshot.rows("select digest, key_id from credentials"):
            self._ids[digest] = key_id
        for key_id, at, address in await snapshot.rows("select key_id, at, address from key_uses"):
            self._uses[key_id] = Use(at, address)

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return bool(self._ids)

    def by_key(self, secret: str, visitor: Visitor) -> Principal | None:
        """The holder of a key that is valid now."""
        key, now = self._journal.state.keys.get(self._ids.get(keys.digest(secret), "")), self._journal.now()
        if key is None or not keys.is_valid(key, now):
            return None
        self._uses[key.id] = Use(now, visitor.address)
        self._last_uses.used(key.id, self._use_of)
        return Principal("key", key.id, key.name, key.role, key.id, None, key.desktop_labels, visitor.address)

    def lives(self, id: str) -> bool:
        """Whether a key opens the door now."""
        key = self._journal.state.keys.get(id)
        return key is not None and keys.is_valid(key, self._journal.now())

    def listed(self) -> list[Key]:
        """The keys that are not revoked, oldest first."""
        return [key for _, key in sorted(self._journal.state.keys.items()) if key.revoked_at is None]

    def last_use(self, id: str) -> Use | None:
        """When a key was last used, and from where."""
        return self._uses.get(id)

    async def create(
        self, new: NewKey, actor: Actor, remember: Callable[[Key], Statement] | None = None
    ) -> tuple[Key, str]:
        """A new key, and its text, which is shown once."""
        await self._journal.ready()
        secret = keys.key_text(self._journal.entropy(keys.KEY_BYTES))
        id = self._journal.new_id("key")
        events = keys.create(new, id=id, secret=secret, at=self._journal.now())
        digest = keys.digest(secret)
        stored = Statement("insert into credentials values (?, ?)", (id, digest))
        key = await self._commit(id, events, actor, [stored], remember)
        self._ids[digest] = id
        return key, secret

    async def revoke(self, id: str, actor: Actor, *, by_owner: bool) -> None:
        """End a key. Its sessions are gone with it from the disk."""
        state = await self._journal.ready()
        events = keys.revoke(state.keys.get(id), id, state.keys.values(), at=self._journal.now(), by_owner=by_owner)
        gone = [Statement(f"delete from {table} where key_id = ?", (id,)) for table in _OF_KEYS]  # noqa: S608 - ours
        await self._commit(id, events, actor, gone, None)
        self._ids = {digest: key_id for digest, key_id in self._ids.items() if key_id != id}
        self._uses.pop(id, None)

    async def _commit(
        self,
        id: str,
        events: Iterable[Event],
        actor: Actor,
        beside: list[Statement],
        remember: Callable[[Key], Statement] | None,
    ) -> Key:
        def before_append() -> Statement | None:
            return remember(self._journal.state.keys[id]) if remember else None

        await self._journal.commit(events, actor, beside=beside, before_append=before_append)
        return self._journal.state.keys[id]

    def _use_of(self, id: str) -> Statement | None:
        use = self._uses.get(id)
        return Statement(_USED, (id, use.at, use.address, id)) if use else None
