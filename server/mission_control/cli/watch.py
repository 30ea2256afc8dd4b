"""Follows a run: what it writes goes to the streams it came from, until it is over, whatever happens to the connection.

An event is shown whole before the cursor moves past it, and a Ctrl-C is heard only between two of them. So after any
interruption the next connection goes on exactly where the last one stopped.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Literal, NamedTuple

import msgspec
from msgspec import UNSET

from ..domain.entities import Task
from ..domain.events import (
    Event,
    TaskCreated,
    TaskNote,
    TaskOutput,
    TaskOutputGap,
    TaskProgress,
    decode_event,
)
from ..domain.fold import State
from ..domain.output import decode_text
from ..domain.progress import PlanItem
from .client import Client, Envelope, task_path
from .failures import BROKEN_PIPE, FAILED, INTERRUPTED, OK, UNREACHABLE, Failed, Lost
from .render import shortened
from .terminal import Interrupts, TerminalFilter, Writer, ask, can_ask, one_line

FIRST_DELAY_SECONDS = 0.25
DELAY_SECONDS_MAX = 10.0
PATIENCE_SECONDS = 600  # without a connection; the run itself goes on

PLAN_MARKS = {"completed": "✓", "in_progress": "▸", "pending": "·"}
TOLD_BY_EXIT_CODE = frozenset(("exit_nonzero", "killed_by_signal"))

OVER = frozenset(("review", "done", "failed", "cancelled"))

Place = Literal[
    "stdout",  # what the command wrote, and the agent's answer: raw
    "stderr",  # what the command wrote to stderr: raw
    "aside",  # what the agent thought and its tools said: stderr, dimmed
    "mark",  # whole lines about what the agent does: stderr, dimmed
    "notice",  # a sentence of ours: stderr
]


class Piece(NamedTuple):
    """Something to show."""

    place: Place
    data: bytes


class Transcript:
    """What the events of one task show to somebody who watches it. Pure; it only knows which plan was shown last."""

    def __init__(self) -> None:
        self._plan: tuple[PlanItem, ...] = ()

    def pieces(self, event: Event) -> Iterator[Piece]:
        """What the next event shows."""
        match event:
            case TaskOutput(stream="stdout" | "stderr" as stream):
                if event.text is not UNSET or event.base64 is not UNSET:
                    text, base64 = event.text or None, event.base64 or None
                    yield Piece(stream, decode_text("" if text is base64 is None else text, base64))
                else:
                    yield _notice(f"{event.length} bytes of {stream} were removed.")
            case TaskOutputGap():
                yield _notice(f"{event.to - event.start} bytes of the output were lost: {event.reason}")
            case TaskNote():
                yield _notice(event.text)
            case TaskProgress():
                yield from self._progress(event)
            case _:
                pass

    def _progress(self, event: TaskProgress) -> Iterator[Piece]:
        match event.kind:
            case "text":
                yield Piece("stdout", _bytes(event.text))
            case "reasoning":
                yield Piece("aside", _bytes(event.text))
            case "tool.started":
                yield Piece("mark", f"▸ {one_line(_word(event.name))} {shortened(_word(event.input))}\n".encode())
            case "tool.output":
                yield Piece("aside", _bytes(event.output))
            case "plan" if event.items:
                if text := self._news_of_plan(event.items):
                    yield Piece("mark", text.encode())
            case "notice":
                yield _notice(_word(event.text))
            case _:
                pass

    def _news_of_plan(self, plan: tuple[PlanItem, ...]) -> str:
        """A new plan whole; of one that was shown, the steps that were completed since."""
        before, self._plan = self._plan, plan
        done = {item.step for item in before if item.status == "completed"}
        if [item.step for item in before] != [item.step for item in plan]:
            return "Plan\n" + "".join(f"  {PLAN_MARKS[item.status]} {one_line(item.step)}\n" for item in plan)
        return "".join(
            f"✓ {one_line(item.step)}\n" for item in plan if item.status == "completed" and item.step not in done
        )


def _word(text: object) -> str:
    return text if isinstance(text, str) else ""


def _bytes(text: object) -> bytes:
    return _word(text).encode(errors="replace")


def _notice(text: str) -> Piece:
    return Piece("notice", one_line(text).encode())


def exit_code_of(task: Task) -> int:
    """The exit code of a run that is over: the command's own, 128 + signal, or 1 where it had none."""
    if task.status in ("done", "review"):
        return OK
    if task.signal:
        number = getattr(signal, task.signal if task.signal.startswith("SIG") else f"SIG{task.signal}", None)
        if isinstance(number, signal.Signals):
            return 128 + number
    return (task.exit_code or 0) & 0xFF or FAILED


