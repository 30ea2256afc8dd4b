"""Which colours are in force after some output."""

import pytest

from mission_control.domain.sgr import Style


@pytest.mark.parametrize(
    ("output", "style"),
    [
        (b"plain", ""),
        (b"\x1b[1m\x1b[31mred and bold", "1;31"),
        (b"\x1b[31mred\x1b[32mgreen", "32"),
        (b"\x1b[1;31mboth\x1b[22mnot bold", "31"),
        (b"\x1b[1;2;31m\x1b[22m", "31"),
        (b"\x1b[31mred\x1b[0mnothing", ""),
        (b"\x1b[31mred\x1b[mnothing", ""),
        (b"\x1b[0;7mreset and inverse", "7"),
        (b"\x1b[38;5;208morange\x1b[48;2;1;2;3m", "38;5;208;48;2;1;2;3"),
        (b"\x1b[38:2::1:2:3m\x1b[4:3m", "38:2::1:2:3;4:3"),
        (b"\x1b[38;5", ""),
        (b"\x1b[38m\x1b[49;39m", ""),
        (b"\x1b[2J\x1b[H\x1b[33m", "33"),
    ],
)
def test_the_style_in_force_is_what_was_set_since_the_last_reset(output: bytes, style: str):
    shown = Style()
    shown.feed(output)
    assert str(shown) == style


def test_the_style_stays_from_one_piece_to_the_next():
    shown = Style()
    shown.feed(b"\x1b[31mred")
    shown.feed(b"still red \x1b[1mand bold")
    assert str(shown) == "31;1"
