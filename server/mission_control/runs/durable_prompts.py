"""A prompt through the outpost: the desktop makes the request and holds it, whatever becomes of this server.

Each request is a run of its own, an attempt. Its bytes follow those of the attempts before it in the task's `response`
stream. After a restart the stored bytes of the attempt under way are read again, so that just the progress which is
missing is said.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from time import monotonic

import anyio
from msgspec import UNSET, Struct

from ..domain.entities import Agent, Task
from ..domain.events import Event, TaskOutput, TaskOutputGap, TaskPhase, TaskProgress, TaskResponse
from ..domain.output import OutputCutter, Piece, RunPosition, StreamPosition, decode_text
from ..domain.progress import Progress, rest_of
from ..domain.tasks import RunEnd
from ..domain.values import Error
from .agents.attempts import Attempt, Outcome, next_attempt
from .agents.failures import address_refused, unreachable, went_silent
from .agents.openai_chat import ResponseParser, Turn, build_request
from .commands import Told, record_gap
from .conversation import Began, Draining, Ended, Head, Lost, Waiting
from .durable import DurableRun
from .prompts import CONNECT_SECONDS, IDLE_SECONDS
from .protocol import Data, End, Gap, Request, ResponseHead, Spec
from .recorder import Recorder

Begin = Callable[[int, Spec], Awaitable[DurableRun | None]]
"""Says in the log that the attempt with this number begins, and gives its run; None when the task is not running any
more."""

CANCELLED = Error(code="cancelled", message="The request was closed.")
TIMEOUT = "It was still running after its timeout of {seconds} s, so the request was closed."
HOLE = "bytes of the answer are lost"


PAST = ("task.phase", "task.response", "task.output", "task.outputGap")
"""The types of the events from which, with its progress, a prompt is taken up again."""


class Past(Struct):
    """What the log holds of a prompt whose server went away: where to go on."""

    attempt: Attempt
    base: int = 0  # bytes of the response before this attempt
    received: int = 0  # of this attempt
    sum_before: int = 0  # CRC-32 of the response before this attempt
    sum: int = 0  # and after it
    parser: ResponseParser | None = None  # fed with them; None while there is no head
    missing: list[Progress] = []  # what they say and the log does not, yet
    has_hole: bool = False

    @property
    def position(self) -> RunPosition:
        """How far the attempt's run has come."""
        return RunPosition(
            response=StreamPosition(self.received, crc_of_rest(self.sum_before, self.sum, self.received))
        )


async def read_past(agent: Agent | None, progress: AsyncIterator[Event], rest: AsyncIterator[Event]) -> Past:
    """Read what the log holds of a prompt. `progress` are its events of progress, `rest` those named in `PAST`."""
    silent_until = held = 0
    async for event in progress:
        assert isinstance(event, TaskProgress)
        if event.up_to >= silent_until:
            silent_until, held = event.up_to, event.held or 0
    past, offset = Past(Attempt()), 0
    async for event in rest:
        match event:
            case TaskPhase() if event.attempt is not UNSET:
                past = Past(_following(past)._replace(number=event.attempt), offset, sum_before=past.sum, sum=past.sum)
            case TaskResponse():
                past.parser = _parser_of(event, agent, offset, silent_until)
            case TaskOutput(stream="response"):
                text = None if event.text is UNSET else event.text
                data = decode_text(text, None if event.base64 is UNSET else event.base64)
                past.received, past.sum = past.received + len(data), event.crc
                offset += len(data)
                if past.parser and not past.has_hole:
                    past.missing += past.parser.feed(data)
            case TaskOutputGap():
                past.received, past.has_hole = past.received + event.to - event.start, True
                offset += event.to - event.start
            case _:
                pass
    if held and past.parser and past.parser.last_silent:
        past.missing.insert(0, rest_of(past.parser.last_silent, held))
    return past


def crc_of_rest(before: int, whole: int, size: int) -> int:
    """The CRC-32 of the last `size` bytes of a stream, from that of what is before them and that of the whole.

    Those bytes may be masked where they are stored. The sum of a stream is linear in what it began with.
    """
    zeros = bytes(min(size, 64 * 1024))
    begun, fresh = before, 0
    while size > 0:
        part = zeros[:size]
        begun, fresh, size = zlib.crc32(part, begun), zlib.crc32(part, fresh), size - len(part)
    return whole ^ begun ^ fresh


