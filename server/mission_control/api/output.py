"""Recorded output of a task, in bounded pieces from the log: never the whole in memory, no transaction over a wait."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal, NamedTuple

import msgspec
from msgspec import UNSET

from ..domain.events import TaskOutput, TaskOutputGap
from ..domain.output import decode_text
from ..log import queries
from ..log.event_log import StoredEvent
from ..log.sqlite import SqliteLog

_decoder = msgspec.json.Decoder(TaskOutput)


class Start(NamedTuple):
    """Where to begin: at an event, leaving out so many bytes of it."""

    seq: int = 0
    skip_bytes: int = 0


class OutputReader:
    """Reads the output events of a task up to a position of the log."""

    def __init__(
        self, log: SqliteLog, task_id: str, stream: Literal["stdout", "stderr", "response", "all"] | None, *, until: int
    ) -> None:
        self._log = log
        self._task_id = task_id
        self._streams = ("stdout", "stderr") if stream is None else None if stream == "all" else (stream,)
        self._until = until

    async def start_of(self, *, after: int | None, tail: int | None) -> Start:
        """Where output after a position begins, or the last so many lines; else the beginning."""
        if after:
            return await self._start_after(after)
        return Start() if tail is None else await self._start_of_tail(tail)

    async def bytes(self, start: Start) -> AsyncIterator[bytes]:
        """The raw bytes of the streams, in order of arrival."""
        async for event, output in self._outputs(start):
            if output is None:
                continue
            data = _bytes_of(output)
            yield data[start.skip_bytes :] if event.seq == start.seq else data

    async def lines(self, start: Start) -> AsyncIterator[bytes]:
        """The envelopes of the events, one a line; those of gaps among them."""
        async for event, _ in self._outputs(start):
            yield event.envelope() + b"\n"

    async def _outputs(self, start: Start) -> AsyncIterator[tuple[StoredEvent, TaskOutput | None]]:
        """The events of the streams, and the gaps, which have no output."""
        after = start.seq - 1
        while True:
            query = queries.output_page(self._task_id, after, self._until)
            async with self._log.snapshot() as snapshot:
                events = await snapshot.events(query.sql, query.parameters)
            if not events:
                return
            after = events[-1].seq
            for event in events:
                if event.body is None:
                    continue
                if event.type == TaskOutputGap.TYPE:
                    yield event, None
                elif self._wants(output := _decoder.decode(event.body)):
                    yield event, output

    def _wants(self, output: TaskOutput) -> bool:
        return self._streams is None or output.stream in self._streams

    async def _start_after(self, position: int) -> Start:
        async with self._log.snapshot() as snapshot:
            last = await queries.last_output(
                snapshot, self._task_id, self._until, lambda place: place.position <= position
            )
        if last is None:
            return Start()
        skip = position - last.position
        return Start(last.seq, skip) if skip < last.length else Start(last.seq + 1)

    async def _start_of_tail(self, lines: int) -> Start:
        """Goes back from the end until so many lines have begun; a line end at the very end ends the last one."""
        before, missing, is_end = self._until + 1, lines, True
        while lines:
            query = queries.output_page_back(self._task_id, before)
            async with self._log.snapshot() as snapshot:
                events = await snapshot.events(query.sql, query.parameters)
            if not events:
                return Start()
            before = events[-1].seq
            for event in events:
                if event.body is None or not self._wants(output := _decoder.decode(event.body)):
                    continue
                data = _bytes_of(output)
                end = len(data) - (is_end and data.endswith(b"\n"))
                is_end = False
                while (newline := data.rfind(b"\n", 0, end)) >= 0:
                    missing -= 1
                    if not missing:
                        return Start(event.seq, newline + 1)
                    end = newline
        return Start(self._until + 1)


def _bytes_of(output: TaskOutput) -> bytes:
    return decode_text(None if output.text is UNSET else output.text, None if output.base64 is UNSET else output.base64)
