"""What must not be there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sourceflow.domain import Entity, ViewModel
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
    """
    return Absence(kind, key)
