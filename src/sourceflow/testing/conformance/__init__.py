"""Tests that every implementation of a port must pass: base classes for pytest and pytest-asyncio.

Whoever writes stores, an idempotency service or a key provider of their own derives a class of
tests from one.
"""

try:
    import pytest
    import pytest_asyncio  # noqa: F401 - the suites run with it: where it is missing is told here
except ModuleNotFoundError as error:
    if error.name not in {"pytest", "pytest_asyncio"}:
        raise
    raise ModuleNotFoundError(
        f"{error.name.replace('_', '-')} is not installed, and the conformance suites need it: "
        "pip install pytest pytest-asyncio",
        name=error.name,
    ) from error

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