def _following(past: Past) -> Attempt:
    """The attempt after this one, as it was decided."""
    if past.parser is None:
        return past.attempt
    past.parser.finish()
    assert past.parser.outcome is not None, "a finished parser has an outcome"
    return next_attempt(past.attempt, past.parser.outcome, now=datetime.now(UTC), jitter=0) or past.attempt


def _parser_of(head: TaskResponse, agent: Agent | None, start: int, silent_until: int = 0) -> ResponseParser:
    return ResponseParser(
        status=head.status,
        content_type=head.content_type,
        retry_after=head.retry_after,
        kind=agent.kind if agent else "openai",
        url=agent.url if agent else "",
        start=start,
        silent_until=silent_until,
    )


def spec_of(task: Task, agent: Agent, token: str | None, turns: Sequence[Turn], asked: Attempt, ms: int = 0) -> Spec:
    """What the outpost is told to ask. `ms` of the task's time have gone. Raises ValueError as `build_request` does."""
    request = build_request(
        agent,
        token=token,
        prompt=task.content,
        turns=turns,
        session_id=task.session_id,
        include_usage=asked.include_usage,
    )
    return Spec(
        task=task.id,
        request=Request(
            method="POST",
            url=request.url,
            headers=request.headers,
            body=request.body.decode(),
            connect=CONNECT_SECONDS,
            idle=IDLE_SECONDS,
        ),
        timeout=None if task.timeout_seconds is None else max(1.0, task.timeout_seconds - ms / 1000),
    )


class _Stopped(Exception):
    """Nothing more is to be asked: why."""

    def __init__(self, error: Error) -> None:
        self.error = error
        super().__init__(error.message)


