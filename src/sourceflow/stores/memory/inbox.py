"""Claims in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sourceflow.bus.changes import Claim
    from sourceflow.clock import Clock
    from sourceflow.stores.memory.state import State

__all__ = ("MemoryInbox",)

CLAIMS_KEPT: Final = 1_000_000
"""Claims of subscribers that are remembered at most."""

CLAIM_SECONDS: Final = 24 * 3600.0
"""How long a subscriber's claim is remembered; a command's for as long as the log."""


class MemoryInbox:
    """See ``sourceflow.bus.ports.Inbox``."""

    __slots__ = ("_clock", "_state")

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock

    async def claimed(self, claims: Sequence[Claim]) -> Collection[Claim]:
        """Return those of the claims that are taken."""
        return self.taken(claims)

    def taken(self, claims: Sequence[Claim]) -> set[Claim]:
        """Return those of the claims that are taken."""
        return {claim for claim in claims if self.is_taken(claim)}

    def is_taken(self, claim: Claim) -> bool:
        """Return whether a claim is taken."""
        if not claim.subscriber:
            return (claim.source, claim.message_id) in self._state.command_claims
        return claim in self._state.claims

    def put(self, claims: Sequence[Claim]) -> None:
        """Remember claims and forget old ones."""
        for claim in claims:
            if claim.subscriber:
                self._state.claims[claim] = self._clock.monotonic()
            else:
                self._state.command_claims.add((claim.source, claim.message_id))
        if self._state.claims:
            self._forget()

    def _forget(self) -> None:
        kept = self._state.claims
        now = self._clock.monotonic()
        while kept:
            oldest = next(iter(kept))
            if len(kept) <= CLAIMS_KEPT and now - kept[oldest] <= CLAIM_SECONDS:
                break
            del kept[oldest]
