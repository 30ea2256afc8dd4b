"""Who is asking, and whether they still may: by an API key (`keys.py`) or a browser's session (`sessions.py`).

Whatever ends one of them goes through here, since open streams wait for that.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable

import anyio
from msgspec import UNSET

from ..domain.events import AuthFailed, SignInMethod
from ..domain.permissions import Reach, reach_of
from ..domain.times import microseconds
from ..domain.values import Actor
from .journal import Journal
from .keys import Keys
from .last_uses import LastUses
from .principals import Principal, Visitor
from .sessions import Session, Sessions

FAILED_SECONDS = 60  # for which attempts that failed are gathered, after the first
FAILED_ADDRESSES_TOLD = 10  # of such a time; what came from others is one event
FAILED_ADDRESSES_MAX = 1000  # in memory


class Access:
    """The door: keys, sessions, and what waits for their end."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._last_uses = LastUses(journal)
        self.keys = Keys(journal, self._last_uses)
        self.sessions = Sessions(journal, self.keys, self._last_uses)
        self._waiting: set[asyncio.Future[None]] = set()  # streams, for the end of what opened them
        self._failures = _Failures(journal)

    async def load(self) -> None:
        """Read what is stored; called once before the first request."""
        await self._journal.ready()
        async with self._journal.log.snapshot() as snapshot:
            await self.keys.load(snapshot)
            await self.sessions.load(snapshot)

    def close(self) -> None:
        """Write what was not written yet; the log takes it before it closes."""
        self._failures.close()
        self._last_uses.write()

    @property
    def has_keys(self) -> bool:
        """Whether anybody could sign in already."""
        return self.keys.any or self.sessions.any

    def by_key(self, secret: str, visitor: Visitor = Visitor()) -> Principal | None:  # noqa: B008 - immutable
        """The holder of a key that is valid now."""
        return self.keys.by_key(secret, visitor)

    def by_session(self, token: str, visitor: Visitor = Visitor()) -> Principal | None:  # noqa: B008 - immutable
        """The person of a browser session that has not ended."""
        return self.sessions.by_token(token, visitor)

    def is_valid(self, principal: Principal) -> bool:
        """Whether what opened the door still does; streams ask again and again."""
        if principal.kind == "local":
            return True
        if principal.kind == "session":
            return self.sessions.lives(principal.session_id or "")
        return principal.key_id is not None and self.keys.lives(principal.key_id)

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

    async def sign_in(
        self,
        *,
        key: str | None = None,
        link: str | None = None,
        visitor: Visitor = Visitor(),  # noqa: B008 - immutable
        instead: str | None = None,
    ) -> tuple[str, Principal] | None:
        """As `Sessions.sign_in`; the sessions that give way end with their streams."""
        signed_in = await self.sessions.sign_in(key=key, link=link, visitor=visitor, instead=instead)
        if signed_in:
            self._tell()
        return signed_in

    async def sign_out(self, sessions: Iterable[Session], actor: Actor) -> None:
        """End browser sessions at once, with their open streams."""
        await self.sessions.sign_out(sessions, actor)
        self._tell()

    async def revoke_key(self, id: str, actor: Actor, *, by_owner: bool) -> None:
        """End a key, its sessions and its open streams."""
        await self.keys.revoke(id, actor, by_owner=by_owner)
        self.sessions.drop_of_key(id)
        self._tell()

    def _seconds_left(self, principal: Principal) -> float:
        """Until the next look, at most a minute: clocks are set, and a session may have been used elsewhere."""
        ends = self.sessions.ends(principal.session_id or "")
        if (key := self._journal.state.keys.get(principal.key_id or "")) and key.expires_at:
            ends.append(key.expires_at)
        now = self._journal.now_us()
        return min([60.0, *((microseconds(end) - now) / 1_000_000 for end in ends)])

    def _tell(self) -> None:
        """Something ended: whoever waits for that looks again."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)


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
            self._journal.submit((AuthFailed(address=address, method=method, count=count),), actor)
        if again and counts:
            self._timer = asyncio.get_running_loop().call_later(FAILED_SECONDS, self._write)
