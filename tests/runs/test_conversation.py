"""One run is started once and its bytes come once, whatever dies between server and outpost, and whenever."""

from __future__ import annotations

import zlib

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mission_control.domain.output import RunPosition
from mission_control.domain.values import StreamSums
from mission_control.runs.conversation import Began, Conversation, Ended, Happening, Lost
from mission_control.runs.frames import Frame, FrameReader, Kind
from mission_control.runs.protocol import Data, End, Gap, Hello, RunState, Spec

RUN = b"0123456789abcdef"
SPEC = Spec(task="task_1", command="echo")
JSON = msgspec.json.Encoder().encode


class Outpost:
    """What an outpost promises, in a few lines: files survive it, a reboot or a wiped directory it does not."""

    def __init__(self) -> None:
        self.instance, self.boot = "i1", "b1"
        self.starts = 0
        self.written = b""
        self.is_known = self.is_stopping = self.has_ended = self.is_lost = False

    @property
    def hello(self) -> Hello:
        facts = {"protocol": 1, "version": "v", "superseded": False, "pid": 1, "python": "3", "directory": "/d"}
        return Hello(instance=self.instance, boot=self.boot, system="Linux", **facts)

    def hear(self, frame: Frame) -> list[Frame]:
        if frame.kind == Kind.START and not self.is_known:
            self.is_known, self.starts = True, self.starts + 1
        if frame.kind == Kind.CANCEL:
            self.is_stopping = self.is_known
            return []
        if not self.is_known:
            return [self._state("unknown")]
        position = frame.position if frame.kind == Kind.ATTACH else 0
        state = "lost" if self.is_lost else "ended" if self.has_ended else "running"
        frames = [self._state(state, "rebooted" if self.is_lost else None), *self.records(position)]
        if self.has_ended and not self.is_lost:
            sums = StreamSums(bytes=len(self.written), crc=zlib.crc32(self.written), sha256="")
            frames.append(Frame(Kind.END, RUN, JSON(End(code=0, streams={"1": sums}))))
        return frames

    def records(self, position: int) -> list[Frame]:
        """Every record (three bytes each) of which a server at this position lacks something."""
        found: list[Frame] = []
        for at in range(0, len(self.written), 3):
            data = self.written[at : at + 3]
            if at + len(data) > position:
                found.append(Frame(Kind.OUTPUT, RUN, data, 1, at, at, 0, zlib.crc32(self.written[:at])))
        return found

    def _state(self, state: str, why: str | None = None) -> Frame:
        return Frame(Kind.STATE, RUN, JSON({"state": state, "why": why, "position": len(self.written)}))


