"""The fields of messages and state: which one is the key, and what is wrong with them."""

from __future__ import annotations

import dataclasses
import typing
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from sourceflow.messages.key import is_key
from sourceflow.messages.limits import msgspec_hints

if TYPE_CHECKING:
    from sourceflow.messages.key import KeyType

__all__ = ("key_fields", "key_type_of")

_KEY_TYPES: Final = (str, int, UUID)


def key_fields(cls: type[Any]) -> tuple[list[str], str | None]:
    """Return the fields marked as the key, and the name that a hint uses and nobody knows."""
    try:
        hints = msgspec_hints(cls)
    except NameError as error:
        return [], error.name
    names = _names(cls)
    return [name for name, hint in hints.items() if name in names and is_key(hint)], None


def key_type_of(cls: type[Any], field: str) -> type[KeyType] | None:
    """Return the type of a key, or None where it cannot be one."""
    hint = msgspec_hints(cls)[field]
    wanted = typing.get_args(hint)[0]
    return wanted if wanted in _KEY_TYPES else None


def _names(cls: type[Any]) -> set[str]:
    fields = getattr(cls, "__struct_fields__", None)
    return set(fields) if fields is not None else {field.name for field in dataclasses.fields(cls)}
