"""The fields of messages and state: which one is the key, and what is wrong with them."""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec

from sourceflow.messages.hints import UNRESOLVED, field_hints
from sourceflow.messages.key import is_key
from sourceflow.messages.sensitive import mark_of

if TYPE_CHECKING:
    from sourceflow.messages.key import KeyType

__all__ = ("is_sensitive_key", "key_fields", "key_type_of", "unsupported")

_KEY_TYPES: Final = (str, int, UUID)


def key_fields(cls: type[Any]) -> tuple[list[str], str | None]:
    """Return the fields marked as the key, and the name that a hint uses and nobody knows."""
    try:
        hints = field_hints(cls)
    except UNRESOLVED as error:
        return [], error.name
    return [name for name, hint in hints.items() if is_key(hint)], None


def key_type_of(cls: type[Any], field: str) -> type[KeyType] | None:
    """Return the type of a key, or None where it cannot be one."""
    hint = field_hints(cls)[field]
    wanted = typing.get_args(hint)[0]
    return wanted if wanted in _KEY_TYPES else None


def is_sensitive_key(cls: type[Any], field: str) -> bool:
    """Whether a key is marked as something that people must not read."""
    return mark_of(field_hints(cls)[field].__metadata__) is not None


def unsupported(cls: type[Any]) -> str | None:
    """Return why a class cannot be read from JSON, or None where it can."""
    try:
        msgspec.json.Decoder(cls)
    except TypeError as error:
        return str(error)
    return None
