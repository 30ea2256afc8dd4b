"""Who is asking: API keys, browser sessions, one-time sign-in links. Only digests of them are kept.

Look-up is by digest, so its time says nothing about the secret.
"""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

import anyio
import msgspec
from msgspec import UNSET

from ..domain import keys
from ..domain.entities import Key
from ..domain.errors import NOT_FOUND, Refused
from ..domain.events import AuthFailed, AuthSignedIn, AuthSignedOut, Event, SignInMethod
from ..domain.keys import NewKey
from ..domain.permissions import Reach, reach_of
from ..domain.times import microseconds, rfc3339
from ..domain.values import Actor, Role
from ..log.event_log import Batch, Statement
from .journal import Journal

SESSION_SECONDS = 30 * 24 * 3600  # after which a session ends in any case
IDLE_SECONDS = 7 * 24 * 3600  # without a request, after which a session ends
ROTATE_SECONDS = 24 * 3600  # how old a session's token becomes
PREVIOUS_SECONDS = 60  # for which a token still opens after its successor was first used: requests were under way
LINK_SECONDS = 600
LINKS_MAX = 100  # sign-in links waiting at once; the oldest gives way
SESSIONS_MAX = 50  # of one person; the one unused longest gives way
TOKEN_BYTES = 32
USES_SECONDS = 60  # between two writes of when keys and sessions were last used
AGENT_CHARACTERS_MAX = 200  # kept of a browser's name for itself
FAILED_SECONDS = 60  # for which attempts that failed are gathered, after the first
FAILED_ADDRESSES_TOLD = 10  # of such a time; what came from others is one event
FAILED_ADDRESSES_MAX = 1000  # in memory


class Principal(msgspec.Struct, frozen=True):
    """Who makes a request, from where, and what they may do; with `labels` only on desktops that carry one of them."""

    kind: Literal["key", "session", "local"]
    id: str
    name: str
    role: Role
    key_id: str | None = None
    session_id: str | None = None
    labels: tuple[str, ...] = ()
    address: str | None = None

    @property
    def actor(self) -> Actor:
        return Actor(id=self.id, name=self.name, via=self.kind, address=self.address or UNSET)


LOCAL = Principal(kind="local", id="local", name="local", role="admin")
"""Whoever may open the data directory's socket owns the data anyway."""


class Visitor(NamedTuple):
    """Where a request comes from, as far as it can be known."""

    address: str | None = None
    user_agent: str | None = None


class Session(msgspec.Struct, kw_only=True):
    """A signed-in browser. `digest` is that of its token, `previous` of the one before while it still opens."""

    id: str
    principal: Principal
    method: SignInMethod
    created_at: str
    expires_at: str
    seen_at: str
    rotated_at: str
    address: str | None
    user_agent: str | None
    digest: bytes
    previous: bytes | None = None
    previous_until: str | None = None  # None while the newest token was not used yet


class Use(NamedTuple):
    """When a key was last used, and from where."""

    at: str
    address: str | None


