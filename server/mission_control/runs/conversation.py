"""What the server says to an outpost about one run, and what it makes of the answers. Pure: no I/O, no clock.

One start, whatever dies around it: `START` goes out once. Every further link begins with `ATTACH` and the position up
to which the bytes have come, and `START` is sent again only if the outpost answers that it does not know the run, it is
the same outpost since the same boot, and no byte and no confirmation of the run is in the log. In every other case the
run is lost, and said to be. What was cancelled before it is known to have begun is not started any more.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from ..domain.output import RunPosition
from .frames import ChannelBroken, Frame, Kind
from .protocol import (
    Data,
    End,
    Gap,
    Hello,
    Mismatch,
    ResponseHead,
    RunState,
    RunStream,
    Spec,
    attach,
    cancel,
    read_facts,
    start,
)

LostCode = Literal[
    "cancelled",
    "run_lost",
    "desktop_rebooted",
    "supervisor_killed",
    "start_refused",
    "output_mismatch",
    "desktop_unreachable",
]


class Began(Struct, frozen=True):
    """The desktop has the run."""


class Head(Struct, frozen=True):
    """The head of the response that follows."""

    response: ResponseHead


class Waiting(Struct, frozen=True):
    """The run waits for this on its desktop, or, with None, for nothing any more."""

    why: str | None


class Draining(Struct, frozen=True):
    """The main process has ended; output of it is still under way."""


class Ended(Struct, frozen=True):
    """The end, after everything else."""

    end: End


class Lost(Struct, frozen=True):
    """There will be no end: why, for people. Also after everything else."""

    code: LostCode
    message: str


Happening: TypeAlias = Began | Data | Gap | Head | Waiting | Draining | Ended | Lost

REBOOTED = (
    "The desktop was restarted while this was running, which ended it. The output before that is kept; it is not run "
    "again by itself."
)
SUPERVISOR_KILLED = (
    "The process that watched over this on the desktop was killed, so its end is not known. What it had started was "
    "ended. Look at the desktop's memory and at who ends processes there; then retry."
)
NEVER_STARTED = "The outpost on the desktop was interrupted before this began: it was not started. Retry it."
CANCELLED = "It was cancelled before it began on the desktop."
UNKNOWN = (
    "The desktop's outpost does not know this run any more: its files were removed, or the address leads to another "
    "machine or account now. Its end is not known. Look on the desktop whether it still runs there; then retry."
)
REFUSED = "The desktop could not start it: {why}."
REFUSED_WHY = {"disk_full": "its disk is full. Free some space there, then retry"}
MISMATCH = (
    "What is recorded is not what the desktop wrote ({difference}). The run was stopped; check the log and retry."
)

LOST: dict[str | None, tuple[LostCode, str]] = {
    "rebooted": ("desktop_rebooted", REBOOTED),
    "supervisor_killed": ("supervisor_killed", SUPERVISOR_KILLED),
    "never_started": ("run_lost", NEVER_STARTED),
}


class Conversation:
    """One run. `open` gives what is said first on a link, `hear` takes what comes over it."""

    def __init__(
        self,
        run: bytes,
        spec: Spec | None,
        *,
        instance: str,
        boot: str,
        position: RunPosition | None = None,
        is_confirmed: bool = False,
        is_behind_gap: bool = False,
    ) -> None:
        """Begin a run; with a `position`, take up one that was begun before. Without `spec` it is never started.

        `is_behind_gap` says that bytes before the position are lost, so that its sums are not known.
        """
        self.run = run
        self.is_over = False
        self._spec = spec
        self._instance = instance
        self._boot = boot
        self._is_new = position is None
        self._grace_ms: int | None = None  # of a cancel
        self._stream = RunStream(position or RunPosition(), is_behind_gap=is_behind_gap)
        self._is_confirmed = is_confirmed or self._stream.position > 0
        self._has_begun = False
        self._waits_for: str | None = None
        self._lost: tuple[Lost, int] | None = None  # and the position that comes before it
        self._hello: Hello | None = None

    @property
    def position(self) -> int:
        """Raw bytes of the run that have come."""
        return self._stream.position

    def open(self, hello: Hello) -> bytes:
        """What is said first on a new link."""
        self._hello = hello
        if self._grace_ms is not None:
            return attach(self.run, self.position) + cancel(self.run, self._grace_ms)
        if self._is_new and self._spec:
            self._is_new = False
            return start(self.run, self._spec)
        return attach(self.run, self.position)

    def cancel(self, grace_ms: int) -> bytes:
        """What is said to stop it: TERM, and KILL after the grace. Every further link begins with it."""
        self._grace_ms = grace_ms
        return cancel(self.run, grace_ms)

    def hear(self, frame: Frame) -> tuple[list[Happening], bytes]:
        """What a frame tells, and what is answered. Raises ChannelBroken for what no outpost sends."""
        if self.is_over:
            return [], b""
        match frame.kind:
            case Kind.OUTPUT:
                return self._take(frame), b""
            case Kind.RESPONSE:
                return [Head(read_facts(frame.payload, ResponseHead))], b""
            case Kind.END:
                if not frame.is_sound:
                    raise ChannelBroken("The outpost sent an end that is damaged.")
                return self._ended(read_facts(frame.payload, End)), b""
            case Kind.STATE:
                return self._state(read_facts(frame.payload, RunState))
            case _:
                return [], b""  # a newer outpost may say more

    def _take(self, frame: Frame) -> list[Happening]:
        try:
            taken: list[Happening] = [*self._began(), *self._stream.take(frame)]
        except Mismatch as difference:
            return self._differs(difference)
        if self._lost and self.position >= self._lost[1]:
            taken += self._over(self._lost[0])
        return taken

    def _ended(self, end: End) -> list[Happening]:
        try:
            self._stream.check(end)
        except Mismatch as difference:
            return self._differs(difference)
        return [*self._began(), *self._over(Ended(end))]

    def _state(self, state: RunState) -> tuple[list[Happening], bytes]:
        match state.state:
            case "running" | "draining" | "ended":
                happened = [*self._began(), *self._waiting(state.why)]
                return [*happened, *([Draining()] if state.state == "draining" else [])], b""
            case "lost":
                code, message = LOST.get(state.why, ("run_lost", UNKNOWN))
                self._lost = Lost(code, message), state.position
                return (self._over(self._lost[0]) if self.position >= state.position else []), b""
            case "unknown":
                return self._unknown()
            case "forgotten":
                assert state.end is not None, "the end is what is remembered"
                return [*self._began(), *self._stream.give_up(state.end), *self._ended(state.end)], b""
            case "refused":
                why = REFUSED_WHY.get(state.why or "") or state.detail or state.why or "it did not say why"
                return self._over(Lost("start_refused", REFUSED.format(why=why.rstrip(".")))), b""

    def _unknown(self) -> tuple[list[Happening], bytes]:
        assert self._hello is not None, "whoever answers has said hello"
        is_same = (self._hello.instance, self._hello.boot) == (self._instance, self._boot)
        if self._is_new or (is_same and not self._is_confirmed):
            if self._grace_ms is not None:
                return self._over(Lost("cancelled", CANCELLED)), b""
            if self._spec:
                return [], start(self.run, self._spec)
        return self._over(Lost("run_lost", UNKNOWN)), b""

    def _began(self) -> list[Happening]:
        self._is_confirmed = True
        if self._has_begun:
            return []
        self._has_begun = True
        return [Began()]

    def _waiting(self, why: str | None) -> list[Happening]:
        if why == self._waits_for:
            return []
        self._waits_for = why
        return [Waiting(why)]

    def _differs(self, difference: Mismatch) -> list[Happening]:
        return self._over(Lost("output_mismatch", MISMATCH.format(difference=difference)))

    def _over(self, last: Ended | Lost) -> list[Happening]:
        self.is_over = True
        return [last]
