"""The tests that all idempotency services pass."""

from sourceflow.testing.conformance.idempotency.claims import IdempotencyConformance

__all__ = ("IdempotencyConformance",)
