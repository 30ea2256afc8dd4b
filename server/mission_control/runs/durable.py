"""One run on its desktop's outpost, over as many links as it takes: moves frames, decides nothing.

What it means is in `conversation.py`. A run that has no link waits for the next one, for as long as there is patience.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from time import monotonic

import anyio

from .conversation import Conversation, Happening, Lost
from .frames import ChannelBroken
from .outpost_link import LinkLost, OutpostLink, RunFrames
from .protocol import Data, acknowledge, forget

GRACE_MS = 5_000  # from TERM to KILL
BATCH_BYTES_MAX = 256 * 1024  # of what has come already and is handed over together

UNREACHABLE = (
    "The desktop was away for {days}, so its end is not known here. It may still run there; when the desktop is back, "
    "its output and its true end are recorded as a note."
)


class DurableRun:
    """One run. One reader: cancelling `next` loses nothing."""

    def __init__(
        self, conversation: Conversation, outpost: Callable[[], Awaitable[OutpostLink]], patience_s: float
    ) -> None:
        """`outpost` gives the attached outpost of the desktop, as soon as there is one."""
        self._conversation = conversation
        self._outpost = outpost
        self._patience_s = patience_s
        self._link: OutpostLink | None = None
        self._frames: RunFrames | None = None
        self._away_since_s = monotonic()
        self._heard: deque[Happening] = deque()
        self._durable = conversation.position  # what the log has of it
        self._ms, self._ms_at_s = 0, monotonic()

    @property
    def id(self) -> bytes:
        """The run's id on its desktop."""
        return self._conversation.run

    @property
    def position(self) -> int:
        """Raw bytes of the run that have come."""
        return self._conversation.position

    @property
    def ms(self) -> int:
        """Milliseconds since the run began on the desktop, as far as is known here."""
        return self._ms + int((monotonic() - self._ms_at_s) * 1000)

    async def next(self, until_ms: int | None = None) -> list[Happening]:
        """What happens next; the last is `Ended` or `Lost`. Nothing when the run's clock comes to `until_ms` first."""
        with anyio.move_on_after(None if until_ms is None else max(0, until_ms - self.ms) / 1000):
            await self._listen()
        happened = [*self._heard]
        self._heard.clear()
        return happened

    async def _listen(self) -> None:
        """Until there is something to tell."""
        while not self._heard:
            if self._frames is None and not await self._attach():
                days = f"{self._patience_s / 3600:.3g} h"
                self._heard.append(Lost("desktop_unreachable", UNREACHABLE.format(days=days)))
                return
            assert self._frames is not None
            try:
                await self._frames.wait()
                self._hear()
            except LinkLost:
                self.close()
            except ChannelBroken as error:
                if self._link:
                    self._link.close(str(error))
                self.close()

    def acknowledge(self, position: int) -> None:
        """The log has everything before this position of the run."""
        self._durable = position
        self._say(acknowledge(self._conversation.run, position))

    def cancel(self, grace_ms: int = GRACE_MS) -> None:
        """Stop it; said again on every link until the end is known."""
        self._say(self._conversation.cancel(grace_ms))

    def forget(self) -> None:
        """Its end is in the log: nothing of it is needed on the desktop any more."""
        self._say(forget(self._conversation.run))

    def close(self) -> None:
        """Let go of the link; the run goes on."""
        if self._link is not None and self._frames is not None:
            self._link.unfollow(self._conversation.run)
            self._away_since_s = monotonic()
        self._link = self._frames = None

    async def _attach(self) -> bool:
        """Wait for a link and take the run up on it; False when patience has run out."""
        with anyio.move_on_after(self._away_since_s + self._patience_s - monotonic()) as scope:
            link = await self._outpost()
            # No await from here on: between the first word and the answer nothing may be missed.
            self._link, self._frames = link, link.follow(self._conversation.run)
            self._say(self._conversation.open(link.facts))
            if self._durable:  # the outpost may not have heard it, and a run at its quota waits for it
                self._say(acknowledge(self._conversation.run, self._durable))
        return not scope.cancelled_caught

    def _hear(self) -> None:
        assert self._frames is not None
        size = 0
        while size < BATCH_BYTES_MAX and (frame := self._frames.take()) is not None:
            happened, answer = self._conversation.hear(frame)
            if answer:
                self._say(answer)
            for one in happened:
                if isinstance(one, Data):
                    size += len(one.data)
                    self._ms, self._ms_at_s = one.ms, monotonic()
            self._heard.extend(happened)

    def _say(self, frame: bytes) -> None:
        if self._link is not None:
            self._link.send(frame)
