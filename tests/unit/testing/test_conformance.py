"""The suites that are shipped for the stores of others."""

from __future__ import annotations

import pytest

from sourceflow.testing.conformance import (
    IdempotencyConformance,
    KeyProviderConformance,
    StoresConformance,
)


@pytest.mark.parametrize(
    "suite", [IdempotencyConformance, KeyProviderConformance, StoresConformance]
)
def test_no_part_of_a_suite_hides_a_test_of_another(suite):
    named = [
        (name, part) for part in suite.__mro__ for name in vars(part) if name.startswith("test_")
    ]

    assert len(named) > 10
    assert len(dict(named)) == len(named)
