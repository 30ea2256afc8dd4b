"""Who is asking: API keys, browser sessions, one-time sign-in links. Only digests of them are kept.

Look-up is by digest, so its time says nothing about the secret.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from ..domain import keys
from ..domain.entities import Key
from ..domain.errors import Refused
from ..domain.events import Event
from ..domain.keys import NewKey
from ..domain.times import microseconds, rfc3339
from ..domain.values import SYSTEM, Actor, Role
from ..log.event_log import Statement
from .journal import Journal

SESSION_SECONDS = 30 * 24 * 3600
LINK_SECONDS = 600
LINKS_MAX = 100  # sign-in links waiting at once; the oldest gives way
TOKEN_BYTES = 32


class Principal(msgspec.Struct, frozen=True):
    """Who makes a request, and what they may do. `credential` is the digest that opened the door."""

    kind: Literal["key", "session", "local"]
    id: str
    name: str
    role: Role
    key_id: str | None = None
    credential: bytes = b""

    @property
    def actor(self) -> Actor:
        return Actor(id=self.id, name=self.name)


LOCAL = Principal(kind="local", id="local", name="local", role="admin")
"""Whoever may open the data directory's socket owns the data anyway."""


class _Session(msgspec.Struct, frozen=True):
    principal: Principal
    expires_at: str


class Access:
    """Keys, sessions and links."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._keys: dict[bytes, str] = {}
        self._sessions: dict[bytes, _Session] = {}
        self._links: dict[bytes, str] = {}

    async def load(self) -> None:
        """Read what is stored; called once before the first request."""
        await self._journal.ready()
        now = self._journal.now()
        async with self._journal.log.snapshot() as snapshot:
            for digest, key_id in await snapshot.rows("select digest, key_id from credentials"):
                self._keys[digest] = key_id
            for row in await snapshot.rows(
                "select digest, actor_id, actor_name, role, key_id, expires_at from sessions where expires_at > ?",
                (now,),
            ):
                digest, actor_id, actor_name, role, key_id, expires_at = row
                principal = Principal("session", actor_id, actor_name, role, key_id, digest)
                self._sessions[digest] = _Session(principal, expires_at)

    @property
    def has_keys(self) -> bool:
        """Whether anybody could sign in already."""
        return bool(self._keys) or bool(self._sessions)

    def by_key(self, secret: str) -> Principal | None:
        """The holder of a key that is valid now."""
        digest = keys.digest(secret)
        key = self._journal.state.keys.get(self._keys.get(digest, ""))
        if key is None or not keys.is_valid(key, self._journal.now()):
            return None
        return Principal("key", key.id, key.name, key.role, key.id, digest)

    def by_session(self, token: str) -> Principal | None:
        """The person of a browser session that has not ended."""
        session = self._sessions.get(keys.digest(token))
        return session.principal if session and self._session_lives(session) else None

    def is_valid(self, principal: Principal) -> bool:
        """Whether what opened the door still does; streams ask again and again."""
        if principal.kind == "local":
            return True
        if principal.kind == "session":
            session = self._sessions.get(principal.credential)
            return session is not None and self._session_lives(session)
        return principal.key_id is not None and self._key_lives(principal.key_id)

    def _session_lives(self, session: _Session) -> bool:
        key_id = session.principal.key_id
        return self._journal.now() < session.expires_at and (key_id is None or self._key_lives(key_id))

    def _key_lives(self, key_id: str) -> bool:
        key = self._journal.state.keys.get(key_id)
        return key is not None and keys.is_valid(key, self._journal.now())

    def make_link(self) -> str:
        """A one-time sign-in link's token, good for ten minutes, for the owner of the server."""
        token = self._token()
        while len(self._links) >= LINKS_MAX:
            del self._links[next(iter(self._links))]
        self._links[keys.digest(token)] = self._later(LINK_SECONDS)
        return token

    async def sign_in(self, *, key: str | None = None, link: str | None = None) -> tuple[str, Principal] | None:
        """A new browser session by a key or a link; its token, and who it is. None when neither opens anything."""
        await self._journal.ready()
        link_digest, expires_at = keys.digest(link or ""), ""
        if key is not None:
            holder = self.by_key(key)
            if holder is None:
                return None
            actor, role, key_id = holder.actor, holder.role, holder.key_id
        else:
            expires_at = self._links.pop(link_digest, "")
            if expires_at <= self._journal.now():
                return None
            actor, role, key_id = Actor(id="owner", name="owner"), "admin", None
        token = self._token()
        digest = keys.digest(token)
        session = _Session(
            Principal("session", actor.id, actor.name, role, key_id, digest), self._later(SESSION_SECONDS)
        )
        row = (digest, actor.id, actor.name, role, key_id, self._journal.now(), session.expires_at)
        over = Statement("delete from sessions where expires_at <= ?", (self._journal.now(),))
        statement = Statement("insert into sessions values (?, ?, ?, ?, ?, ?, ?)", row)
        try:
            await self._journal.commit([], SYSTEM, beside=[over, statement])
        except Refused:
            if expires_at:
                self._links[link_digest] = expires_at  # nothing was changed: the link still works
            raise
        self._sessions = {known: one for known, one in self._sessions.items() if self._session_lives(one)}
        self._sessions[digest] = session
        return token, session.principal

    async def sign_out(self, principal: Principal) -> None:
        """End a browser session at once."""
        session = self._sessions.pop(principal.credential, None)
        statement = Statement("delete from sessions where digest = ?", (principal.credential,))
        try:
            await self._journal.commit([], SYSTEM, beside=[statement])
        except Refused:
            if session is not None:
                self._sessions[principal.credential] = session  # as the answer says; a restart would bring it back too
            raise

    def listed(self) -> list[Key]:
        """The keys that are not revoked, oldest first."""
        return [key for _, key in sorted(self._journal.state.keys.items()) if key.revoked_at is None]

    async def create_key(
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
        self._keys[digest] = id
        return key, secret

    async def revoke_key(self, id: str, actor: Actor, *, by_owner: bool) -> None:
        """End a key, its sessions and its open streams."""
        state = await self._journal.ready()
        events = keys.revoke(state.keys.get(id), id, state.keys.values(), at=self._journal.now(), by_owner=by_owner)
        gone = [
            Statement("delete from credentials where key_id = ?", (id,)),
            Statement("delete from sessions where key_id = ?", (id,)),
        ]
        await self._commit(id, events, actor, gone, None)
        self._keys = {digest: key_id for digest, key_id in self._keys.items() if key_id != id}

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

    def _token(self) -> str:
        return base64.urlsafe_b64encode(self._journal.entropy(TOKEN_BYTES)).rstrip(b"=").decode()

    def _later(self, seconds: int) -> str:
        return rfc3339(microseconds(self._journal.now()) + seconds * 1_000_000)
