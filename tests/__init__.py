"""Tests of aiproxy: run by `make test`, laid out as the package is."""

from hypothesis import HealthCheck, settings

# However slow the machine is at the moment: times are measured in benchmarks, not in tests.
settings.register_profile(
    "untimed", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("untimed")
