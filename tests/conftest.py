"""What all tests share: how hard Hypothesis tries. `HYPOTHESIS_PROFILE=thorough` is for an afternoon."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Time says nothing on a shared machine; a failure prints the example, and how to repeat it.
settings.register_profile(
    "default", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
