"""The kept link of one desktop, its SSH connection and the outpost behind it: a table of what happens when, and a shell
that connects, attaches and waits.

- connecting: the first attempts. reconnecting: it was up, and will be tried again by backoff. Both turn into down after
  `LinkPolicy.patience_ms` without success; before that nobody is told that anything is wrong with the desktop.
- down: it is still tried, by backoff; with a failure that only a person can mend (`is_permanent`) at once down and
  tried rarely, or not at all (`is_final`). A success turns any phase into up.

`step` is pure: time (monotonic milliseconds) and jitter are in its inputs.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from time import monotonic
from typing import Literal, TypeAlias

import anyio
from msgspec import Struct
from msgspec.structs import replace

from .backoff import delay_s
from .connection import LIMITS, ConnectionLimits, SshConnection, SshFailure, SshTarget, open_connection
from .outpost_link import OutpostFailure, OutpostLink

Failure: TypeAlias = SshFailure | OutpostFailure
Attach: TypeAlias = Callable[[SshConnection], AbstractAsyncContextManager[OutpostLink | None]]
"""Attaches the outpost of a connected desktop; None where there cannot be one. Raises OutpostFailure, SshFailure."""

CONNECTING_MAX = 64  # desktops that are connected at the same time: after a restart all of them want to be

Phase = Literal["connecting", "up", "reconnecting", "down"]


NEVER_MS = 10 * 365 * 86_400_000  # until somebody hurries it


class LinkPolicy(Struct, frozen=True, kw_only=True):
    """How patient a link is, in milliseconds."""

    patience_ms: int = 30_000  # of failing before the desktop counts as unreachable
    permanent_retry_ms: int = 60_000  # between tries that cannot succeed: more would fill the host's log or lock us out
    stable_ms: int = 1_000  # up for this long, the failures before are forgotten; else a link that flaps backs off


POLICY = LinkPolicy()


class LinkStatus(Struct, frozen=True, kw_only=True):
    """How the link stands. Times are monotonic milliseconds, of use only in this process."""

    phase: Phase = "connecting"
    since_ms: int  # up: when it came up; otherwise: since when it has not been up
    next_try_ms: int | None = None  # when it will be tried again; None while it is up or being tried
    failures: int = 0  # in a row
    failure: Failure | None = None  # the last one; None while up

    @property
    def wire(self) -> Literal["up", "reconnecting", "down"]:
        """As the API says it."""
        return "reconnecting" if self.phase == "connecting" else self.phase

    def __str__(self) -> str:
        why = f" ({self.failure})" if self.failure else ""
        return f"{self.phase} since {self.since_ms} ms, {self.failures} failures{why}"


class Trying(Struct, frozen=True):
    """An attempt has begun."""


class Opened(Struct, frozen=True):
    """The attempt succeeded."""

    at_ms: int


class Failed(Struct, frozen=True):
    """The attempt failed, or the connection was lost."""

    at_ms: int
    failure: Failure
    jitter: float  # 0 to 1


class TimePassed(Struct, frozen=True):
    """Nothing happened but time."""

    at_ms: int


class Hurried(Struct, frozen=True):
    """Somebody wants it to be tried now: the address was corrected, the host is known to be back."""

    at_ms: int


Input: TypeAlias = Trying | Opened | Failed | TimePassed | Hurried


def step(status: LinkStatus, given: Input, policy: LinkPolicy = POLICY) -> LinkStatus:
    """How the link stands after this."""
    match given:
        case Trying():
            return replace(status, next_try_ms=None)
        case Opened(at_ms):
            return LinkStatus(phase="up", since_ms=at_ms, failures=status.failures)
        case Failed(at_ms, failure, jitter):
            return _failed(status, at_ms, failure, jitter, policy)
        case TimePassed(at_ms):
            return replace(status, phase="down") if _is_out_of_patience(status, at_ms, policy) else status
        case Hurried(at_ms):
            return status if status.next_try_ms is None else replace(status, next_try_ms=at_ms)


def _failed(status: LinkStatus, at_ms: int, failure: Failure, jitter: float, policy: LinkPolicy) -> LinkStatus:
    was_up = status.phase == "up"
    was_stable = was_up and at_ms - status.since_ms >= policy.stable_ms
    failures = 1 if was_stable else status.failures + 1
    delay_ms = policy.permanent_retry_ms if failure.is_permanent else round(delay_s(failures, jitter) * 1000)
    if failure.is_final:
        delay_ms = NEVER_MS
    failed = LinkStatus(
        phase="reconnecting" if was_up else status.phase,
        since_ms=at_ms if was_up else status.since_ms,
        next_try_ms=at_ms + delay_ms,
        failures=failures,
        failure=failure,
    )
    if failure.is_permanent or _is_out_of_patience(failed, at_ms, policy):
        return replace(failed, phase="down")
    return failed


def gives_up_ms(status: LinkStatus, policy: LinkPolicy = POLICY) -> int | None:
    """When `TimePassed` will turn it down, if nothing else happens."""
    return status.since_ms + policy.patience_ms if status.phase in ("connecting", "reconnecting") else None


def _is_out_of_patience(status: LinkStatus, at_ms: int, policy: LinkPolicy) -> bool:
    end_ms = gives_up_ms(status, policy)
    return end_ms is not None and at_ms >= end_ms


class Link:
    """One kept connection, opened again whenever it, or the channel to the outpost, is lost. Made by `open_link`."""

    def __init__(
        self,
        target: SshTarget,
        on_change: Callable[[LinkStatus], None] | None,
        limits: ConnectionLimits,
        policy: LinkPolicy,
        attach: Attach | None,
        limiter: anyio.CapacityLimiter | None,
    ) -> None:
        self.target = target
        self._on_change = on_change
        self._attach = attach
        self._limiter = limiter
        self._limits = limits
        self._policy = policy
        self._status = LinkStatus(since_ms=_now_ms())
        self._connection: SshConnection | None = None
        self._outpost: OutpostLink | None = None
        self._changed = anyio.Event()
        self._attempt_count = 0
        self._is_dropped = False

    @property
    def status(self) -> LinkStatus:
        """How it stands now."""
        return self._status

    @property
    def outpost(self) -> OutpostLink | None:
        """The attached outpost; None while the link is not up, and where there cannot be one."""
        return self._outpost if self._outpost is not None and self._outpost.is_open else None

    @property
    def has_outpost(self) -> bool:
        """Whether runs go through an outpost here; asked while the link is up. Its channel may just have been lost."""
        return self._outpost is not None

    async def connection(self) -> SshConnection:
        """The open connection: at once, or as soon as the link is up.

        Raises the failure that keeps it down. While it is connecting or reconnecting this waits, at most for the
        link's patience. The connection may be lost at any later moment: whoever uses it gets that error there.
        """
        while True:
            if self._connection is not None and self._connection.is_open:
                return self._connection
            if self._status.phase == "down":
                raise self._status.failure or SshFailure(
                    "connect_timeout", f"{self.target} could not be reached in time. Is it on?"
                )
            await self._changed.wait()

    def hurry(self) -> None:
        """Try now instead of when the backoff says; does nothing while it is up or being tried."""
        self._feed(Hurried(_now_ms()))

    def drop(self) -> None:
        """Close the connection, if there is one, and connect anew: what a person means by restart."""
        if self._connection is not None:
            self._is_dropped = True
            self._connection.ssh.abort()
        self.hurry()

    def statistics(self) -> dict[str, int]:
        """For the metrics: attempts since the start, failures in a row."""
        return {"attempt_count": self._attempt_count, "failure_count": self._status.failures}

    async def keep(self) -> None:
        """Connect, wait until it is lost, wait for the next try, for ever."""
        while True:
            self._attempt_count += 1
            self._feed(Trying())
            failure: Failure
            try:
                async with AsyncExitStack() as stack:
                    async with self._limiter or nullcontext():
                        connection = await stack.enter_async_context(open_connection(self.target, limits=self._limits))
                        attach = self._attach(connection) if self._attach else nullcontext()
                        self._outpost = await stack.enter_async_context(attach)
                    self._connection = connection
                    self._feed(Opened(_now_ms()))
                    failure = await _wait_lost(connection, self._outpost)
            except (SshFailure, OutpostFailure) as error:
                failure = error
            finally:
                self._connection = self._outpost = None
            self._feed(Failed(_now_ms(), failure, random.random()))  # noqa: S311 - spreads, protects nothing
            if self._is_dropped:
                self._is_dropped = False
                self.hurry()
            await self._until(lambda: self._status.next_try_ms)

    async def watch_patience(self) -> None:
        """Tell the table that time has passed, when that makes a difference."""
        while True:
            await self._until(lambda: gives_up_ms(self._status, self._policy))
            self._feed(TimePassed(_now_ms()))

    async def _until(self, moment_ms: Callable[[], int | None]) -> None:
        """Sleep until that moment, which changes may move; None is never."""
        while (end_ms := moment_ms()) is None or end_ms > _now_ms():
            with anyio.move_on_after(None if end_ms is None else (end_ms - _now_ms()) / 1000):
                await self._changed.wait()

    def _feed(self, given: Input) -> None:
        before, self._status = self._status, step(self._status, given, self._policy)
        if self._status == before:
            return
        self._changed.set()
        self._changed = anyio.Event()
        if self._on_change is not None:
            self._on_change(self._status)


@asynccontextmanager
async def open_link(
    target: SshTarget,
    on_change: Callable[[LinkStatus], None] | None = None,
    *,
    limits: ConnectionLimits = LIMITS,
    policy: LinkPolicy = POLICY,
    attach: Attach | None = None,
    limiter: anyio.CapacityLimiter | None = None,
) -> AsyncGenerator[Link]:
    """Keep a connection to a desktop for as long as the block lasts; leaving closes it.

    `attach` is what makes a connection whole; `limiter` bounds how many links connect at the same time. `on_change` is
    called on the event loop with every new status, in order; it must not wait and not raise. As with any task group, an
    error raised in the block leaves it as an ExceptionGroup.
    """
    link = Link(target, on_change, limits, policy, attach, limiter)
    async with anyio.create_task_group() as group:
        group.start_soon(link.keep)
        group.start_soon(link.watch_patience)
        yield link
        group.cancel_scope.cancel()


async def _wait_lost(connection: SshConnection, outpost: OutpostLink | None) -> Failure:
    """Wait until the connection or the channel to the outpost is lost, and say why."""
    if outpost is None:
        return await connection.wait_lost()
    found: list[Failure] = []
    async with anyio.create_task_group() as group:

        async def until(lost: Callable[[], Awaitable[Failure]]) -> None:
            found.append(await lost())
            group.cancel_scope.cancel()

        group.start_soon(until, connection.wait_lost)
        group.start_soon(until, outpost.wait_lost)
    if not connection.is_open:  # then the channel went with it
        return connection.failure or found[0]
    return found[0]


def _now_ms() -> int:
    return int(monotonic() * 1000)
