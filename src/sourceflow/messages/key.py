"""Which field names the entity that a message is about."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

from sourceflow.messages.limits import LimitError, check_text

__all__ = (
    "FEW_CHARACTERS",
    "Key",
    "KeyType",
    "is_key",
    "is_only_key",
    "is_possible_key",
    "key_problem",
    "key_text",
    "parse_key",
)

KeyT = TypeVar("KeyT", str, int, UUID)

KeyType = str | int | UUID
"""What a key may be."""


class _KeyMarker:
    __slots__ = ()

    def __repr__(self) -> str:
        return "Key"


_MARKER: Final = _KeyMarker()

Key = Annotated[KeyT, _MARKER]
"""Marks a field as the key: ``order_id: Key[str]``. Type checkers see the plain type."""


def is_key(hint: Any) -> bool:
    """Whether a resolved hint is ``Key[...]``."""
    return _MARKER in getattr(hint, "__metadata__", ())


def is_only_key(hint: Any) -> bool:
    """Whether a resolved hint is ``Key[...]`` and says nothing more, such as a greatest length."""
    return getattr(hint, "__metadata__", None) == (_MARKER,)


MAX_KEY_BYTES: Final = 1_000
"""Bytes that a text may take as a key, U+0000 and U+0001 two each.

A key stands with other texts in an entry of an index, of which PostgreSQL takes 2,704 bytes at
most: a third of a page (source: src/include/access/nbtree.h, BTMaxItemSize).
"""

FEW_CHARACTERS: Final = MAX_KEY_BYTES // 4
"""Characters that never take more bytes."""


def key_problem(key: KeyType) -> str | None:
    """Return why a value of the right type is no key, or None where it is one."""
    if isinstance(key, str):
        return _text_problem(key)
    if isinstance(key, int) and not -(2**63) <= key < 2**63:
        return "takes more than 64 bits, which no database keeps"
    return None


def _text_problem(key: str) -> str | None:
    if not key:
        return "is empty"
    if len(key) > FEW_CHARACTERS:
        size = len(key.encode(errors="surrogatepass")) + key.count("\0") + key.count("\1")
        if size > MAX_KEY_BYTES:
            return f"takes {size:,} bytes; {MAX_KEY_BYTES:,} are the most"
    return None


def is_possible_key(key_type: type[KeyType] | None, key: object) -> bool:
    """Whether there may be anything with this key, where keys are of a type."""
    if key_type is None or not isinstance(key, key_type) or isinstance(key, bool):
        return False
    if isinstance(key, str):
        try:
            check_text(key)
        except LimitError:
            return False
    return key_problem(key) is None


def key_text(key: KeyType) -> str:
    """Return a key as text: itself, decimal digits, or the hyphenated form of a UUID."""
    return key if type(key) is str else str(key)


def parse_key(text: str, key_type: type[KeyType]) -> KeyType:
    """Return the key that a text stands for.

    Raises:
        ValueError: It stands for none of this type.
    """
    return key_type(text)
