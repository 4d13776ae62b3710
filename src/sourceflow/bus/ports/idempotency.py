"""Keys that are processed once: claimed by one owner at a time, then done."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from typing import Final, NamedTuple, Protocol, runtime_checkable

__all__ = (
    "DAY",
    "ClaimState",
    "Idempotency",
    "IdempotencyStatistics",
    "KeyClaim",
)

DAY: Final = timedelta(hours=24)
"""How long a key stays done where nothing else is asked for."""


class ClaimState(Enum):
    """How a claim ended."""

    CLAIMED = "claimed"
    """The key is the caller's, for the time of the lease."""
    IN_PROGRESS = "in progress"
    """Another owner works on it."""
    DONE = "done"
    """It has been processed."""


class KeyClaim(NamedTuple):
    """The answer to a claim.

    Attributes:
        state: How it ended.
        token: Names the owner, if the caller is one now; only with it the claim can be ended.
        remaining: How long the other owner's lease lasts, if there is one.
    """

    state: ClaimState
    token: str = ""
    remaining: timedelta = timedelta(0)


class IdempotencyStatistics(NamedTuple):
    """What one service object was asked since it was made.

    A claim that finds the key in progress counts as nothing: it will be made again.

    Attributes:
        total_checks: How often it was asked whether a key is processed, claims included.
        duplicates_detected: How often it was.
        cache_size: How many keys are kept now.
    """

    total_checks: int
    duplicates_detected: int
    cache_size: int

    @property
    def unique_messages(self) -> int:
        """How often it was not."""
        return self.total_checks - self.duplicates_detected


@runtime_checkable
class Idempotency(Protocol):
    """Says of each key whether it was processed, is being processed, or may be processed now.

    Every call is atomic: of any number of claims on one key at once, one is ``CLAIMED``. A claim
    ends with its lease, whatever becomes of its owner. Each claim has a token of its own, so an
    owner that comes late, after others have taken over, can neither complete nor release theirs.

    A service that is also an async context manager is entered while an App runs, and one that is
    ``Expiring`` is cleaned. What ``claim`` raises pauses the listener, as a ``DependencyError`` of a
    handler does.
    """

    async def claim(self, key: str, lease: timedelta) -> KeyClaim:
        """Claim a key for some time, unless it is processed or another owner's."""
        ...

    async def extend(self, key: str, lease: timedelta, *, token: str) -> bool:
        """Let a claim last for the time of the lease from now; return whether it is still the owner's."""
        ...

    async def complete(self, key: str, ttl: timedelta = DAY, *, token: str) -> bool:
        """End a claim: the key is processed, and stays so for some time.

        Returns:
            False, and nothing is changed, if the claim is not the owner's any more: its lease has
            ended, and others have claimed the key or it is forgotten.
        """
        ...

    async def release(self, key: str, *, token: str) -> bool:
        """End a claim as if it had never been; return whether it was still the owner's."""
        ...

    async def has_processed(self, key: str) -> bool:
        """Return whether a key is processed."""
        ...

    async def mark_as_processed(self, key: str, ttl: timedelta = DAY) -> None:
        """Note that a key is processed, whoever has claimed it."""
        ...

    async def remove(self, key: str) -> None:
        """Forget a key, claimed or processed."""
        ...

    async def statistics(self) -> IdempotencyStatistics:
        """Return what this object was asked, and how much it keeps."""
        ...