class OneRun(RuleBasedStateMachine):
    """A server that crashes and comes back with what its log holds, and links that break at any byte."""

    def __init__(self) -> None:
        super().__init__()
        self.outpost = Outpost()
        self.log = b""  # what is recorded
        self.is_confirmed = False  # in the log
        self.received = b""  # by this server since it started, behind what its log held then
        self.over: Happening | None = None
        self.was_wiped = False
        self.starts_at_cancel: int | None = None  # the log says that it is to be cancelled
        self.conversation = self.new(None)
        self.on_the_way: list[Frame] = []

    def new(self, position: RunPosition | None) -> Conversation:
        conversation = Conversation(
            RUN, SPEC, instance="i1", boot="b1", position=position, is_confirmed=self.is_confirmed
        )  # what the log says of the outpost that was asked
        if self.starts_at_cancel is not None:
            conversation.cancel(5_000)
        return conversation

    @rule()
    def link(self) -> None:
        """A new link: what was on the way over the one before is gone."""
        self.on_the_way = []
        self.say(self.conversation.open(self.outpost.hello))

    def say(self, sent: bytes) -> None:
        for frame in FrameReader().feed(sent):
            self.on_the_way += self.outpost.hear(frame)

    @rule(lost=st.booleans())
    def link_that_breaks_at_once(self, lost: bool) -> None:
        """The first word is sent; whether it arrives nobody knows, and no answer comes."""
        self.on_the_way = []
        sent = self.conversation.open(self.outpost.hello)
        if not lost:
            self.say(sent)
        self.on_the_way = []

    @precondition(lambda self: self.starts_at_cancel is None)
    @rule(lost=st.booleans())
    def cancel(self, lost: bool) -> None:
        """Somebody wants it stopped; whether that arrives over the present link nobody knows."""
        self.starts_at_cancel = self.outpost.starts
        sent = self.conversation.cancel(5_000)
        if not lost:
            self.say(sent)

    @precondition(lambda self: self.starts_at_cancel is not None)
    @rule()
    def link_that_holds(self) -> None:
        """Everything arrives. Then nothing of a cancelled run goes on, unless its end or loss is on its way."""
        self.link()
        while self.on_the_way:
            self.arrive(1)
        assert self.over or self.outpost.is_stopping

    @precondition(lambda self: self.on_the_way)
    @rule(count=st.integers(1, 4))
    def arrive(self, count: int) -> None:
        for _ in range(min(count, len(self.on_the_way))):
            happened, answer = self.conversation.hear(self.on_the_way.pop(0))
            for one in happened:
                match one:
                    case Data(_, data, _):
                        self.received += data
                    case Gap(start, to, _, _):
                        self.received += b"?" * (to - start)
                    case Ended() | Lost():
                        assert self.over is None, "there is one end"
                        self.over = one
                        self.log += self.received
                        self.received = b""
                    case Began():
                        pass
                    case _:
                        raise AssertionError(one)
            if answer:
                self.say(answer)

    @precondition(lambda self: self.over is None)
    @rule(size=st.integers(0, 5))
    def commit(self, size: int) -> None:
        """Some of what was received becomes durable; or only that the run has begun."""
        self.log, self.received = self.log + self.received[:size], self.received[size:]
        self.is_confirmed = self.is_confirmed or bool(self.log)

    @precondition(lambda self: self.over is None)
    @rule()
    def crash(self) -> None:
        """kill -9: the next server knows what the log holds."""
        self.received, self.on_the_way = b"", []
        self.conversation = self.new(RunPosition().after("stdout", self.log) if self.log else RunPosition())

    @precondition(lambda self: self.outpost.is_known and not self.outpost.has_ended and not self.outpost.is_lost)
    @rule(data=st.binary(min_size=1, max_size=6))
    def write(self, data: bytes) -> None:
        old = len(self.outpost.written)
        old -= old % 3
        self.outpost.written += data
        self.outpost.written += b"." * (-len(self.outpost.written) % 3)  # whole records, so that old ones stay

    @precondition(lambda self: self.outpost.is_known)
    @rule()
    def end(self) -> None:
        self.outpost.has_ended = True

    @precondition(lambda self: self.outpost.is_known and not self.outpost.has_ended)
    @rule()
    def reboot(self) -> None:
        self.outpost.is_lost, self.outpost.boot = True, "b2"

    @rule()
    def wipe(self) -> None:
        """The directory is removed, and with it everything that the outpost knew."""
        starts, self.outpost = self.outpost.starts, Outpost()
        self.outpost.starts, self.outpost.instance = starts, "i2"
        self.was_wiped = True

    @invariant()
    def it_was_started_once_at_most(self) -> None:
        # A start that is on its way while the directory is wiped may still arrive at its successor; nothing else.
        assert self.outpost.starts <= 1

    @invariant()
    def it_is_not_started_after_it_was_cancelled(self) -> None:
        if self.starts_at_cancel is not None:
            assert self.outpost.starts == self.starts_at_cancel

    @invariant()
    def what_came_is_what_was_written(self) -> None:
        if not self.was_wiped:
            assert self.outpost.written.startswith(self.log + self.received)

    @invariant()
    def an_end_comes_after_the_last_byte(self) -> None:
        if isinstance(self.over, Ended):
            assert self.log == self.outpost.written or self.was_wiped
        if isinstance(self.over, Lost) and not self.was_wiped:
            assert self.outpost.is_lost or (self.over.code == "cancelled" and not self.outpost.is_known), self.over
            assert self.log == self.outpost.written, "what it wrote before is kept"


TestOneRun = OneRun.TestCase


def test_the_state_of_a_run_is_read_though_a_newer_outpost_says_more():
    state = msgspec.json.decode(b'{"state": "running", "why": null, "position": 3, "mood": "good"}', type=RunState)
    assert state.position == 3
