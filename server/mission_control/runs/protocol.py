"""What server and outpost say to each other, over frames. Pure: no I/O, no clock.

`RunStream` is the server's side of exactly once: it takes the frames of one run, however often they are sent, and
answers every byte once and in order, or a gap that is known and said. Positions count the raw bytes of the run over all
its streams; the sum of each stream is compared at every frame and again at the end. JSON may have fields that are not
known here: the outpost may be newer.
"""

from __future__ import annotations

import zlib
from hashlib import sha256
from typing import Literal, TypeVar

import msgspec
from msgspec import Struct

from ..domain.output import RunPosition, Stream, StreamPosition
from ..domain.values import LeftRunning, StreamSums
from .frames import ChannelBroken, Frame, Kind

STREAMS: dict[int, Stream] = {1: "stdout", 2: "stderr", 3: "response"}

State = Literal["running", "draining", "ended", "lost", "unknown", "forgotten", "refused"]


def run_id(task_id: str, attempt: int = 1) -> bytes:
    """The id of a task's run on its desktop. A further attempt of a prompt is a further run."""
    return sha256(f"{task_id}/{attempt}".encode()).digest()[:16]


class KnownRun(Struct, frozen=True, kw_only=True):
    """A run that the outpost still holds."""

    run: str
    task: str = ""
    ended: bool = False


class Hello(Struct, frozen=True, kw_only=True):
    """The first frame of a channel."""

    protocol: int
    version: str
    superseded: bool  # a newer attach has taken over, or this one came too late
    instance: str  # made with the outpost's directory
    boot: str
    pid: int
    python: str
    directory: str
    system: str
    warning: str | None = None
    runs: tuple[KnownRun, ...] = ()


class Metrics(Struct, frozen=True, kw_only=True):
    """The desktop's figures, every few seconds; shares from 0 to 1."""

    runs: int = 0
    cpu: float | None = None
    memory: float | None = None
    disk: float | None = None
    load: float | None = None


class ChildError(Struct, frozen=True, kw_only=True):
    """Why a command could not start, or a request failed."""

    error: str
    detail: str = ""


class End(Struct, frozen=True, kw_only=True):
    """How a run ended, as the desktop's kernel told it. `ms` counts from its start to the end of its main process."""

    code: int | None = None
    signal: str | None = None  # SIGKILL
    why: Literal["cancel", "timeout"] | None = None
    ms: int = 0
    streams: dict[str, StreamSums] = {}
    left: tuple[LeftRunning, ...] = ()
    error: ChildError | None = None
    subreaper: bool = True

    @property
    def total(self) -> int:
        """Raw bytes of the run."""
        return sum(sums.bytes for sums in self.streams.values())


class RunState(Struct, frozen=True, kw_only=True):
    """What the outpost knows of a run. `forgotten`: it has ended, and only its end is still known."""

    state: State
    why: str | None = None
    detail: str = ""
    end: End | None = None
    position: int = 0  # of the run, as far as its journal goes


class ResponseHead(Struct, frozen=True, kw_only=True, rename="camel"):
    """The head of an HTTP response."""

    status: int
    content_type: str | None = None
    retry_after: str | None = None


class Request(Struct, frozen=True, kw_only=True):
    """An HTTP request for the desktop to make. Times in seconds."""

    method: str
    url: str
    headers: dict[str, str]
    body: str | None = None
    connect: float = 10.0
    idle: float = 30 * 60.0
    ca: str | None = None  # a file on the desktop, instead of its own store
    networks: tuple[str, ...] = ()  # that may be asked beside the desktop's loopback


