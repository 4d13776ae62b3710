"""Tests that every implementation of a port must pass: base classes for pytest and pytest-asyncio.

Whoever writes stores of their own derives a class of tests from ``StoresConformance``.
"""

import pytest

# Before the import: what a failed assertion compares is shown only where pytest has rewritten it.
pytest.register_assert_rewrite("sourceflow.testing.conformance.stores")

from sourceflow.testing.conformance.stores import StoresConformance

__all__ = ("StoresConformance",)
