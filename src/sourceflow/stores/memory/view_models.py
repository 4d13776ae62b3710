"""Queries over rows in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from sourceflow.messages import key_of_state, state_info

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ("query_rows",)

RowT = TypeVar("RowT")


def query_rows(
    row_type: type[RowT],
    rows: Iterable[RowT],
    *,
    where: Mapping[str, object],
    order_by: str | None,
    limit: int | None,
    after: RowT | None,
) -> list[RowT]:
    """Return rows equal to ``where``, sorted by a field and then by key.

    Args:
        row_type: The view model.
        rows: All of its rows.
        where: Field to value.
        order_by: A field; ``-field`` sorts it descending. By key where None.
        limit: How many at most.
        after: The last row of the page before: only rows behind it are returned.

    Raises:
        ValueError: A field is neither the key nor among the view model's ``indexes``.
    """
    descending = order_by is not None and order_by.startswith("-")
    field = None if order_by is None else order_by.removeprefix("-")
    _check_fields(row_type, [*where, *([field] if field is not None else [])])
    found = [row for row in rows if all(getattr(row, name) == want for name, want in where.items())]
    found.sort(key=key_of_state)  # stable: rows with one value stay in key order
    if field is not None:
        found.sort(key=lambda row: _sortable(getattr(row, field)), reverse=descending)
    if after is not None:
        found = _behind(found, after, field, descending=descending)
    return found if limit is None else found[:limit]


def _check_fields(row_type: type[Any], fields: list[str]) -> None:
    info = state_info(row_type)
    allowed = {info.key_field, *info.indexes}
    for field in fields:
        if field not in allowed:
            raise ValueError(
                f"{row_type.__name__} cannot be queried by {field!r}: name it in indexes=(…)"
            )


def _sortable(value: Any) -> tuple[bool, Any]:
    """Sort None before everything else."""
    return (False, 0) if value is None else (True, value)


def _behind(rows: list[RowT], after: RowT, field: str | None, *, descending: bool) -> list[RowT]:
    def place(row: RowT) -> Any:
        return None if field is None else _sortable(getattr(row, field))

    last: Any = place(after)
    last_key: Any = key_of_state(after)

    def is_behind(row: RowT) -> bool:
        here = place(row)
        if here == last:
            return bool(key_of_state(row) > last_key)
        return bool(here < last if descending else here > last)

    return [row for row in rows if is_behind(row)]
