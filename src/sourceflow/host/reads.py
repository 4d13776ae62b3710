"""What an App finds in its stores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sourceflow.domain.conditions import Condition
    from sourceflow.domain.entity import Entity
    from sourceflow.domain.view_model import ViewModel
    from sourceflow.host.engine import Engine
    from sourceflow.messages import KeyType

__all__ = ("Reads",)

StateT = TypeVar("StateT", bound="Entity | ViewModel")
RowT = TypeVar("RowT", bound="ViewModel")


class Reads(ABC):
    """The part of an App that finds entities and rows."""

    @property
    @abstractmethod
    def _running(self) -> Engine:
        """What runs while the App does; raises ``NotRunningError`` where it does not."""

    async def find(self, state_type: type[StateT], key: KeyType) -> StateT | None:
        """Return an entity or a row of a view model, or None where there is none."""
        return await self._running.reader.find(state_type, key)

    async def get(self, state_type: type[StateT], key: KeyType) -> StateT:
        """Return an entity or a row of a view model.

        Raises:
            NotFoundError: There is none.
        """
        return await self._running.reader.get(state_type, key)

    async def query(
        self,
        row_type: type[RowT],
        *,
        where: Mapping[str, object] | Condition | None = None,
        order_by: str | None = None,
        limit: int | None = None,
        after: RowT | None = None,
    ) -> list[RowT]:
        """Return rows of a view model.

        Args:
            row_type: The view model.
            where: Field to value, all must be equal; or a condition, made by comparing
                ``field("total")``.
            order_by: A field; ``-field`` turns the whole order round. By key where not given.
                None comes before everything else, rows of one value stand in key order; texts are
                sorted by code points, members of an Enum by their values.
            limit: How many at most.
            after: The last row of the page before; only rows behind it are returned.

        Raises:
            ValueError: A field is neither the key nor among the view model's ``indexes``, a value
                is outside of the limits of messages, the limit is negative, or there are more
                than 500 values in ``where``.
            TypeError: A value is not of its field's type.
        """
        return await self._running.reader.query(
            row_type, where=where, order_by=order_by, limit=limit, after=after
        )
