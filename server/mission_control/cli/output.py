"""`mission-control tasks output`: what was recorded of a run, byte for byte."""

from __future__ import annotations

import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator

import msgspec

from ..domain.entities import Task
from ..domain.events import decode_event
from .client import Client, decoded, task_path
from .failures import BROKEN_PIPE, INTERRUPTED, OK, Failed
from .terminal import Interrupts, Writer, ask, can_ask
from .watch import Piece, Transcript

_LINE = re.compile(rb"[^\n]*\n|[^\n]+")


class _Line(msgspec.Struct):
    type: str
    payload: msgspec.Raw


def print_output(client: Client, id: str, *, stream: str | None, tail: int | None, as_json: bool) -> int:
    """Print recorded output; the exit code."""
    if tail is not None and tail < 0:
        raise Failed("--tail is not negative.")
    if stream is None and not as_json:
        task = decoded(client.get(task_path(id)), Task)
        if task.type == "prompt":
            return _print_answer(task)
    with Interrupts() as interrupts:
        out, err = Writer(sys.stdout, interrupts), Writer(sys.stderr, interrupts)
        form = "ndjson" if as_json or stream is None else "text"
        try:
            with client.download(task_path(id, "/output"), stream=stream, tail=tail, format=form) as chunks:
                if form == "text" or as_json:
                    for chunk in _heard(chunks, interrupts):
                        out.take(chunk)
                        out.flush()
                else:
                    pieces = _pieces(_heard(chunks, interrupts))
                    for piece in pieces if tail is None else last_lines(pieces, tail):
                        (out if piece.place == "stdout" else err).take(piece.data)
                        err.flush()
                        out.flush()
            out.finish()
            err.finish()
            err.flush()
            out.flush()
        except BrokenPipeError:
            return BROKEN_PIPE
        except KeyboardInterrupt:
            return INTERRUPTED
    return OK


def _heard(chunks: Iterator[bytes], interrupts: Interrupts) -> Iterator[bytes]:
    """The chunks, with Ctrl-C heard while they are waited for."""
    while True:
        with interrupts.allowed():
            chunk = next(chunks, None)
        if chunk is None:
            return
        yield chunk


def _pieces(chunks: Iterator[bytes]) -> Iterator[Piece]:
    """The recorded output with the stream of each piece, from newline-delimited envelopes."""
    decode, transcript = msgspec.json.Decoder(_Line).decode, Transcript()
    for line in _lines(chunks):
        try:
            envelope = decode(line)
            event = decode_event(envelope.type, bytes(envelope.payload))
        except KeyError:  # an event of a newer server
            continue
        except msgspec.DecodeError as error:
            raise Failed(f"The server's answer is not understood ({error}). Is it of the same version?") from None
        yield from transcript.pieces(event)


def last_lines(pieces: Iterable[Piece], count: int) -> Iterator[Piece]:
    """The end of an output, cut at a line: the server answers whole pieces. A line ends where the stream changes."""
    kept: deque[Piece] = deque(maxlen=count)
    for piece in pieces:
        for line in _LINE.findall(piece.data):
            begun = kept.pop().data if kept and _goes_on(kept[-1], piece) else b""
            kept.append(Piece(piece.place, begun + line))
    yield from kept


def _goes_on(last: Piece, piece: Piece) -> bool:
    return last.place == piece.place and not last.data.endswith(b"\n")


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from filter(None, lines)
    if rest:
        yield rest


def _print_answer(task: Task) -> int:
    if task.result is None:
        when = "yet; watch it" if task.status in ("pending", "running") else "recorded; see how far it came"
        raise Failed(f"The agent has given no answer {when}: mission-control tasks watch {task.id}")
    with Interrupts() as interrupts:
        out = Writer(sys.stdout, interrupts)
        out.take(task.result.encode(errors="replace"))
        out.finish()
        if not out.at_line_start:
            out.say("\n")
        out.flush()
    return OK


def remove_output(client: Client, id: str, *, is_confirmed: bool) -> int:
    """Remove recorded output, once whoever sits at the terminal has confirmed it; the exit code."""
    task = decoded(client.get(task_path(id)), Task)
    if not is_confirmed:
        if not can_ask():
            raise Failed("Nothing was removed: nobody is here to confirm it. Say --yes.")
        try:
            answer = ask(f"Remove the output of {task.title or task.content[:60]!r} for good? Type yes: ")
        except KeyboardInterrupt:
            print(file=sys.stderr)
            return INTERRUPTED
        if answer.strip().lower() != "yes":
            raise Failed("Nothing was removed.")
    client.delete(task_path(id, "/output"))
    return OK
