"""What must not be there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sourceflow.domain import Entity, ViewModel

if TYPE_CHECKING:
    from sourceflow.messages import KeyType

__all__ = ("Absence", "absent")


@dataclass(frozen=True, slots=True)
class Absence:
    """An entity or a row that must not be there.

    Attributes:
        kind: Its class.
        key: Its key.
    """

    kind: type[Any]
    key: KeyType


def absent(kind: type[Entity | ViewModel], key: KeyType) -> Absence:
    """Return what ``then`` takes for an entity or a row that must not be there.

    Args:
        kind: Its class.
        key: Its key.

    Raises:
        TypeError: It is the class of neither: of a message, for example, which ``then`` misses
            without being told.
    """
    if not (isinstance(kind, type) and issubclass(kind, (Entity, ViewModel))):
        raise TypeError(
            "absent takes the class of an entity or a row, "
            f"not {getattr(kind, '__name__', type(kind).__name__)}"
        )
    return Absence(kind, key)