class Spec(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be run. Travels in the channel only: nothing of it but `task` is written to the desktop's disk."""

    task: str
    command: str | None = None
    request: Request | None = None
    cwd: str | None = None
    env: dict[str, str] = {}
    tty: bool = False
    timeout: float | None = None
    quota: int | None = None
    remember: bool = True  # its end for a while after it was forgotten


_encode = msgspec.json.Encoder().encode


def start(run: bytes, spec: Spec) -> bytes:
    """Start a run; the same id twice is one start."""
    return Frame(Kind.START, run, _encode(spec)).encode()


def attach(run: bytes, position: int) -> bytes:
    """Send what follows this position, and say how the run stands."""
    return Frame(Kind.ATTACH, run, position=position).encode()


def acknowledge(run: bytes, position: int) -> bytes:
    """The log has committed everything before this position."""
    return Frame(Kind.ACK, run, position=position).encode()


def cancel(run: bytes, grace_ms: int) -> bytes:
    """TERM to the whole tree, KILL after the grace."""
    return Frame(Kind.CANCEL, run, position=grace_ms).encode()


def forget(run: bytes) -> bytes:
    """The end is committed: nothing of this run is needed any more."""
    return Frame(Kind.FORGET, run).encode()


BEAT = Frame(Kind.BEAT).encode()
REMOVE = Frame(Kind.REMOVE).encode()
LEAVE = Frame(Kind.LEAVE).encode()

F = TypeVar("F", bound=Struct)


def read_facts(payload: bytes, kind: type[F]) -> F:
    """The JSON of a frame. Raises ChannelBroken when it is none."""
    try:
        return msgspec.json.decode(payload, type=kind)
    except msgspec.DecodeError as error:
        raise ChannelBroken(f"The outpost sent {kind.__name__} that cannot be read: {error}") from None


class Data(Struct, frozen=True):
    """Bytes of a stream that come next in the run. `ms` since its start on the desktop."""

    stream: Stream
    data: bytes
    ms: int


class Gap(Struct, frozen=True):
    """Bytes that are lost, as positions of the run; `streams` is where each stream goes on behind them."""

    start: int
    to: int
    reason: str
    streams: dict[Stream, StreamPosition]


class Mismatch(Exception):
    """What arrived here and what the desktop has written are not the same bytes."""


class RunStream:
    """Puts one run together from its frames, from a position on.

    The sums of a position that lies behind a gap are not known: then the desktop's are taken over, not compared.
    """

    def __init__(self, position: RunPosition = RunPosition(), *, is_behind_gap: bool = False) -> None:  # noqa: B008 - frozen
        self._streams = {stream: position.of(stream) for stream in STREAMS.values()}
        self._unsure: set[Stream] = set(STREAMS.values()) if is_behind_gap else set()

    @property
    def position(self) -> int:
        """Raw bytes of the run that have come."""
        return sum(stream.offset for stream in self._streams.values())

    def take(self, frame: Frame) -> list[Data | Gap]:
        """What is new in a frame of output. Raises Mismatch; ChannelBroken for a stream that does not exist."""
        stream = STREAMS.get(frame.stream)
        if stream is None:
            raise ChannelBroken(f"The outpost sent output of an unknown stream {frame.stream}.")
        end = frame.position + len(frame.payload)
        if end <= self.position:
            return []  # sent again after a reconnect
        answer: list[Data | Gap] = []
        if frame.position > self.position:
            answer.append(self._skip_to(frame, stream))
        known_bytes = self.position - frame.position
        here = self._streams[stream]
        # Of a frame that is new as a whole, one pass over the payload both checks it and carries the sum on.
        goes_on = not known_bytes and stream not in self._unsure and here.crc == frame.before
        crc = zlib.crc32(frame.payload, frame.before)
        if frame.after is not None and crc != frame.after:
            answer.append(self._skip_damaged(frame, stream))
            return answer
        data = frame.payload[known_bytes:] if known_bytes else frame.payload
        if here.offset != frame.offset + known_bytes:
            raise Mismatch(f"{stream} has {here.offset} bytes here and {frame.offset + known_bytes} on the desktop")
        if not goes_on and stream not in self._unsure and zlib.crc32(data, here.crc) != crc:
            raise Mismatch(f"the first {here.offset} bytes of {stream} here are not those of the desktop")
        self._unsure.discard(stream)
        self._streams[stream] = StreamPosition(here.offset + len(data), crc)
        answer.append(Data(stream, data, frame.ms))
        return answer

    def give_up(self, end: End) -> list[Gap]:
        """The gap between what has come and the end of a run whose output the desktop no longer has."""
        if end.total <= self.position:
            return []
        streams: dict[Stream, StreamPosition] = {
            STREAMS[int(number)]: StreamPosition(sums.bytes, sums.crc)
            for number, sums in end.streams.items()
            if int(number) in STREAMS
        }
        return [self._skip(streams, "The desktop had given these bytes back: they were in the log once.")]

    def check(self, end: End) -> None:
        """Compare with the sums that the desktop made at the pipe. Raises Mismatch."""
        for number, sums in end.streams.items():
            stream = STREAMS.get(int(number))
            here = self._streams[stream] if stream else StreamPosition()
            if here.offset != sums.bytes:
                raise Mismatch(f"{stream} has {here.offset} bytes here and {sums.bytes} on the desktop")
            if here.crc != sums.crc and stream not in self._unsure:
                raise Mismatch(f"the {here.offset} bytes of {stream} here are not those of the desktop")

    def _skip_to(self, frame: Frame, stream: Stream) -> Gap:
        """To a frame that is further on. What is lost of the other stream follows, since there are two at most."""
        streams: dict[Stream, StreamPosition] = {stream: StreamPosition(frame.offset, frame.before)}
        if stream != "response":
            other: Stream = "stderr" if stream == "stdout" else "stdout"
            lost = frame.position - frame.offset - self._streams[other].offset
            if lost:
                streams[other] = StreamPosition(frame.position - frame.offset, self._streams[other].crc)
                self._unsure.add(other)
        self._unsure.discard(stream)
        return self._skip(streams, "The desktop no longer has these bytes, or its disk damaged them.")

    def _skip_damaged(self, frame: Frame, stream: Stream) -> Gap:
        after = StreamPosition(frame.offset + len(frame.payload), frame.after or 0)
        return self._skip({stream: after}, "The desktop's disk damaged these bytes.")

    def _skip(self, streams: dict[Stream, StreamPosition], reason: str) -> Gap:
        start = self.position
        self._streams |= streams
        return Gap(start, self.position, reason, streams)