def end_of(task: Task, *, for_person: bool) -> str | None:
    """A sentence about how a run ended; None when its output says it all. The exit code is enough for a script."""
    match task.status:
        case "review":
            return (
                f"{task.id} waits for review: mission-control tasks review {task.id} approve"
                " (or: reject --feedback TEXT)."
            )
        case "cancelled":
            return f"{task.id} was cancelled."
        case "failed" if task.error and task.error.code in TOLD_BY_EXIT_CODE and not for_person:
            return None
        case "failed" if task.error:
            return f"{task.id} failed: {task.error.message} ({task.error.code})"
        case "failed" if task.feedback:
            return f"{task.id} was rejected: {task.feedback}"
        case "failed":
            return f"{task.id} was rejected."
        case _:
            return None


class Screen:
    """Our two streams, with a run on them. Both may be the same terminal: then what is ours begins on its own line."""

    def __init__(self, out: Writer, err: Writer) -> None:
        self._out = out
        self._err = err
        self._last_place: Place = "notice"
        self._aside = TerminalFilter() if err.is_terminal else None

    @property
    def is_for_person(self) -> bool:
        return self._err.is_terminal

    def show(self, piece: Piece) -> None:
        """Take a piece; `flush` writes it."""
        data = piece.data
        match piece.place:
            case "stdout":
                if self._last_place == "aside" and self._out.is_terminal:
                    self._begin_line()
                self._out.take(data)
            case "stderr":
                self._err.take(data)
            case "aside":
                if self._last_place != "aside":
                    self._begin_line()
                self._say_dimmed(self._aside.feed(data) if self._aside else data.decode(errors="replace"))
            case "mark":
                self._begin_line()
                self._say_dimmed(data.decode())
            case "notice":
                self._begin_line()
                self._say_dimmed(f"mission-control: {data.decode()}\n")
        self._last_place = piece.place

    def notice(self, text: str) -> None:
        """Say something of our own at once."""
        self.show(_notice(text))
        self.flush()

    def flush(self) -> None:
        """Write what waits. Raises KeyboardInterrupt."""
        self._err.flush()
        self._out.flush()

    def finish(self, *, ends_line: bool) -> None:
        """The run is over; with `ends_line` the shell's prompt gets a line of its own."""
        self._out.finish()
        self._err.finish()
        if ends_line and self._out.is_terminal and not self._out.at_line_start:
            self._out.say("\n")
        self.flush()

    def _begin_line(self) -> None:
        shared = self._out.is_terminal and self._err.is_terminal
        last = self._out if shared and self._last_place == "stdout" else self._err
        if not last.at_line_start:
            last.say("\n")

    def _say_dimmed(self, text: str) -> None:
        is_styled = self._err.is_terminal and not os.environ.get("NO_COLOR")
        self._err.say(f"\x1b[2m{text}\x1b[22m" if is_styled and text else text)


def delay_seconds(failures: int, chance: float) -> float:
    """How long to wait before the next connection: doubling, bounded, and spread over many clients."""
    longest = min(DELAY_SECONDS_MAX, FIRST_DELAY_SECONDS * 2 ** min(failures - 1, 10))
    return longest * (0.5 + chance / 2)


