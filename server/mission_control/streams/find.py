"""Finds lines in a run's output: in bounded pieces from the log, for a bounded time a call, never in the way of others.

Plain text is looked for in a thread, a small piece at a time; regular expressions in processes of their own, which are
started when needed and kept, and end themselves when a pattern takes too long.
"""

from __future__ import annotations

import struct
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread
import msgspec

from ..domain.errors import BAD_PATTERN, PATTERN_TOO_SLOW, RATE_LIMITED, Refused
from ..domain.lines import Block, BlockReader, Needle
from ..domain.output import Stream
from ..log.sqlite import SqliteLog
from . import find_worker
from .lines import first_place, output_events, part_of

FIND_SECONDS = 2.0  # of one call; whoever asked goes on from where it ended
FINDS_MAX = 2  # at once
FINDS_WAITING_MAX = 8  # for their turn; beyond, callers are told to come again
WORKER_SECONDS = 10.0  # for a worker that should have ended itself after a second of processor time


_Look = Callable[[Callable[[], list[Block]]], Awaitable[list[int]]]
"""Makes blocks, outside of the event loop, and answers the numbers of the lines in them that match."""

_number = struct.Struct(">I")


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What to find, from which line on."""

    text: str
    is_pattern: bool
    case: bool
    streams: frozenset[Stream]
    start: int
    limit: int


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines have it. `total` counts all from the first to `scannedTo`, `lines` are the first of them.

    `complete` says that there is nothing more to look at now; else ask on from `scannedTo`.
    """

    total: int
    lines: list[int]
    scanned_to: int = msgspec.field(name="scannedTo")
    complete: bool


class NobodyWaits(Exception):
    """Whoever asked has gone: the find was given up."""


class _Worker:
    """One process that searches for patterns; see `find_worker`."""

    def __init__(self, process: anyio.abc.Process) -> None:
        self._process = process

    async def ask(self, kind: bytes, content: bytes) -> bytes:
        """The answer to a frame. Raises Refused when there is none: the pattern took too long."""
        assert self._process.stdin and self._process.stdout
        try:
            with anyio.fail_after(WORKER_SECONDS):
                await self._process.stdin.send((len(content) + 1).to_bytes(4, "big") + kind + content)
                size = int.from_bytes(await self._receive(4), "big")
                return await self._receive(size)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, TimeoutError):
            raise Refused(PATTERN_TOO_SLOW) from None

    async def _receive(self, size: int) -> bytes:
        assert self._process.stdout
        data = b""
        while len(data) < size:
            data += await self._process.stdout.receive(size - len(data))
        return data

    async def end(self) -> None:
        """Kill it, and wait for that."""
        with anyio.CancelScope(shield=True):
            if self._process.returncode is None:
                self._process.kill()
            await self._process.aclose()


class Finder:
    """Carries out finds, a few at a time. Made by `open_finder`."""

    def __init__(self) -> None:
        self._turns = anyio.Semaphore(FINDS_MAX)
        self._waiting = 0
        self._idle: list[_Worker] = []

    async def find(
        self,
        log: SqliteLog,
        task_id: str,
        wanted: Wanted,
        *,
        until: int,
        lines: int,
        is_over: bool,
        is_gone: Callable[[], Awaitable[bool]],
    ) -> Found:
        """Find in the output up to a position of the log, which has so many lines.

        Where more may come (not `is_over`), the line that has not ended is left for the next call.
        Raises Refused: `bad_pattern`, `pattern_too_slow`, and `rate_limited` when too many wait already; NobodyWaits
        when `is_gone` says so of whoever asked.
        """
        if self._waiting >= FINDS_WAITING_MAX:
            raise Refused(RATE_LIMITED, seconds=int(FIND_SECONDS))
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1

        def scan(look: _Look) -> Awaitable[Found]:
            return _scan(log, task_id, wanted, look, until=until, lines=lines, is_over=is_over, is_gone=is_gone)

        try:
            if not wanted.is_pattern:
                return await scan(_in_thread(Needle(wanted.text, case=wanted.case)))
            async with self._worker() as worker:
                if problem := await worker.ask(b"P" if wanted.case else b"p", wanted.text.encode()):
                    raise Refused(BAD_PATTERN, reason=problem.decode())
                return await scan(_in_process(worker))
        finally:
            self._turns.release()

    @asynccontextmanager
    async def _worker(self) -> AsyncGenerator[_Worker]:
        """A process to ask, which is kept unless something went wrong."""
        worker = self._idle.pop() if self._idle else await _started()
        try:
            yield worker
        except BaseException as error:
            if isinstance(error, NobodyWaits) or (isinstance(error, Refused) and error.refusal is BAD_PATTERN):
                self._idle.append(worker)
            else:  # it may be in the middle of something, or gone
                await worker.end()
            raise
        self._idle.append(worker)

    async def end(self) -> None:
        """End the processes."""
        while self._idle:
            await self._idle.pop().end()


@asynccontextmanager
async def open_finder() -> AsyncGenerator[Finder]:
    """What finds; leaving the block ends its processes."""
    finder = Finder()
    try:
        yield finder
    finally:
        with anyio.CancelScope(shield=True):
            await finder.end()


async def _started() -> _Worker:
    command = [sys.executable, "-I", "-S", str(Path(find_worker.__file__))]
    return _Worker(await anyio.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None))


def _in_thread(needle: Needle) -> _Look:
    def numbers_of(blocks: Callable[[], list[Block]]) -> list[int]:
        numbers: list[int] = []
        for block in blocks():
            for piece in block.slices():
                numbers += needle.lines_of(piece)
                time.sleep(0)  # lets go of the interpreter, which others may wait for
        return numbers

    async def look(blocks: Callable[[], list[Block]]) -> list[int]:
        return await anyio.to_thread.run_sync(numbers_of, blocks)

    return look


def _in_process(worker: _Worker) -> _Look:
    async def look(blocks: Callable[[], list[Block]]) -> list[int]:
        numbers: list[int] = []
        for block in await anyio.to_thread.run_sync(blocks):
            answer = await worker.ask(b"T", block.text)
            numbers += [block.line + number for (number,) in _number.iter_unpack(answer)]
        return numbers

    return look


async def _scan(
    log: SqliteLog,
    task_id: str,
    wanted: Wanted,
    look: _Look,
    *,
    until: int,
    lines: int,
    is_over: bool,
    is_gone: Callable[[], Awaitable[bool]],
) -> Found:
    """Read on, and look at each piece, until the end or until time is up."""
    ends = time.monotonic() + FIND_SECONDS
    reader = BlockReader(wanted.start, wanted.streams)
    total, found = 0, list[int]()

    async def take(blocks: Callable[[], list[Block]]) -> None:
        nonlocal total
        numbers = await look(blocks)
        total += len(numbers)
        found.extend(numbers[: wanted.limit - len(found)])

    place = await first_place(log, task_id, wanted.start, until)
    async with aclosing(output_events(log, task_id, place, until)) as reads:
        async for events in reads:
            if await is_gone():
                raise NobodyWaits
            await take(lambda events=events: list(reader.feed(filter(None, map(part_of, events)))))
            if (
                time.monotonic() > ends and reader.line > wanted.start
            ):  # however slow the machine, each call comes further
                return Found(total=total, lines=found, scanned_to=reader.line, complete=False)
    if is_over:
        await take(lambda: list(reader.rest()))
    scanned_to = lines if is_over else min(reader.line, lines)
    return Found(total=total, lines=found, scanned_to=scanned_to, complete=True)
