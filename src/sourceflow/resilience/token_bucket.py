"""A budget of retries: many failures at once must not multiply the load."""

from __future__ import annotations

__all__ = ("TokenBucket",)


class TokenBucket:
    """Tokens that retries take and successes give back.

    While everything fails, callers that each retry a few times multiply the calls to a service that is
    down already. A bucket that all of them share lets the first failures retry and, once empty, none:
    the load falls back to one call a caller until calls succeed again.
    """

    __slots__ = ("_available", "_capacity")

    def __init__(self, capacity: int = 500) -> None:
        """Start full.

        Args:
            capacity: The most tokens it holds; 500 as in the AWS SDKs.

        Raises:
            ValueError: The capacity is not positive.
        """
        if capacity <= 0:
            raise ValueError(f"capacity must be positive, not {capacity}")
        self._capacity = capacity
        self._available = capacity

    @property
    def available(self) -> int:
        """How many tokens are left."""
        return self._available

    def take(self, tokens: int) -> bool:
        """Take so many tokens, all or none; return whether they were there."""
        if tokens > self._available:
            return False
        self._available -= tokens
        return True

    def give_back(self, tokens: int) -> None:
        """Put so many tokens back, up to the capacity."""
        if self._available < self._capacity:
            self._available = min(self._capacity, self._available + tokens)
