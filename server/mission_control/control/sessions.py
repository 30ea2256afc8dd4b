"""Browser sessions, and the one-time links that begin some. Only digests of their tokens are kept."""

from __future__ import annotations

import base64
from collections.abc import Iterable

import msgspec

from ..domain import keys
from ..domain.errors import NOT_FOUND, Refused
from ..domain.events import AuthSignedIn, AuthSignedOut, SignInMethod
from ..domain.times import microseconds, rfc3339
from ..domain.values import Actor
from ..log.event_log import Statement
from ..log.sqlite import Snapshot
from .journal import Journal
from .keys import Keys
from .last_uses import LastUses
from .principals import Principal, Visitor

SESSION_SECONDS = 30 * 24 * 3600  # after which a session ends in any case
IDLE_SECONDS = 7 * 24 * 3600  # without a request, after which a session ends
ROTATE_SECONDS = 24 * 3600  # how old a session's token becomes
PREVIOUS_SECONDS = 60  # for which a token still opens after its successor was first used: requests were under way
LINK_SECONDS = 600
LINKS_MAX = 100  # sign-in links waiting at once; the oldest gives way
SESSIONS_MAX = 50  # of one person; the one unused longest gives way
TOKEN_BYTES = 32
AGENT_CHARACTERS_MAX = 200  # kept of a browser's name for itself


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


_INSERT = (
    "insert into sessions (digest, actor_id, actor_name, role, key_id, created_at, expires_at, id, method, seen_at,"
    " rotated_at, address, user_agent, previous) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_UPDATE = "update sessions set digest = ?, previous = ?, seen_at = ?, rotated_at = ?, address = ? where id = ?"


class Sessions:
    """Who is signed in with a browser, and the links that wait."""

    def __init__(self, journal: Journal, keys: Keys, last_uses: LastUses) -> None:
        self._journal = journal
        self._keys = keys
        self._last_uses = last_uses
        self._sessions: dict[str, Session] = {}
        self._tokens: dict[bytes, Session] = {}
        self._links: dict[bytes, str] = {}

    async def load(self, snapshot: Snapshot) -> None:
        """Read what is stored."""
        for row in await snapshot.rows(
            "select id, actor_id, actor_name, role, key_id, method, created_at, expires_at, seen_at, rotated_at,"
            " address, user_agent, digest, previous from sessions where expires_at > ?",
            (self._journal.now(),),
        ):
            id, actor_id, name, role, key_id, method, created, expires, seen, rotated, address, agent, *tokens = row
            key = self._journal.state.keys.get(key_id or "")
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
            if self._lives(session):
                self._keep(session)

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return bool(self._sessions)

    def by_token(self, token: str, visitor: Visitor) -> Principal | None:
        """The person of a browser session that has not ended."""
        digest, now = keys.digest(token), self._journal.now()
        session = self._tokens.get(digest)
        if session is None or not self._lives(session):
            return None
        if digest == session.previous:
            if session.previous_until is not None and now >= session.previous_until:
                return None
        elif session.previous is not None and session.previous_until is None:
            session.previous_until = self._later(PREVIOUS_SECONDS)
        session.seen_at, session.address = now, visitor.address or session.address
        self._last_uses.used(session.id, self._use_of)
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

    def lives(self, id: str) -> bool:
        """Whether a session opens the door now."""
        session = self._sessions.get(id)
        return session is not None and self._lives(session)

    def ends(self, id: str) -> list[str]:
        """When a session ends at the latest, as it was used so far."""
        session = self._sessions.get(id)
        return [session.expires_at, self._after(session.seen_at, IDLE_SECONDS)] if session else []

    def _lives(self, session: Session) -> bool:
        key_id, now = session.principal.key_id, self._journal.now()
        is_idle = now >= self._after(session.seen_at, IDLE_SECONDS)
        return now < session.expires_at and not is_idle and (key_id is None or self._keys.lives(key_id))

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
            holder = self._keys.by_key(key, visitor)
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
        gone = [one for one in self._sessions.values() if one is before or not self._lives(one)]
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
        return token, principal

    def seen_by(self, principal: Principal) -> list[Session]:
        """The sessions that somebody may see and end, newest first: their own, and an admin everybody's."""
        seen = self._sessions.values() if principal.role == "admin" else self._of(principal.id)
        return sorted((one for one in seen if self._lives(one)), key=lambda one: one.id, reverse=True)

    def one(self, id: str, principal: Principal) -> Session:
        """One of those that somebody may see and end. Raises Refused `not_found`."""
        for session in self.seen_by(principal):
            if session.id == id:
                return session
        raise Refused(NOT_FOUND, kind="session", id=id)

    async def sign_out(self, sessions: Iterable[Session], actor: Actor) -> None:
        """End browser sessions at once."""
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

    def drop_of_key(self, key_id: str) -> None:
        """A key has ended, and with it its sessions."""
        for session in list(self._sessions.values()):
            if session.principal.key_id == key_id:
                self._drop(session)

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

    def _use_of(self, id: str) -> Statement | None:
        session = self._sessions.get(id)
        if session is None:
            return None
        if session.previous_until is not None and self._journal.now() >= session.previous_until:
            self._tokens.pop(session.previous or b"", None)
            session.previous = session.previous_until = None
        return _update(session)

    def _token(self) -> str:
        return base64.urlsafe_b64encode(self._journal.entropy(TOKEN_BYTES)).rstrip(b"=").decode()

    def _later(self, seconds: int) -> str:
        return self._after(self._journal.now(), seconds)

    def _after(self, at: str, seconds: int) -> str:
        return rfc3339(microseconds(at) + seconds * 1_000_000)


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
