# SPDX-License-Identifier: Apache-2.0
"""What every test has: properties (Hypothesis) that no busy machine's clock judges."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# Hypothesis fails an example that takes 200 ms, which on a core that others use says nothing of
# the code. It knows that of CI itself (its profile "ci"); here it holds on every machine.
settings.register_profile(
    "unhurried",
    settings.get_profile(settings.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("unhurried")
