"""Stores in memory."""

from sourceflow.stores.memory.stores import MemoryStores

__all__ = ("MemoryStores",)