_INSERT = (
    "insert into sessions (digest, actor_id, actor_name, role, key_id, created_at, expires_at, id, method, seen_at,"
    " rotated_at, address, user_agent, previous) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_UPDATE = "update sessions set digest = ?, previous = ?, seen_at = ?, rotated_at = ?, address = ? where id = ?"
_USED = (
    "insert into key_uses select ?, ?, ? where exists (select 1 from credentials where key_id = ?)"
    " on conflict (key_id) do update set at = excluded.at, address = excluded.address"
)


class Access:
    """Keys, sessions and links."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._keys: dict[bytes, str] = {}
        self._sessions: dict[str, Session] = {}
        self._tokens: dict[bytes, Session] = {}
        self._links: dict[bytes, str] = {}
        self._uses: dict[str, Use] = {}
        self._unwritten: set[str] = set()  # ids of keys and sessions that were used since that was last written
        self._written_us = 0
        self._waiting: set[asyncio.Future[None]] = set()  # streams, for the end of what opened them
        self._failures = _Failures(journal)

    async def load(self) -> None:
        """Read what is stored; called once before the first request."""
        state = await self._journal.ready()
        async with self._journal.log.snapshot() as snapshot:
            for digest, key_id in await snapshot.rows("select digest, key_id from credentials"):
                self._keys[digest] = key_id
            for key_id, at, address in await snapshot.rows("select key_id, at, address from key_uses"):
                self._uses[key_id] = Use(at, address)
            for row in await snapshot.rows(
                "select id, actor_id, actor_name, role, key_id, method, created_at, expires_at, seen_at, rotated_at,"
                " address, user_agent, digest, previous from sessions where expires_at > ?",
                (self._journal.now(),),
            ):
                id, actor_id, name, role, key_id, method, created, expires, seen, rotated, address, agent, *tokens = row
                key = state.keys.get(key_id or "")
                labels = key.desktop_labels if key else ()
                session = Session(
                    id=id,
                    principal=Principal("session", actor_id, name, role, key_id, id, labels),
                    method=method,
                    created_at=created,
                    expires_at=expires,
                    seen_at=seen,
                    rotated_at=rotated,
                    address=address,
                    user_agent=agent,
                    digest=tokens[0],
                    previous=tokens[1],
                )
                if self._session_lives(session):
                    self._keep(session)

    def close(self) -> None:
        """Write what was not written yet; the log takes it before it closes."""
        self._failures.close()
        self._write_uses()

    @property
    def has_keys(self) -> bool:
        """Whether anybody could sign in already."""
        return bool(self._keys) or bool(self._sessions)

    # Who comes in.

    def by_key(self, secret: str, visitor: Visitor = Visitor()) -> Principal | None:  # noqa: B008 - immutable
        """The holder of a key that is valid now."""
        key = self._journal.state.keys.get(self._keys.get(keys.digest(secret), ""))
        if key is None or not keys.is_valid(key, self._journal.now()):
            return None
        self._uses[key.id] = Use(self._journal.now(), visitor.address)
        self._used(key.id)
        return Principal("key", key.id, key.name, key.role, key.id, None, key.desktop_labels, visitor.address)

    def by_session(self, token: str, visitor: Visitor = Visitor()) -> Principal | None:  # noqa: B008 - immutable
        """The person of a browser session that has not ended."""
        digest, now = keys.digest(token), self._journal.now()
        session = self._tokens.get(digest)
        if session is None or not self._session_lives(session):
            return None
        if digest == session.previous:
            if session.previous_until is not None and now >= session.previous_until:
                return None
        elif session.previous is not None and session.previous_until is None:
            session.previous_until = self._later(PREVIOUS_SECONDS)
        session.seen_at, session.address = now, visitor.address or session.address
        self._used(session.id)
        return msgspec.structs.replace(session.principal, address=visitor.address)

    async def rotated(self, principal: Principal) -> str | None:
        """A new token for a session whose token has grown old; None while it has not."""
        session = self._sessions.get(principal.session_id or "")
        if session is None or self._journal.now() < self._after(session.rotated_at, ROTATE_SECONDS):
            return None
        token, before = self._token(), msgspec.structs.replace(session)
        if session.previous is not None:
            self._tokens.pop(session.previous, None)
        session.previous, session.previous_until = session.digest, None
        session.digest, session.rotated_at = keys.digest(token), self._journal.now()
        self._tokens[session.digest] = session
        try:
            await self._journal.commit([], principal.actor, beside=[_update(session)])
        except Refused:  # it stays with the token that it has
            del self._tokens[session.digest]
            session.digest, session.rotated_at = before.digest, before.rotated_at
            session.previous = session.previous_until = None
            return None
        return token

    def is_valid(self, principal: Principal) -> bool:
        """Whether what opened the door still does; streams ask again and again."""
        if principal.kind == "local":
            return True
        if principal.kind == "session":
            session = self._sessions.get(principal.session_id or "")
            return session is not None and self._session_lives(session)
        return principal.key_id is not None and self._key_lives(principal.key_id)

    async def ended(self, principal: Principal) -> None:
        """Return as soon as what opened the door does so no more: revoked, signed out, or expired."""
        while self.is_valid(principal):
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(waiter)
            try:
                with anyio.move_on_after(self._seconds_left(principal)):
                    await waiter
            finally:
                self._waiting.discard(waiter)

    def reach(self, principal: Principal) -> Reach:
        """The desktops that somebody sees and acts on now; None is all of them."""
        return reach_of(principal.labels, self._journal.state.desktops.values())

    def failed(self, method: SignInMethod, visitor: Visitor) -> None:
        """Somebody showed a key or link that opens nothing: that goes into the log, gathered."""
        self._failures.add(visitor.address, method)

    def _session_lives(self, session: Session) -> bool:
        key_id, now = session.principal.key_id, self._journal.now()
        is_idle = now >= self._after(session.seen_at, IDLE_SECONDS)
        return now < session.expires_at and not is_idle and (key_id is None or self._key_lives(key_id))

    def _key_lives(self, key_id: str) -> bool:
        key = self._journal.state.keys.get(key_id)
        return key is not None and keys.is_valid(key, self._journal.now())

    def _seconds_left(self, principal: Principal) -> float:
        """Until the next look, at most a minute: clocks are set, and a session may have been used elsewhere."""
        ends: list[str] = []
        if session := self._sessions.get(principal.session_id or ""):
            ends += [session.expires_at, self._after(session.seen_at, IDLE_SECONDS)]
        if (key := self._journal.state.keys.get(principal.key_id or "")) and key.expires_at:
            ends.append(key.expires_at)
        now = microseconds(self._journal.now())
        return min([60.0, *((microseconds(end) - now) / 1_000_000 for end in ends)])

    def _tell(self) -> None:
        """Something ended: whoever waits for that looks again."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    # Sessions.

    def make_link(self) -> str:
        """A one-time sign-in link's token, good for ten minutes, for the owner of the server."""
        token = self._token()
        while len(self._links) >= LINKS_MAX:
            del self._links[next(iter(self._links))]
        self._links[keys.digest(token)] = self._later(LINK_SECONDS)
        return token

    async def sign_in(
        self,
        *,
        key: str | None = None,
        link: str | None = None,
        visitor: Visitor = Visitor(),  # noqa: B008 - immutable
        instead: str | None = None,
    ) -> tuple[str, Principal] | None:
        """A new browser session by a key or a link; its token, and who it is. None when neither opens anything.

        `instead` is the token that the browser had: its session ends.
        """
        await self._journal.ready()
        link_digest, link_until = keys.digest(link or ""), ""
        if key is not None:
            holder = self.by_key(key, visitor)
            if holder is None:
                return None
        else:
            link_until = self._links.pop(link_digest, "")
            if link_until <= self._journal.now():
                return None
            holder = Principal("session", "owner", "owner", "admin")
        id, token, now = self._journal.new_id("sess"), self._token(), self._journal.now()
        principal = msgspec.structs.replace(holder, kind="session", session_id=id, address=None)
        session = Session(
            id=id,
            principal=principal,
            method="key" if link is None else "link",
            created_at=now,
            expires_at=self._later(SESSION_SECONDS),
            seen_at=now,
            rotated_at=now,
            address=visitor.address,
            user_agent=_short(visitor.user_agent),
            digest=keys.digest(token),
        )
        before = self._tokens.get(keys.digest(instead or ""))
        gone = [one for one in self._sessions.values() if one is before or not self._session_lives(one)]
        own = sorted((one for one in self._of(principal.id) if one not in gone), key=lambda one: one.seen_at)
        gone += own[: max(len(own) - SESSIONS_MAX + 1, 0)]
        event = AuthSignedIn(
            session_id=id, method=session.method, user_agent=session.user_agent, expires_at=session.expires_at
        )
        principal = msgspec.structs.replace(principal, address=visitor.address)
        try:
            beside = [*map(_delete, gone), _insert(session)]
            await self._journal.commit([event], principal.actor, beside=beside)
        except Refused:
            if link_until:
                self._links[link_digest] = link_until  # nothing was changed: the link still works
            raise
        for one in gone:
            self._drop(one)
        self._keep(session)
        self._tell()
        return token, principal

    def sessions(self, principal: Principal) -> list[Session]:
        """The sessions that somebody may see and end, newest first: their own, and an admin everybody's."""
        seen = self._sessions.values() if principal.role == "admin" else self._of(principal.id)
        return sorted((one for one in seen if self._session_lives(one)), key=lambda one: one.id, reverse=True)

    def session(self, id: str, principal: Principal) -> Session:
        """One of them. Raises Refused `not_found`."""
        for session in self.sessions(principal):
            if session.id == id:
                return session
        raise Refused(NOT_FOUND, kind="session", id=id)

    async def sign_out(self, sessions: Iterable[Session], actor: Actor) -> None:
        """End browser sessions at once, with their open streams."""
        ending = [session for session in sessions if self._sessions.get(session.id) is session]
        for session in ending:
            self._drop(session)
        events = [AuthSignedOut(session_id=session.id, name=session.principal.name) for session in ending]
        try:
            await self._journal.commit(events, actor, beside=map(_delete, ending))
        except Refused:
            for session in ending:
                self._keep(session)  # as the answer says; a restart would bring it back too
            raise
        self._tell()

    def _of(self, actor_id: str) -> list[Session]:
        return [session for session in self._sessions.values() if session.principal.id == actor_id]

    def _keep(self, session: Session) -> None:
        self._sessions[session.id] = session
        for digest in (session.digest, session.previous):
            if digest is not None:
                self._tokens[digest] = session

    def _drop(self, session: Session) -> None:
        self._sessions.pop(session.id, None)
        for digest in (session.digest, session.previous):
            if digest is not None:
                self._tokens.pop(digest, None)

    # Keys.

    def listed(self) -> list[Key]:
        """The keys that are not revoked, oldest first."""
        return [key for _, key in sorted(self._journal.state.keys.items()) if key.revoked_at is None]

    def last_use(self, key_id: str) -> Use | None:
        """When a key was last used, and from where."""
        return self._uses.get(key_id)

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
        gone = [Statement(f"delete from {table} where key_id = ?", (id,)) for table in _OF_KEYS]  # noqa: S608 - ours
        await self._commit(id, events, actor, gone, None)
        self._keys = {digest: key_id for digest, key_id in self._keys.items() if key_id != id}
        self._uses.pop(id, None)
        for session in list(self._sessions.values()):
            if session.principal.key_id == id:
                self._drop(session)
        self._tell()

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

    # When they were last used.

    def _used(self, id: str) -> None:
        self._unwritten.add(id)
        now_us = microseconds(self._journal.now())
        if not 0 <= now_us - self._written_us < USES_SECONDS * 1_000_000:
            self._written_us = now_us
            self._write_uses()

    def _write_uses(self) -> None:
        """Store the last uses in one transaction. Where the disk refuses, they are written another time."""
        ids, self._unwritten = self._unwritten, set()
        beside: list[Statement] = []
        for id in ids:
            if use := self._uses.get(id):
                beside.append(Statement(_USED, (id, use.at, use.address, id)))
            elif session := self._sessions.get(id):
                if session.previous_until is not None and self._journal.now() >= session.previous_until:
                    self._tokens.pop(session.previous or b"", None)
                    session.previous = session.previous_until = None
                beside.append(_update(session))
        _submit(self._journal, (), LOCAL.actor, beside)

    def _token(self) -> str:
        return base64.urlsafe_b64encode(self._journal.entropy(TOKEN_BYTES)).rstrip(b"=").decode()

    def _later(self, seconds: int) -> str:
        return self._after(self._journal.now(), seconds)

    def _after(self, at: str, seconds: int) -> str:
        return rfc3339(microseconds(at) + seconds * 1_000_000)


_OF_KEYS = ("credentials", "sessions", "key_uses")


class _Failures:
    """Attempts that failed, as events: the first at once, those of the minute after it gathered by address."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._counts: Counter[tuple[str | None, SignInMethod]] = Counter()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, address: str | None, method: SignInMethod) -> None:
        """One more."""
        if (address, method) not in self._counts and len(self._counts) >= FAILED_ADDRESSES_MAX:
            address = None
        self._counts[address, method] += 1
        if self._timer is None:
            self._write()

    def close(self) -> None:
        """Write what was gathered."""
        if self._timer is not None:
            self._timer.cancel()
        self._write(again=False)

    def _write(self, *, again: bool = True) -> None:
        self._timer = None
        counts, self._counts = self._counts, Counter()
        told: Counter[tuple[str | None, SignInMethod]] = Counter(dict(counts.most_common(FAILED_ADDRESSES_TOLD)))
        for (_, method), count in counts.items() - told.items():
            told[None, method] += count
        for (address, method), count in told.items():
            actor = Actor(id="unknown", name="unknown", address=address or UNSET)
            _submit(self._journal, (AuthFailed(address=address, method=method, count=count),), actor, ())
        if again and counts:
            self._timer = asyncio.get_running_loop().call_later(FAILED_SECONDS, self._write)


def _submit(journal: Journal, events: tuple[Event, ...], actor: Actor, beside: Iterable[Statement]) -> None:
    """Append without waiting for it: what nobody's answer rests on."""
    batch = Batch(events=events, actor=actor, beside=tuple(beside))
    if batch.events or batch.beside:
        journal.log.submit(batch).add_done_callback(lambda done: done.exception())  # the log itself says what is wrong


def _insert(session: Session) -> Statement:
    who = session.principal
    row = (session.digest, who.id, who.name, who.role, who.key_id, session.created_at, session.expires_at, session.id)
    more = (session.method, session.seen_at, session.rotated_at, session.address, session.user_agent, session.previous)
    return Statement(_INSERT, (*row, *more))


def _update(session: Session) -> Statement:
    row = (session.digest, session.previous, session.seen_at, session.rotated_at, session.address, session.id)
    return Statement(_UPDATE, row)


def _delete(session: Session) -> Statement:
    return Statement("delete from sessions where id = ?", (session.id,))


def _short(user_agent: str | None) -> str | None:
    """What a browser says it is, as text on one line."""
    if not user_agent:
        return None
    text = user_agent[:AGENT_CHARACTERS_MAX]
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
