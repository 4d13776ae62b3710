"""A question to a view model, checked and made ready for any store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from sourceflow.bus.resolution import resolve
from sourceflow.domain.conditions import And, Condition, Field
from sourceflow.domain.view_model import ViewModel
from sourceflow.messages import state_info

if TYPE_CHECKING:
    from sourceflow.messages import Index, StateInfo

__all__ = ("Place", "Query")

RowT = TypeVar("RowT")


class Place(NamedTuple):
    """Where a row stands in the order of a query.

    Attributes:
        value: What it is sorted by.
        key: Its key.
    """

    value: Any
    key: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Query(Generic[RowT]):
    """Which rows, in which order, how many, from where on.

    Every field is one that may be compared. Values are what ``Index.comparable`` makes of them, so
    that each store compares the same things: texts by code points, all else by value.

    Attributes:
        row_type: The view model.
        where: What each row is like, as ``resolve`` leaves it; None for all.
        order: What they are sorted by; None comes first, rows of one value by key.
        descending: Whether all of this is turned round: the last row of all comes first.
        limit: How many at most.
        after: Only rows behind this place.
    """

    row_type: type[RowT]
    where: Condition | None
    order: Index
    descending: bool
    limit: int | None
    after: Place | None

    @property
    def info(self) -> StateInfo:
        """What is known of the view model."""
        return state_info(self.row_type)

    @property
    def key(self) -> Index:
        """The key's field."""
        return _key(self.info)

    @classmethod
    def of(
        cls,
        row_type: type[RowT],
        *,
        where: Mapping[str, object] | Condition | None = None,
        order_by: str | None = None,
        limit: int | None = None,
        after: RowT | None = None,
    ) -> Query[RowT]:
        """Check and return a query; for the arguments see ``App.query``.

        Raises:
            TypeError: A value cannot be compared with its field, or an argument is of the wrong
                type.
            ValueError: A field is neither the key nor among the ``indexes``, a value is outside of
                the limits, there are too many of them, or the limit is negative.
        """
        if not issubclass(row_type, ViewModel):
            raise TypeError(f"{row_type.__name__} is no ViewModel: only those are queried")
        _check_limit(limit)
        info = state_info(row_type)
        name = _key(info).name if order_by is None else order_by
        order = info.index(name.removeprefix("-"))
        return cls(
            row_type=row_type,
            where=resolve(info, _condition(where)),
            order=order,
            descending=name.startswith("-"),
            limit=limit,
            after=None if after is None else _place(info, order, row_type, after),
        )


def _check_limit(limit: int | None) -> None:
    if limit is None:
        return
    if not isinstance(limit, int) or isinstance(limit, bool):
        raise TypeError(f"limit is a whole number, not {type(limit).__name__}")
    if limit < 0:
        raise ValueError(f"limit is 0 or more, not {limit}")


def _key(info: StateInfo) -> Index:
    if info.key_field is None:
        raise TypeError(f"{info.name} has no key: {'; '.join(info.faults)}")
    return info.compared[info.key_field]


def _place(info: StateInfo, order: Index, row_type: type[Any], row: Any) -> Place:
    if not isinstance(row, row_type):
        raise TypeError(f"after is a row of {row_type.__name__}, not {type(row).__name__}")
    key = _key(info).comparable(info.key_of(row))
    return Place(order.comparable(getattr(row, order.name)), key)


def _condition(where: object) -> Condition | None:
    """Return what was asked for as one condition; None where everything was."""
    if where is None or isinstance(where, Condition):
        return where
    if isinstance(where, Mapping):
        parts = tuple(Field(name) == value for name, value in where.items())
        return And(parts) if parts else None
    raise TypeError(f"where is a mapping or a condition, not {type(where).__name__}")
