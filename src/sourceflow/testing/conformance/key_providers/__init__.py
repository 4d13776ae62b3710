"""The tests that all key providers pass."""

from sourceflow.testing.conformance.key_providers.data_keys import KeyProviderConformance

__all__ = ("KeyProviderConformance",)
