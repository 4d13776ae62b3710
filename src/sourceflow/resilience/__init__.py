"""How to go on when a thing outside this process fails: wait, spend sparingly, stop asking."""

from __future__ import annotations

from sourceflow.resilience.backoff import Backoff
from sourceflow.resilience.circuit_breaker import (
    CircuitBreaker,
    CircuitChange,
    CircuitOptions,
    CircuitState,
    CircuitStatistics,
)
from sourceflow.resilience.token_bucket import TokenBucket

__all__ = (
    "Backoff",
    "CircuitBreaker",
    "CircuitChange",
    "CircuitOptions",
    "CircuitState",
    "CircuitStatistics",
    "TokenBucket",
)
