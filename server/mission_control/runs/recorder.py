"""From what a run produces to the log: one append at a time, and whatever arrives meanwhile goes into the next.

So a quiet line is durable at once, and a flood travels in large pieces. When the log cannot take output, the bytes
are kept and tried again; beyond a bound the run's reader waits, and so does the command on its desktop. At most twice
the bound is in memory: one load under way to the disk, and one that gathers behind it. The bound is smaller while other
runs are under way, so that a flood's loads do not hold up their lines.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import anyio
import structlog
from msgspec import UNSET
from msgspec.structs import replace

from ..control.tasks import Tasks
from ..domain import limits
from ..domain.entities import Task
from ..domain.events import Event, TaskOutput, TaskProgress
from ..domain.masking import Patterns, ProgressMasker
from ..domain.output import PIECE_BYTES_MAX, Piece, RunPosition, encode_text
from ..domain.progress import Progress, gather
from ..domain.tasks import RunEnd
from ..log.event_log import LogUnavailable, RunRow

RETRY_SECONDS = 1.0  # between two tries while the log takes no output

_logger = structlog.get_logger(__name__)


class _Segment(NamedTuple):
    """What follows one head, or none: output, and the progress that was derived from it."""

    head: Event | None
    pieces: list[Piece]
    progress: list[Progress]

    def events(self, task_id: str, late: bool) -> Iterator[Event]:
        if self.head is not None:
            yield self.head
        for piece in self.pieces:
            yield output_event(task_id, piece, late=late)
        for item in gather(self.progress):
            yield progress_event(task_id, item)


class Recorder:
    """Records one run. Made by `open_recorder`."""

    def __init__(
        self,
        tasks: Tasks,
        task: Task,
        position: RunPosition,
        pause_s: float,
        on_durable: Callable[[int], None],
        is_alone: Callable[[], bool],
        late: bool,
    ) -> None:
        self._tasks = tasks
        self._task = task
        self._position = position
        self._pause_s = pause_s
        self._is_alone = is_alone
        self._late = late
        self.on_durable = on_durable  # told how far the log now goes
        self._progress = ProgressMasker(self.patterns)
        self._waiting: list[_Segment] = []
        self._waiting_bytes = 0
        self._is_writing = False
        self._news = anyio.Event()
        self._room = anyio.Event()

    @property
    def task_id(self) -> str:
        return self._task.id

    def patterns(self) -> Patterns:
        """The secrets that are to be masked in this run, as they are known now."""
        return self._tasks.patterns

    @property
    def masked_count(self) -> int:
        """How many secrets were masked in what was given so far."""
        return self._position.masked + self._progress.count

    def counted(self, end: RunEnd) -> RunEnd:
        """The end of the run, which says how many."""
        return replace(end, masked_count=self.masked_count)

    async def add(
        self,
        pieces: Iterable[Piece] = (),
        progress: Iterable[Progress] = (),
        *,
        position: RunPosition | None = None,
        head: Event | None = None,
    ) -> None:
        """Give what belongs together: output up to a position, what was derived from it, and the head before it.

        Secrets are masked in the output already, in the progress they are here: its last words wait for the next ones.
        Returns at once while there is room; else when the log has taken enough.
        """
        self._position = position or self._position
        pieces, progress = [*pieces], self._progress.feed(progress)
        if pieces or progress or head is not None:
            segment = self._segment(head)
            for piece in pieces:
                self._waiting_bytes += piece.length
                joins = bool(segment.pieces) and _joins(segment.pieces[-1], piece)
                segment.pieces.append(_joined(segment.pieces.pop(), piece) if joins else piece)
            segment.progress.extend(progress)
            self._news.set()
        while self._is_full:
            self._room = anyio.Event()
            await self._room.wait()

    def _segment(self, head: Event | None = None) -> _Segment:
        if head is not None or not self._waiting:
            self._waiting.append(_Segment(head, [], []))
        return self._waiting[-1]

    @property
    def _is_full(self) -> bool:
        waiting = self._waiting_bytes
        is_beyond_share = waiting >= limits.RUN_WAITING_BYTES_SHARED and not self._is_alone()
        return is_beyond_share or waiting >= limits.RUN_WAITING_BYTES_MAX

    async def drained(self) -> None:
        """Wait until everything that was given is durable."""
        if held := self._progress.finish():  # decided: it is not looked at again
            self._segment().progress.extend(held)
            self._news.set()
        while self._is_writing or self._waiting:
            self._room = anyio.Event()
            await self._room.wait()

    async def write(self) -> None:
        """Append for ever; ended by leaving `open_recorder`."""
        while True:
            if not self._waiting:
                self._news = anyio.Event()
                await self._news.wait()
            if self._pause_s:
                await anyio.sleep(self._pause_s)
            events = [event for segment in self._waiting for event in segment.events(self._task.id, self._late)]
            position = replace(self._position, masked=self.masked_count)
            self._waiting, self._waiting_bytes = [], 0
            self._room.set()  # what comes next is read, decrypted and cut while this is made durable
            if events:
                self._is_writing = True
                await self._append(events, RunRow(self._task.id, position))
                self._is_writing = False
                self.on_durable(position.position)
            self._room.set()

    async def _append(self, events: list[Event], row: RunRow) -> None:
        while True:
            try:
                await self._tasks.record(self._task, events, row)
                return
            except LogUnavailable as error:
                _logger.warning("output waits", task=self._task.id, reason=str(error))
                await anyio.sleep(RETRY_SECONDS)


@asynccontextmanager
async def open_recorder(
    tasks: Tasks,
    task: Task,
    position: RunPosition,
    *,
    pause_s: float = 0,
    on_durable: Callable[[int], None] = lambda _: None,
    is_alone: Callable[[], bool] = lambda: True,
    late: bool = False,
) -> AsyncGenerator[Recorder]:
    """Record a run from a position on; leave the block after `drained`. `pause_s` gathers small pieces first.

    `on_durable` is told the position up to which the log goes, `is_alone` tells whether no other run is under way.
    `late` marks output that comes after the task has failed because its desktop was away.
    """
    recorder = Recorder(tasks, task, position, pause_s, on_durable, is_alone, late)
    async with anyio.create_task_group() as group:
        group.start_soon(recorder.write)
        yield recorder
        group.cancel_scope.cancel()


def _joins(before: Piece, piece: Piece) -> bool:
    return before.stream == piece.stream and before.length + piece.length <= PIECE_BYTES_MAX


def _joined(before: Piece, piece: Piece) -> Piece:
    return replace(
        before, data=before.data + piece.data, ms=piece.ms, crc=piece.crc, masked=before.masked + piece.masked
    )


def output_event(task_id: str, piece: Piece, *, late: bool = False) -> TaskOutput:
    """The event of a piece."""
    text, base64 = encode_text(piece.data)
    return TaskOutput(
        task_id=task_id,
        stream=piece.stream,
        position=piece.position,
        offset=piece.offset,
        length=piece.length,
        line=piece.line,
        ms=piece.ms,
        crc=piece.crc,
        line_bytes=piece.line_bytes or UNSET,
        text=UNSET if text is None else text,
        base64=UNSET if base64 is None else base64,
        masked=piece.masked or UNSET,
        late=late or UNSET,
    )


def progress_event(task_id: str, item: Progress) -> TaskProgress:
    """The event of an item of progress."""
    return TaskProgress(task_id=task_id, **{name: getattr(item, name) for name in Progress.__struct_fields__})
