"""Everything at once, at random: for as long as one likes with `scripts/soak`."""

from __future__ import annotations

from pathlib import Path

from tests.faults.mix import play
from tests.faults.site import new_seed

STEPS = 30


async def test_whatever_fails_at_whatever_moment_nothing_is_lost_repeated_or_invented(tmp_path: Path):
    history, faults = await play(tmp_path, new_seed(), STEPS)
    assert history.runs and faults
