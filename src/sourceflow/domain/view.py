"""What projects events into view models."""

from __future__ import annotations

from typing import Any, ClassVar, Generic, Literal, TypeVar

from sourceflow.domain.component import Component

__all__ = ("Lifecycle", "View")

RowT_co = TypeVar("RowT_co", covariant=True)

Lifecycle = Literal["inline", "async"]


class View(Component, Generic[RowT_co]):
    """Projects events into the rows of one view model.

    ``class Sales(View[CountrySales], lifecycle="async")`` projects after the commit. The default,
    ``"inline"``, projects in the same transaction as the command where the event is delivered in
    this process: callers read their own writes, and a failing view fails the command.

    A projecting method returns the new row, ``None`` to leave it, or ``DELETE`` to remove it.
    """

    lifecycle: ClassVar[Lifecycle] = "inline"
    """When it projects what is delivered in this process: with the command, or after it."""

    def __init_subclass__(cls, *, lifecycle: Lifecycle | None = None, **options: Any) -> None:
        super().__init_subclass__(**options)
        if lifecycle is not None:
            if lifecycle not in {"inline", "async"}:
                raise ValueError(
                    f"lifecycle of {cls.__name__} is 'inline' or 'async', not {lifecycle!r}"
                )
            cls.lifecycle = lifecycle
