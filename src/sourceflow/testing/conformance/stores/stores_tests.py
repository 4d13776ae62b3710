"""What the tests of stores have in common: the clock, the backend, the shop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from sourceflow.testing.clock import ManualClock
from sourceflow.testing.conformance.stores.backend import Backend
from sourceflow.testing.conformance.stores.sample_types import Paid, Pay, Refunded
from sourceflow.testing.conformance.stores.shop import Shop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sourceflow.bus.ports import Stores

__all__ = ("StoresTests",)


@pytest.mark.asyncio
class StoresTests:
    """The base of every part of the suite.

    A subclass overrides the fixture ``new_stores``.

    Attributes:
        has_connection: Whether ``UnitOfWork.connection`` gives a connection of SQL.
    """

    has_connection: bool = True

    @pytest.fixture
    def new_stores(self) -> Callable[[], Stores]:
        """Return what makes stores that are not open yet: all of one test share their data."""
        raise NotImplementedError(
            f"{type(self).__name__} needs a fixture new_stores that returns a function: each call "
            "of it returns stores, not yet open, on the same data"
        )

    @pytest.fixture
    def clock(self) -> ManualClock:
        """The time of the stores, which stands still."""
        return ManualClock()

    @pytest_asyncio.fixture
    async def backend(
        self, new_stores: Callable[[], Stores], clock: ManualClock
    ) -> AsyncIterator[Backend]:
        """Opens the stores, and closes them after the test."""
        backend = Backend(new_stores, clock)
        yield backend
        await backend.aclose()

    @pytest_asyncio.fixture
    async def shop(self, backend: Backend) -> Shop:
        """Stores of one App."""
        return Shop(backend, await backend.open("shop", (Pay, Paid, Refunded)), "shop")
