"""The tests that all stores pass."""

from sourceflow.testing.conformance.stores.suite import StoresConformance

__all__ = ("StoresConformance",)
