"""How to go on when a thing outside this process fails: wait, spend sparingly, stop asking."""

from __future__ import annotations

from sourceflow.resilience.backoff import Backoff
from sourceflow.resilience.token_bucket import TokenBucket

__all__ = ("Backoff", "TokenBucket")