class DurablePrompt:
    """One prompt, from its first attempt to its end."""

    def __init__(
        self,
        task: Task,
        agent: Agent,
        token: str | None,
        turns: Sequence[Turn],
        recorder: Recorder,
        cutter: OutputCutter,
        begin: Begin,
        tell: Told,
    ) -> None:
        self.attempt: DurableRun | None = None  # the one under way
        self._task = task
        self._agent = agent
        self._token = token
        self._turns = turns
        self._recorder = recorder
        self._cutter = cutter
        self._begin = begin
        self._tell = tell
        self._parser: ResponseParser | None = None
        self._has_hole = False
        self._base = 0
        self._is_cancelled = False
        self._pause = anyio.CancelScope()
        self._started_s = monotonic()

    def cancel(self) -> None:
        """Close the request, which is what stops an agent. What came so far is kept."""
        self._is_cancelled = True
        self._pause.cancel()
        if self.attempt:
            self.attempt.cancel()

    def acknowledge(self, offset: int) -> None:
        """The log has everything before this offset of the task's response."""
        if self.attempt and offset > self._base:
            self.attempt.acknowledge(offset - self._base)

    async def run(self, past: Past | None, attempt: DurableRun | None) -> RunEnd:
        """Ask until there is an answer that stands. With a `past`, go on with its attempt, whose run is given."""
        asked = Attempt()
        if past is not None:
            asked, self._parser, self._base, self._has_hole = past.attempt, past.parser, past.base, past.has_hole
            await self._recorder.add(progress=past.missing)
        outcome = Outcome(None, None, None)
        try:
            while True:
                self.attempt = attempt or await self._ask(asked)
                if self._is_cancelled:
                    self.attempt.cancel()
                outcome, end = await self._follow(self.attempt)
                following = next_attempt(asked, outcome, now=datetime.now(UTC), jitter=random.random())  # noqa: S311 - spreads load, guards nothing
                if following is None or self._is_cancelled:
                    return self._end(outcome, end)
                self.attempt.forget()  # its end is known for a while
                self.attempt.close()
                asked, attempt = following, None
                await self._wait(asked)
        except _Stopped as stopped:
            return RunEnd(error=stopped.error, duration_ms=self._ms, result=outcome.result, usage=outcome.usage)

    @property
    def _ms(self) -> int:
        return int((monotonic() - self._started_s) * 1000)

    def _end(self, outcome: Outcome, end: End | None) -> RunEnd:
        sums = end.streams.get("3") if end and not self._base else None
        ms = end.ms if end and not self._base else self._ms
        return RunEnd(
            error=outcome.error,
            duration_ms=ms,
            result=outcome.result,
            usage=outcome.usage,
            streams={"response": sums} if sums else None,
        )

    async def _wait(self, asked: Attempt) -> None:
        """Say why it is asked again, and wait as long as that wants."""
        up_to = self._cutter.position.response.offset
        await self._recorder.add(progress=[Progress(kind="notice", up_to=up_to, text=asked.notice)])
        await self._recorder.drained()
        with anyio.CancelScope() as self._pause:
            if not self._is_cancelled:
                await anyio.sleep(asked.wait_ms / 1000)

    async def _ask(self, asked: Attempt) -> DurableRun:
        if self._is_cancelled:
            raise _Stopped(CANCELLED)
        try:
            spec = spec_of(self._task, self._agent, self._token, self._turns, asked, self._ms)
        except ValueError as error:
            raise _Stopped(Error(code="agent_token_invalid", message=str(error))) from None
        self._parser, self._has_hole = None, False
        self._base = self._cutter.position.response.offset
        run = await self._begin(asked.number, spec)
        if run is None:
            raise _Stopped(CANCELLED)
        return run

    async def _follow(self, run: DurableRun) -> tuple[Outcome, End | None]:
        """One attempt to its end, when everything that came is durable."""
        cutter = self._cutter
        while True:
            happened = await run.next(cutter.deadline)
            if not happened:
                await self._take(cutter.flush(run.ms))
            for one in happened:
                match one:
                    case Head(head):
                        await self._take_head(head)
                    case Data(stream, data, ms):
                        await self._take(cutter.feed(stream, data, ms))
                        if self._parser and self._parser.outcome:
                            run.cancel(0)  # the answer is complete: nobody waits for its connection to be closed
                    case Gap():
                        await self._take(cutter.finish())
                        await self._take_gap(one)
                    case Began() | Draining() | Waiting():
                        await self._tell(one)
                    case Ended(end):
                        return await self._finish(*self._why_over(end)), end
                    case Lost(code, message):
                        return await self._finish("the run was lost", Error(code=code, message=message)), None

    async def _take_head(self, head: ResponseHead) -> None:
        if self._parser is not None:
            return  # sent again after a reconnect
        event = TaskResponse(
            task_id=self._task.id,
            status=head.status,
            content_type=head.content_type,
            retry_after=head.retry_after,
        )
        self._parser = _parser_of(event, self._agent, self._base)
        await self._recorder.add(head=event)

    async def _take(self, pieces: Sequence[Piece]) -> None:
        """Store bytes together with the progress that they complete."""
        if pieces:
            parser = None if self._has_hole else self._parser
            progress = [item for piece in pieces for item in parser.feed(piece.data)] if parser else []
            await self._recorder.add(pieces, progress, position=self._cutter.position)

    async def _take_gap(self, gap: Gap) -> None:
        self._has_hole = True
        here = self._cutter.position.response  # counts the attempts before this one, too
        there = StreamPosition(here.offset + gap.to - gap.start, here.crc)
        await record_gap(self._recorder, self._cutter, {"response": there}, gap.reason)

    def _why_over(self, end: End) -> tuple[str | None, Error | None]:
        """Why the answer is not whole, if it is not: in a few words, and the failure that stands for it."""
        if end.why == "cancel":
            return None, CANCELLED
        if end.why == "timeout":
            message = TIMEOUT.format(seconds=self._task.timeout_seconds)
            return None, Error(code="timeout", message=message)
        if end.error is None:
            return (None if end.code == 0 else f"the request was ended by {end.signal}"), None
        if end.error.error == "silent":
            return None, went_silent(int(IDLE_SECONDS))
        if end.error.error == "address":
            return None, address_refused(self._agent.url, end.error.detail or "its address may not be asked")
        if end.error.error == "connect_timeout":
            return "it did not answer", self._unreachable(f"it did not answer within {CONNECT_SECONDS:.0f} s")
        if self._parser is None:
            return None, self._unreachable(end.error.detail or "it closed the connection")
        return "the connection was lost", None

    def _unreachable(self, reason: str) -> Error:
        return unreachable(self._agent.url, reason)

    async def _finish(self, broken: str | None, error: Error | None) -> Outcome:
        await self._take(self._cutter.finish())
        outcome = Outcome(None, None, error or self._unreachable("it closed the connection"))
        if self._parser is not None:
            await self._recorder.add(progress=self._parser.finish(HOLE if self._has_hole else broken, error))
            assert self._parser.outcome is not None, "a finished parser has an outcome"
            outcome = self._parser.outcome
        await self._recorder.drained()
        return outcome
