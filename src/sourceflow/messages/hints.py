"""The fields of a struct or dataclass, and their hints as types."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any, Final

__all__ = ("UNRESOLVED", "field_hints", "field_names")

UNRESOLVED: Final = (NameError, AttributeError)
"""What a hint raises that names something nobody knows; ``error.name`` says what."""


def field_names(cls: type[Any]) -> tuple[str, ...]:
    """Return the names of a class's fields."""
    names: tuple[str, ...] | None = getattr(cls, "__struct_fields__", None)
    if names is None:
        return tuple(field.name for field in dataclasses.fields(cls))
    return names


def field_hints(cls: type[Any]) -> dict[str, Any]:
    """Return the hints of a class's fields as types.

    Raises:
        NameError: A hint names something that is not to be found.
        AttributeError: Likewise, in a module that is.
    """
    hints = typing.get_type_hints(cls, localns={cls.__name__: cls}, include_extras=True)
    return {name: hints[name] for name in field_names(cls)}