class Watch:
    """One task, followed to its end."""

    def __init__(
        self,
        client: Client,
        task: Task,
        screen: Screen,
        interrupts: Interrupts,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._seen_first = task
        self._screen = screen
        self._interrupts = interrupts
        self._sleep = sleep
        self._state = State()
        self._transcript = Transcript()
        self._cursor = 0
        self._wants_cancel = False

    def follow(self) -> int:
        """Show everything from the beginning until the run is over. The exit code; Ctrl-C asks what to do."""
        if self._seen_first.status == "pending":
            self._screen.notice(f"It is not started yet: mission-control tasks run {self._seen_first.id}")
        while True:
            try:
                self._follow()
                break
            except KeyboardInterrupt:
                if not self._stays():
                    return INTERRUPTED
        task = self._task
        self._screen.finish(ends_line=task.type == "prompt")
        if sentence := end_of(task, for_person=self._screen.is_for_person):
            self._screen.notice(sentence)
        return exit_code_of(task)

    @property
    def _task(self) -> Task:
        return self._state.tasks.get(self._seen_first.id, self._seen_first)

    @property
    def _is_over(self) -> bool:
        """Whether this is the end. One that is older than what we saw first was followed by something else."""
        task = self._state.tasks.get(self._seen_first.id)
        return task is not None and task.status in OVER and task.version >= self._seen_first.version

    def _follow(self) -> None:
        failures, contact = 0, time.monotonic()
        while not self._is_over:
            try:
                with ExitStack() as stack:
                    with self._interrupts.allowed():
                        envelopes = stack.enter_context(self._client.events(self._seen_first.id, self._cursor))
                    if failures:
                        self._screen.notice("Connected again.")
                    contact = time.monotonic()
                    while not self._is_over:
                        with self._interrupts.allowed():
                            envelope = next(envelopes)
                        contact, failures = time.monotonic(), 0
                        self._take(envelope)
                        self._screen.flush()
            except Lost as lost:
                failures += 1
                if failures == 1:
                    self._screen.notice(f"The connection was lost ({lost}); trying again. The run goes on.")
                if time.monotonic() - contact > PATIENCE_SECONDS:
                    raise Failed(
                        f"No connection for {PATIENCE_SECONDS // 60} minutes; the run goes on without being watched."
                        f" Later: mission-control tasks watch {self._seen_first.id}",
                        UNREACHABLE,
                    ) from None
                with self._interrupts.allowed():
                    self._sleep(delay_seconds(failures, random.random()))  # noqa: S311 - to spread clients

    def _take(self, envelope: Envelope) -> None:
        try:
            event = decode_event(envelope.type, bytes(envelope.payload))
        except KeyError:  # an event of a newer server
            event = None
        except msgspec.ValidationError as error:
            raise Failed(f"The server's events are not understood ({error}). Is it of the same version?") from None
        if event is not None:
            if isinstance(event, TaskCreated) or self._seen_first.id in self._state.tasks:
                self._state.apply(event)
            for piece in self._transcript.pieces(event):
                self._screen.show(piece)
        self._cursor = envelope.seq

    def _stays(self) -> bool:
        """After a Ctrl-C: whether to go on watching. Another Ctrl-C leaves."""
        choice = "leave"
        try:
            if can_ask() and not self._wants_cancel:
                with self._interrupts.allowed():
                    choice = ask("\nThe task runs on. Cancel it [c], keep watching [w], or leave it running [Enter]? ")
                if choice[:1] in ("w", "W"):
                    self._screen.notice("Watching on.")
                    return True
                if choice[:1] in ("c", "C"):
                    self._cancel()
                    return True
        except KeyboardInterrupt:
            pass
        id = self._seen_first.id
        with suppress(KeyboardInterrupt):
            self._screen.notice(f"Left running. Watch: mission-control tasks watch {id}  Cancel: … tasks cancel {id}")
        return False

    def _cancel(self) -> None:
        self._wants_cancel = True
        with self._interrupts.allowed():
            try:
                self._client.post(task_path(self._seen_first.id, "/cancel"))
            except Failed as failed:
                self._screen.notice(str(failed))  # it may just have ended; the stream will tell
                return
        self._screen.notice("Cancelling …")


def watch(client: Client, task: Task) -> int:
    """Show a run on stdout and stderr until it is over; the exit code."""
    with Interrupts() as interrupts:
        screen = Screen(Writer(sys.stdout, interrupts), Writer(sys.stderr, interrupts))
        try:
            return Watch(client, task, screen, interrupts).follow()
        except BrokenPipeError:  # whoever read us has enough; the run goes on
            return BROKEN_PIPE
