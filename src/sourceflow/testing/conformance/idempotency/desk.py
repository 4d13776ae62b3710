"""Services that share their keys, and short words for what tests ask of them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from sourceflow import ClaimState
from sourceflow.bus.ports import Expiring

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sourceflow import Idempotency
    from sourceflow.bus.ports import KeyClaim
    from sourceflow.testing.clock import ManualClock

__all__ = ("Desk",)


class Desk:
    """Services that share their keys, one for each process there might be."""

    CLAIMED, IN_PROGRESS, DONE = ClaimState.CLAIMED, ClaimState.IN_PROGRESS, ClaimState.DONE
    lease = timedelta(seconds=30)

    def __init__(self, clock: ManualClock, services: Sequence[Idempotency]) -> None:
        self.clock = clock
        self.services = services
        self.service = services[0]

    async def claim(self, key: str = "k", *, service: Idempotency | None = None) -> KeyClaim:
        return await (service or self.service).claim(key, self.lease)

    async def take(self, key: str = "k") -> str:
        """Claim a key that must be free; return the owner's token."""
        claim = await self.claim(key)
        assert claim.state is ClaimState.CLAIMED
        return claim.token

    async def state(self, key: str = "k") -> ClaimState:
        return (await self.claim(key)).state

    async def wait(self, **parts: float) -> None:
        await self.clock.advance(timedelta(**parts))

    async def clean(self) -> int:
        """Delete what has expired, where that is left to the service."""
        if not isinstance(self.service, Expiring):
            pytest.skip("the service is no Expiring: what it keeps expires by itself")
        return await self.service.clean()
