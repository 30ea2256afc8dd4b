"""What all tests share: how hard Hypothesis tries, and that nothing of ours blocks the event loop."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import HealthCheck, settings

# Time says nothing on a shared machine; a failure prints the example, and how to repeat it.
settings.register_profile(
    "default", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(autouse=True)
def nothing_of_ours_blocks_the_loop() -> Iterator[None]:
    """A sleep, a lock, a socket or SQLite on the event loop's thread stops every reader: that fails the test.

    Small local files are left out: opening a data directory reads and writes some, before anybody is served.
    """
    with blockbuster_ctx("mission_control") as blockbuster:
        for name, function in blockbuster.functions.items():
            if name.startswith(("os.", "io.")):
                function.deactivate()
        yield
