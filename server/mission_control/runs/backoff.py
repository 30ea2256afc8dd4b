"""How long to wait after so many failures in a row. Pure: chance is an argument."""

from __future__ import annotations

DELAY_S_MIN = 0.5  # a host that just restarts its sshd is back by then
DELAY_S_MAX = 30.0  # a person who repaired something waits at most this long to see it


def delay_s(failures: int, jitter: float) -> float:
    """Seconds to wait before the next try.

    It doubles with each failure between the limits. `jitter` (0 to 1) takes up to half of it away, so that a hundred
    desktops behind one router do not come back in step.
    """
    assert failures >= 1, "nothing has failed yet"
    assert 0 <= jitter <= 1
    ceiling = min(DELAY_S_MAX, DELAY_S_MIN * 2.0 ** min(failures, 32))
    return max(DELAY_S_MIN, ceiling * (1 - jitter / 2))
