"""Tests that every implementation of a port must pass: base classes for pytest and pytest-asyncio.

Whoever writes stores, an idempotency service or a key provider of their own derives a class of
tests from one.
"""

import pytest

# Before the import: what a failed assertion compares is shown only where pytest has rewritten it.
pytest.register_assert_rewrite(
    "sourceflow.testing.conformance.idempotency",
    "sourceflow.testing.conformance.key_providers",
    "sourceflow.testing.conformance.stores",
)

from sourceflow.testing.conformance.idempotency import IdempotencyConformance
from sourceflow.testing.conformance.key_providers import KeyProviderConformance
from sourceflow.testing.conformance.stores import StoresConformance

__all__ = ("IdempotencyConformance", "KeyProviderConformance", "StoresConformance")
