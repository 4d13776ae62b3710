"""Stores in memory."""

from sourceflow.stores.memory.idempotency import InMemoryIdempotency
from sourceflow.stores.memory.stores import MemoryStores

__all__ = ("InMemoryIdempotency", "MemoryStores")
