"""Tests that feed random things to what reads messages: few in every run, many where asked for."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from run_size import sized

__all__ = ("fuzzed",)


def fuzzed(full, *, small=100):
    """Return a decorator that says how many examples are drawn.

    Args:
        full: Examples where ``SOURCEFLOW_TEST_SIZE=full``.
        small: Examples otherwise.
    """
    drawn = settings(
        max_examples=sized(small, full),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    return lambda test: pytest.mark.timeout(3600)(drawn(test))
