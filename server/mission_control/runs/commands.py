"""A command task from its start to its end: what the desktop says goes to the recorder, its end becomes the task's.

Two ways: through the outpost, which is durable, and over a plain exec channel where there can be no outpost.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing

from ..domain.entities import Task
from ..domain.events import TaskOutputGap
from ..domain.output import OutputCutter, Piece, Stream, StreamPosition
from ..domain.tasks import RunEnd
from ..domain.values import Error
from . import direct
from .connection import SshConnection, SshFailure
from .conversation import Began, Draining, Ended, Happening, Lost, Waiting
from .direct import CommandRefused, open_command
from .durable import DurableRun
from .protocol import STREAMS, Data, End, Gap, Spec
from .recorder import Recorder

Told = Callable[[Happening], Awaitable[None]]
"""Takes what is about the run as a whole: that it began, drains, or waits for its desktop."""

CANNOT_START = "It could not be started on the desktop: {detail}."
NO_DIRECTORY = "Its directory cannot be entered on the desktop: {detail}."


def spec_of(task: Task, given: Mapping[str, str]) -> Spec:
    """What the outpost is told to run, with the secrets that the command is given."""
    timeout = None if task.timeout_seconds is None else float(task.timeout_seconds)
    return Spec(
        task=task.id, command=task.content, cwd=task.cwd, env={**task.env, **given}, tty=task.tty, timeout=timeout
    )


async def run_durably(
    run: DurableRun, cutter: OutputCutter, recorder: Recorder, tell: Told, timeout_seconds: int | None, base: int = 0
) -> RunEnd:
    """Record a run to its end, which comes when all of its output is durable.

    `base` counts the bytes of the attempts before this one, which stand in the same stream.
    """
    while True:
        happened = await run.next(cutter.deadline)
        if not happened:
            await recorder.add(cutter.flush(run.ms), position=cutter.position)
        pieces: list[Piece] = []
        for one in happened:
            match one:
                case Data(stream, data, ms):
                    pieces += cutter.feed(stream, data, ms)
                case Gap():
                    await recorder.add([*pieces, *cutter.finish()], position=cutter.position)
                    pieces = []
                    there: dict[Stream, StreamPosition] = {
                        stream: StreamPosition(at.offset + base, at.crc) for stream, at in one.streams.items()
                    }
                    await record_gap(recorder, cutter, there, one.reason)
                case Began() | Draining() | Waiting():
                    await tell(one)
                case Ended() | Lost():
                    await recorder.add([*pieces, *cutter.finish()], position=cutter.position)
                    await recorder.drained()
                    if isinstance(one, Lost):
                        return RunEnd(error=Error(code=one.code, message=one.message))
                    return end_of_durable(one.end, timeout_seconds)
                case _:
                    pass  # heads belong to prompts
        if pieces:
            await recorder.add(pieces, position=cutter.position)


async def record_gap(
    recorder: Recorder, cutter: OutputCutter, streams: Mapping[Stream, StreamPosition], reason: str
) -> None:
    """Say which bytes are lost, and go on behind them, where these streams do. The cutter holds nothing back."""
    start = cutter.position.position
    cutter.jump(streams)
    to = cutter.position.position
    offsets: dict[Stream, int] = {stream: at.offset for stream, at in streams.items()}
    lost = TaskOutputGap(task_id=recorder.task_id, start=start, to=to, reason=reason, streams=offsets)
    await recorder.add(head=lost, position=cutter.position)


def end_of_durable(end: End, timeout_seconds: int | None) -> RunEnd:
    """What the end that an outpost tells means for its task."""
    error: Error | None = None
    if end.error is not None:
        sentence = NO_DIRECTORY if end.error.error == "cwd_invalid" else CANNOT_START
        error = Error(code=end.error.error, message=sentence.format(detail=end.error.detail.rstrip(".")))
    elif end.why == "timeout":
        error = Error(code="timeout", message=f"It was stopped after its timeout of {timeout_seconds} s.")
    elif end.why is None:
        error = error_of_exit(end.code, end.signal)
    return RunEnd(
        exit_code=end.code,
        signal=end.signal,
        error=error,
        duration_ms=end.ms,
        left_running=end.left or None,
        streams={STREAMS[int(number)]: sums for number, sums in end.streams.items() if int(number) in STREAMS},
    )


def error_of_exit(code: int | None, signal: str | None) -> Error | None:
    """Why an exit is no success; None when it is one."""
    if signal:
        return Error(code="killed_by_signal", message=f"The command was ended by {signal}.")
    if code != 0:
        return Error(code="exit_nonzero", message=f"The command exited with code {code}.")
    return None


async def run_directly(
    connection: SshConnection,
    task: Task,
    recorder: Recorder,
    streaming: Callable[[Callable[[], None]], Awaitable[None]],
) -> RunEnd:
    """Run a command over a plain exec channel: it lives and dies with the connection.

    `streaming` is told, once it runs, how it can be cancelled.
    """
    timeout_s = None if task.timeout_seconds is None else float(task.timeout_seconds)
    try:
        async with open_command(
            connection,
            task.content,
            task_id=task.id,
            env=task.env,
            cwd=task.cwd,
            tty=task.tty,
            timeout_s=timeout_s,
        ) as run:
            await streaming(run.cancel)
            cutter = OutputCutter(patterns=recorder.patterns)
            async with aclosing(run.pieces(cutter)) as arriving:
                async for pieces in arriving:
                    await recorder.add(pieces, position=cutter.position)
            await recorder.drained()
            return end_of_direct(run.end, task.timeout_seconds)
    except CommandRefused as refused:
        return RunEnd(error=Error(code=refused.code, message=refused.message))
    except SshFailure as failure:
        message = f"{failure.message} The command may have been started."
        return RunEnd(error=Error(code="connection_lost", message=message))


def end_of_direct(end: direct.RunEnd, timeout_seconds: int | None) -> RunEnd:
    """What the end of a plain exec channel means for its task."""
    error: Error | None = None
    may_run = " The host gave no exit: it may still be running there." if end.maybe_running else ""
    match end.reason:
        case "timeout":
            error = Error(code="timeout", message=f"It was stopped after its timeout of {timeout_seconds} s.{may_run}")
        case "cancelled":
            if end.maybe_running:
                error = Error(code="may_be_running", message=f"It was told to stop.{may_run}")
        case "connection_lost":
            error = Error(
                code="connection_lost",
                message="The connection to the desktop was lost. "
                "The command may have ended with it, or still run there.",
            )
        case "no_exit":
            error = Error(code="no_exit", message=f"The host closed the session without an exit code.{may_run}")
        case "exited":
            error = error_of_exit(end.exit_code, end.signal)
    return RunEnd(exit_code=end.exit_code, signal=end.signal, error=error, duration_ms=end.ms)
