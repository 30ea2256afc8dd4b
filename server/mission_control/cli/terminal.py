"""What may reach a terminal, and Ctrl-C.

What a command or an agent writes is data: on a terminal only text, colours (SGR), CR, LF and TAB pass, since every
other escape can move the cursor over what was said, retitle the window, or type into the shell. Elsewhere bytes pass
untouched.
"""

from __future__ import annotations

import codecs
import os
import re
import select
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import TextIO

SGR_CHARACTERS_MAX = 64  # of one colour escape; a longer one is no colour
WRITE_BYTES_MAX = 4096  # PIPE_BUF: what a writable pipe takes without blocking

_SGR = rf"\x1b\[[0-9;:]{{0,{SGR_CHARACTERS_MAX}}}"
BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # turn what follows around: text then looks like another
_SGR_OR_CONTROL = re.compile(rf"{_SGR}m|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f{BIDI}]")
_SGR_BEGUN = re.compile(rf"(?:\x1b|{_SGR})\Z")
_CONTROL = re.compile(rf"[\x00-\x1f\x7f-\x9f{BIDI}]")
_RESETS = ("\x1b[m", "\x1b[0m")


def _shown(control: str) -> str:
    """A control character as a visible one: ESC as ␛."""
    code = ord(control)
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"


def one_line(text: str) -> str:
    """Text that stays on its line and cannot steer a terminal: for tables and sentences."""
    return _CONTROL.sub(lambda found: _shown(found[0]), " ".join(text.split()))


class TerminalFilter:
    """Makes the bytes of one stream harmless for a terminal, however they are split."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._begun = ""  # what may become a colour escape
        self._is_coloured = False

    def feed(self, data: bytes, *, final: bool = False) -> str:
        """The next bytes as text; with `final` also what was held back, and the end of a colour that was left on."""
        text = self._begun + self._decode(data, final)
        begun = None if final else _SGR_BEGUN.search(text)
        self._begun = begun[0] if begun else ""
        shown = _SGR_OR_CONTROL.sub(self._pass, text[: begun.start()] if begun else text)
        if final and self._is_coloured:
            self._is_coloured = False
            shown += _RESETS[1]
        return shown

    def _pass(self, found: re.Match[str]) -> str:
        if len(found[0]) == 1:
            return _shown(found[0])
        self._is_coloured = found[0] not in _RESETS
        return found[0]


class Interrupts:
    """Ctrl-C, heard only where nothing is lost by it: while `allowed`, and at the next such place otherwise.

    Where whoever started us ignores it (`nohup`, a job in the background), it stays ignored.
    """

    def __init__(self) -> None:
        self._is_allowed = False
        self._is_pending = False

    def __enter__(self) -> Interrupts:
        self._before = signal.getsignal(signal.SIGINT)
        if self._before is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, self._heard)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    @contextmanager
    def allowed(self) -> Generator[None]:
        """A place where Ctrl-C raises KeyboardInterrupt."""
        self._is_allowed = True
        try:
            if self._is_pending:
                self._is_pending = False
                raise KeyboardInterrupt
            yield
        finally:
            self._is_allowed = False

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if self._is_allowed:
            raise KeyboardInterrupt
        self._is_pending = True


class Writer:
    """One of our own streams as a target of raw bytes. What was taken is written whole, also after a Ctrl-C between."""

    def __init__(self, stream: TextIO, interrupts: Interrupts) -> None:
        stream.flush()
        self._descriptor = stream.fileno()
        self._encoding = stream.encoding
        self._interrupts = interrupts
        self._waiting = bytearray()
        self._filter = TerminalFilter() if stream.isatty() else None
        self.at_line_start = True

    @property
    def is_terminal(self) -> bool:
        return self._filter is not None

    def take(self, data: bytes) -> None:
        """Bytes that somebody else wrote. `flush` writes them."""
        self._add(data if self._filter is None else self._encoded(self._filter.feed(data)))

    def say(self, text: str) -> None:
        """Text of our own, escapes included."""
        self._add(self._encoded(text))

    def finish(self) -> None:
        """No more will be taken."""
        if self._filter is not None:
            self._add(self._encoded(self._filter.feed(b"", final=True)))

    def flush(self) -> None:
        """Write what waits. Raises KeyboardInterrupt on Ctrl-C while nobody reads; the rest then goes on waiting."""
        while self._waiting:
            with self._interrupts.allowed():
                select.select([], [self._descriptor], [])
            try:
                written = os.write(self._descriptor, self._waiting[:WRITE_BYTES_MAX])
            except BlockingIOError:
                continue
            del self._waiting[:written]

    def _encoded(self, text: str) -> bytes:
        return text.encode(self._encoding, "replace")

    def _add(self, data: bytes) -> None:
        if data:
            self._waiting += data
            self.at_line_start = data.endswith(b"\n")


def can_ask() -> bool:
    """Whether a person sits in front of this, to be asked something."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str) -> str:
    """What the person answers; an empty text at the end of the input."""
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip()
