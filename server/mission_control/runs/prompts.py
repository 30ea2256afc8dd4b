"""A prompt on its way to an agent's chat endpoint and back: the request, the raw answer into the log, progress with it.

The answer's bytes are stored as the run's `response` stream; progress is derived from just the bytes that go into the
same append, so a restart derives exactly what is missing. Made directly by the server, a request dies with it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from time import monotonic

import anyio
import httpx2

from ..domain.addresses import Network
from ..domain.entities import Agent, Task
from ..domain.events import TaskResponse
from ..domain.output import OutputCutter, Piece
from ..domain.progress import Progress
from ..domain.tasks import RunEnd
from ..domain.values import Error
from .agents.attempts import Attempt, Outcome, next_attempt
from .agents.failures import address_refused, unreachable, went_silent
from .agents.openai_chat import ChatRequest, ResponseParser, Turn, build_request
from .asking import AddressRefused, open_answer
from .recorder import Recorder

CONNECT_SECONDS = 10.0
IDLE_SECONDS = 30 * 60.0  # an agent at work may say nothing for a long time, and sends no keep-alive
GATHER_SECONDS = 0.04  # text deltas become one event of so much time, instead of one a token


class PromptRun:
    """One prompt. `cancel` closes the request, which is what stops an agent."""

    def __init__(
        self,
        task: Task,
        agent: Agent,
        token: str | None,
        turns: Sequence[Turn],
        recorder: Recorder,
        networks: Sequence[Network] = (),
    ) -> None:
        self._task = task
        self._agent = agent
        self._token = token
        self._turns = turns
        self._recorder = recorder
        self._networks = networks
        self._started_s = monotonic()
        self._cutter = OutputCutter(patterns=recorder.patterns)
        self._parser: ResponseParser | None = None  # of the answer that is coming in
        self._stop: Error | None = None
        self._scope = anyio.CancelScope()

    def cancel(self) -> None:
        """Close the request now. What came so far is kept."""
        self._end_request(Error(code="cancelled", message="The request was closed."))

    async def run(self) -> RunEnd:
        """Ask until there is an answer that stands; how it ended. Everything that came was given to the recorder."""
        outcome = Outcome(None, None, None)
        async with anyio.create_task_group() as group:
            if self._task.timeout_seconds is not None:
                group.start_soon(self._time_out, self._task.timeout_seconds)
            outcome = await self._ask_until_answered()
            group.cancel_scope.cancel()
        return RunEnd(error=outcome.error, duration_ms=self._ms, result=outcome.result, usage=outcome.usage)

    @property
    def _ms(self) -> int:
        return int((monotonic() - self._started_s) * 1000)

    async def _time_out(self, seconds: int) -> None:
        await anyio.sleep(seconds)
        message = f"It was still running after its timeout of {seconds} s, so the request was closed."
        self._end_request(Error(code="timeout", message=message))

    def _end_request(self, reason: Error) -> None:
        self._stop = self._stop or reason
        self._scope.cancel()

    async def _ask_until_answered(self) -> Outcome:
        attempt = Attempt()
        while True:
            outcome = await self._ask(attempt)
            following = next_attempt(attempt, outcome, now=datetime.now(UTC), jitter=random.random())  # noqa: S311 - spreads load, guards nothing
            if following is None or self._stop:
                return outcome
            attempt = following
            up_to = self._cutter.position.response.offset
            await self._recorder.add(progress=[Progress(kind="notice", up_to=up_to, text=attempt.notice)])

    async def _ask(self, attempt: Attempt) -> Outcome:
        """One request and its whole answer, after the attempt's wait."""
        try:
            request = build_request(
                self._agent,
                token=self._token,
                prompt=self._task.content,
                turns=self._turns,
                session_id=self._task.session_id,
                include_usage=attempt.include_usage,
            )
        except ValueError as error:
            return Outcome(None, None, Error(code="agent_token_invalid", message=str(error)))
        self._parser = None
        self._scope = anyio.CancelScope()
        if self._stop:
            self._scope.cancel()
        broken: str | None = None
        failure: Error | None = None
        try:
            with self._scope:
                await anyio.sleep(attempt.wait_ms / 1000)
                await self._read_answer(request)
        except AddressRefused as refused:
            failure = address_refused(request.url, str(refused))
        except httpx2.ConnectTimeout:
            failure = unreachable(request.url, f"it did not answer within {CONNECT_SECONDS:.0f} s")
        except httpx2.TimeoutException:
            failure = went_silent(int(IDLE_SECONDS))
        except httpx2.TransportError as error:
            broken = "the connection was lost"
            if self._parser is None:
                failure = unreachable(request.url, str(error) or type(error).__name__)
        if self._parser is None:
            return Outcome(None, None, self._stop or failure or unreachable(request.url, "it closed the connection"))
        await self._take(self._parser, self._cutter.finish())
        await self._recorder.add(progress=self._parser.finish(broken, self._stop or failure))
        assert self._parser.outcome is not None, "a finished parser has an outcome"
        return self._parser.outcome

    async def _read_answer(self, request: ChatRequest) -> None:
        """Until the answer is over, or the connection is."""
        async with open_answer(
            "POST",
            request.url,
            headers=request.headers,
            body=request.body,
            networks=self._networks,
            timeout=httpx2.Timeout(IDLE_SECONDS, connect=CONNECT_SECONDS),
        ) as response:
            self._parser = parser = await self._begin_answer(response, request.url)
            async for chunk in response.aiter_raw():
                await self._take(parser, self._cutter.feed("response", chunk, self._ms))
                if parser.outcome is not None:
                    return

    async def _begin_answer(self, response: httpx2.Response, url: str) -> ResponseParser:
        content_type, retry_after = response.headers.get("content-type"), response.headers.get("retry-after")
        await self._recorder.add(
            head=TaskResponse(
                task_id=self._task.id,
                status=response.status_code,
                content_type=content_type,
                retry_after=retry_after,
            )
        )
        return ResponseParser(
            status=response.status_code,
            content_type=content_type,
            retry_after=retry_after,
            kind=self._agent.kind,
            url=url,
            start=self._cutter.position.response.offset,
        )

    async def _take(self, parser: ResponseParser, pieces: Sequence[Piece]) -> None:
        """Store bytes together with the progress that they complete."""
        if pieces:
            progress = [item for piece in pieces for item in parser.feed(piece.data)]
            await self._recorder.add(pieces, progress, position=self._cutter.position)
