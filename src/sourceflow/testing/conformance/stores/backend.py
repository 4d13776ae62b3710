"""Opens the stores under test, one App after the other, all on the same data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sourceflow.bus.ports import StoresContext
from sourceflow.messages import Codec, Registry
from sourceflow.testing.conformance.stores.sample_types import VIEW_MODELS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sourceflow.bus.ports import Stores
    from sourceflow.clock import Clock

__all__ = ("Backend",)


class Backend:
    """Opens stores, and closes what it has opened.

    Attributes:
        new_stores: Returns stores that are not open yet.
    """

    def __init__(self, new_stores: Callable[[], Stores], clock: Clock) -> None:
        self.new_stores = new_stores
        self._clock = clock
        self._opened: list[Stores] = []

    async def open(
        self, app: str, types: Sequence[type[Any]], upcasters: Sequence[Callable[..., Any]] = ()
    ) -> Stores:
        """Open stores for one App, or for a later run of it."""
        stores = self.new_stores()
        codec = Codec(Registry(types, upcasters))
        await stores.open(StoresContext(app, codec, self._clock, VIEW_MODELS))
        self._opened.append(stores)
        return stores

    async def aclose(self) -> None:
        """Close everything."""
        for stores in self._opened:
            await stores.aclose()
