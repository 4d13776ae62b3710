"""Facts that sagas raise."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar, dataclass_transform, overload

import msgspec

from sourceflow.messages.message import Message
from sourceflow.messages.plain import mark_plain

__all__ = ("Event", "event")

PlainT = TypeVar("PlainT", bound=type[Any])


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class Event(Message, frozen=True, kw_only=True):
    """A fact that a saga raised; any number of subscribers hear of it.

    ``class PaymentProcessed(Event, name="orders.payment-processed", version=2)`` gives it a stable
    wire name and a version; the class's name and 1 are the defaults.
    """

    __sourceflow_kind__: ClassVar[str] = "event"
    __sourceflow_base__: ClassVar[bool] = True


@overload
def event(cls: PlainT, /) -> PlainT: ...
@overload
def event(*, name: str | None = None, version: int = 1, aliases: tuple[str, ...] = ()) -> Any: ...
def event(
    cls: Any = None,
    /,
    *,
    name: str | None = None,
    version: int = 1,
    aliases: tuple[str, ...] = (),
) -> Any:
    """Make a plain dataclass an event.

    Args:
        cls: The dataclass, when the decorator stands without parentheses.
        name: The wire name; the class's name where not given.
        version: The version of its fields.
        aliases: Old wire names that are still read.

    Raises:
        TypeError: It is no dataclass.
    """
    return mark_plain(cls, "event", name=name, version=version, aliases=aliases)
