"""Words for times, and tables that fit the window."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_control.cli.render import (
    GAP,
    Cell,
    Column,
    ago,
    duration,
    fitting,
    print_json,
    print_table,
    seconds_of,
    shortened,
)
from mission_control.domain.times import rfc3339

NOW = 1_800_000_000_000_000


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "now"), (-1, "now"), (5, "5s ago"), (90, "1m ago"), (7200, "2h ago"), (200_000, "2d ago"), (-3600, "in 1h")],
)
def test_a_moment_is_told_relative_to_now(seconds: int, words: str):
    assert ago(rfc3339(NOW - seconds * 1_000_000), NOW) == words


def test_a_moment_that_did_not_come_is_told_as_nothing():
    assert ago(None, NOW) == ""


@pytest.mark.parametrize(
    ("ms", "words"),
    [(None, ""), (0, "0 ms"), (999, "999 ms"), (1_400, "1.4 s"), (200_000, "3 m 20 s"), (7_500_000, "2 h 5 m")],
)
def test_a_duration_is_told_in_the_units_that_matter(ms: int | None, words: str):
    assert duration(ms) == words


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("15m", 900), ("12h", 43_200), ("2w", 1_209_600)]
)
def test_a_time_span_can_be_typed_in_any_unit(text: str, seconds: int):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "5 m", "-1", "1.5h", "٣", "5mm", "9" * 30])
def test_anything_else_is_no_time_span(text: str):
    with pytest.raises(ValueError, match="is not a time"):
        seconds_of(text)


def test_content_is_shown_as_one_short_harmless_line():
    assert shortened("echo\n\x1b[31mhi") == "echo ␛[31mhi"
    assert len(shortened("x" * 10_000)) == 200


def test_a_pipe_gets_plain_columns_and_exact_times(capsys: pytest.CaptureFixture[str]):
    columns = [Column("ID"), Column("WHAT", flexible=True), Column("WHEN")]
    print_table(
        columns, [[Cell("a", "red"), Cell("tab\there\nline"), Cell("3m ago", "dim", "2026-03-01")]], empty="none"
    )
    assert capsys.readouterr().out == "a\ttab here line\t2026-03-01\n"


def test_an_empty_list_is_nothing_in_a_pipe(capsys: pytest.CaptureFixture[str]):
    print_table([Column("ID")], [], empty="none")
    assert capsys.readouterr() == ("", "")


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 40)), min_size=1, max_size=8),
    st.integers(1, 200),
)
def test_a_narrow_window_loses_optional_columns_only_and_no_more_than_it_must(
    given_columns: list[tuple[bool, int]], window: int
):
    columns = [Column("", optional=rank if goes else 0) for rank, (goes, _) in enumerate(given_columns, 1)]
    widths = [width for _, width in given_columns]
    shown = fitting(columns, widths, window)
    lost = [index for index in range(len(columns)) if index not in shown]
    assert shown == sorted(shown)
    assert all(columns[index].optional for index in lost)
    if lost:
        first_back = min(lost, key=lambda index: columns[index].optional)
        assert sum(widths[index] + GAP for index in [*shown, first_back]) > window


def test_json_is_indented_and_holds_no_control_character(capsys: pytest.CaptureFixture[str]):
    print_json('{"a":["\\u001b[2J","\x9b31m"]}'.encode())
    out = capsys.readouterr().out
    assert out == '{\n  "a": [\n    "\\u001b[2J",\n    "\\u009b31m"\n  ]\n}\n'
