"""How long a link waits after failures."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mission_control.runs.backoff import DELAY_S_MAX, DELAY_S_MIN, delay_s

JITTER = st.floats(0, 1)


@given(st.integers(1, 10_000), JITTER)
def test_the_wait_stays_between_half_a_second_and_half_a_minute(failures: int, jitter: float):
    assert DELAY_S_MIN <= delay_s(failures, jitter) <= DELAY_S_MAX


@given(st.integers(1, 100), JITTER)
def test_more_failures_never_wait_less(failures: int, jitter: float):
    assert delay_s(failures, jitter) <= delay_s(failures + 1, jitter)


def test_the_wait_doubles_until_its_limit():
    assert [delay_s(failures, 0) for failures in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]


def test_jitter_takes_up_to_half_away():
    assert delay_s(5, 1) == delay_s(5, 0) / 2
