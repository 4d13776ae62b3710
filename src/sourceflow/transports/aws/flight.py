"""Messages that one caller sends together, on their way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from sourceflow.bus.instrumentation import Sending
from sourceflow.transports.aws.packing import Packed

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("Flight", "FlightItem", "settle")


class Flight:
    """Messages that one caller sent together: one future for all of them."""

    __slots__ = ("_landed", "_left", "_results")

    def __init__(self, count: int) -> None:
        self._results: list[Exception | None] = [None] * count
        self._left = count
        self._landed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def settle(self, place: int, error: Exception | None) -> None:
        """Note what became of one."""
        self._results[place] = error
        self._left -= 1
        if not self._left and not self._landed.done():  # the caller may have given up
            self._landed.set_result(None)

    async def landed(self) -> list[Exception | None]:
        """Wait for all of them; return for each None or why it was not sent."""
        if self._left:
            await self._landed
        return self._results


class FlightItem(msgspec.Struct, frozen=True, gc=False):
    """One of them, until when it is tried, and what follows it, if anything does."""

    flight: Flight
    place: int
    packed: Packed
    deadline: float
    sending: Sending | None = None

    def settle(self, error: Exception | None) -> None:
        """Tell the caller what became of it."""
        if self.sending is not None:
            self.sending.end(error)
        self.flight.settle(self.place, error)


def settle(items: Sequence[FlightItem], results: Sequence[Exception | None]) -> None:
    """Tell each caller what became of its messages."""
    for item, result in zip(items, results, strict=True):
        item.settle(result)
