"""What reaches a terminal, for any bytes and any split of them; and bytes that pass untouched elsewhere."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import termios
import threading
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mission_control.cli.terminal import Interrupts, TerminalFilter, Writer, one_line

PIPE_BYTES = 64 * 1024  # what a pipe holds
COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
DANGEROUS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

hostile = st.lists(
    st.one_of(
        st.binary(max_size=20),
        st.sampled_from(
            [b"\x1b[31m", b"\x1b[0m", b"\x1b[", b"\x1b", b"\x1b]0;title\x07", b"\x1b[2J", b"\x9b31m", "\x9b".encode()]
        ),
        st.text(max_size=10).map(lambda text: text.encode(errors="surrogatepass")),
    ),
    max_size=8,
).map(b"".join)


def filtered(*reads: bytes) -> str:
    terminal = TerminalFilter()
    return "".join(terminal.feed(read) for read in reads) + terminal.feed(b"", final=True)


@given(hostile)
@example(b"\x1b[31;" + b"1" * 100 + b"m")
@example(b"\x1b]52;c;c2VjcmV0\x07")
def test_nothing_but_text_colours_line_ends_and_tabs_reaches_a_terminal(data: bytes):
    assert not DANGEROUS.search(COLOUR.sub("", filtered(data)))


@given(hostile, st.data())
def test_any_split_of_the_bytes_shows_the_same(data: bytes, draw: st.DataObject):
    whole, reads = filtered(data), list[bytes]()
    while data:
        cut = draw.draw(st.integers(1, len(data)))
        reads.append(data[:cut])
        data = data[cut:]
    assert filtered(*reads) == whole


TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
PLAIN = st.characters(exclude_categories=["Cc", "Cs"], exclude_characters=TURNING)


@given(st.text(alphabet=PLAIN | st.sampled_from("\r\n\t")))
def test_text_stays_as_it_is(text: str):
    assert filtered(text.encode()) == text


def test_colours_pass_and_one_that_was_left_on_ends():
    assert filtered(b"\x1b[1;31mred\x1b[0m") == "\x1b[1;31mred\x1b[0m"
    assert filtered(b"\x1b[1;31mred") == "\x1b[1;31mred\x1b[0m"


def test_other_escapes_are_seen_instead_of_obeyed():
    assert filtered(b"\x1b]0;title\x07\x1b[2J\b") == "␛]0;title␇␛[2J␈"


def test_bytes_that_are_no_text_are_shown_as_such():
    assert filtered(b"\xff\xfe ok") == "\ufffd\ufffd ok"


def test_what_is_shown_on_one_line_stays_on_it():
    assert one_line("a\n\tb\x1b[31m\r\n c") == "a b␛[31m c"


@contextmanager
def piped() -> Iterator[tuple[int, TextIOWrapper]]:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", encoding="utf-8") as stream:
        yield reading, stream
    os.close(reading)


def test_a_pipe_gets_every_byte_untouched():
    data = bytes(range(256)) * 8
    with piped() as (reading, stream), Interrupts() as interrupts:
        writer = Writer(stream, interrupts)
        writer.take(data)
        writer.finish()
        writer.flush()
        assert os.read(reading, 10_000) == data


def test_a_terminal_gets_what_is_harmless():
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as stream, Interrupts() as interrupts:
        writer = Writer(stream, interrupts)
        assert writer.is_terminal
        writer.take(b"\x1b]0;title\x07\x1b[32mgreen")
        writer.finish()
        writer.flush()
        assert os.read(ours, 1000).decode() == "␛]0;title␇\x1b[32mgreen\x1b[0m"
    os.close(ours)


def press_ctrl_c_when_full(reading: int) -> None:
    waiting = array("i", [0])
    while waiting[0] < PIPE_BYTES:
        fcntl.ioctl(reading, termios.FIONREAD, waiting)
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, signal.SIGINT)


def test_ctrl_c_while_nobody_reads_loses_nothing_of_what_was_taken():
    data = bytes(range(256)) * 4096  # more than a pipe holds
    with piped() as (reading, stream), Interrupts() as interrupts:
        writer = Writer(stream, interrupts)
        writer.take(data)
        presses = threading.Thread(target=press_ctrl_c_when_full, args=(reading,))
        presses.start()
        with pytest.raises(KeyboardInterrupt):
            writer.flush()
        presses.join()
        received = bytearray()

        def read() -> None:
            while len(received) < len(data):
                received.extend(os.read(reading, 65536))

        reader = threading.Thread(target=read)
        reader.start()
        writer.flush()
        reader.join()
        assert bytes(received) == data


def test_ctrl_c_waits_for_a_place_where_it_does_no_harm():
    before = signal.getsignal(signal.SIGINT)
    with Interrupts() as interrupts:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt), interrupts.allowed():
            pytest.fail("it should have been heard on the way in")
        with interrupts.allowed():
            pass
    assert signal.getsignal(signal.SIGINT) is before


def test_what_would_turn_text_around_is_shown_and_does_nothing():
    assert one_line("rm \u202etxt.exe\u2066") == "rm \ufffdtxt.exe\ufffd"
    assert TerminalFilter().feed("ok \u202e\x1b[31mred\x1b[0m".encode(), final=True) == "ok \ufffd\x1b[31mred\x1b[0m"
