"""Column types whose values the drivers do not take as they are."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from sqlalchemy import ARRAY, JSON, BigInteger, DateTime, Integer, LargeBinary, Text
from sqlalchemy.dialects.postgresql import TEXT
from sqlalchemy.types import TypeDecorator, TypeEngine

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Dialect

__all__ = (
    "Converting",
    "Document",
    "ListOf",
    "Time",
    "Word",
    "counter",
    "escaped",
    "micros_of",
    "time_of",
    "unescaped",
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

counter: Final = BigInteger().with_variant(Integer, "sqlite")
"""A whole number that a database counts up: SQLite only counts plain INTEGER keys."""


@runtime_checkable
class Converting(Protocol):
    """A column type that says how its values reach a driver and come back."""

    def writer(self, product: str) -> Callable[[Any], Any] | None:
        """Return what turns a value into the driver's; None where it is the same."""
        ...

    def reader(self, product: str) -> Callable[[Any], Any] | None:
        """Return what turns the driver's value back; None where it is the same."""
        ...


class Time(TypeDecorator[datetime]):
    """A point of time: ``timestamptz``, or on SQLite the microseconds since 1970 in UTC."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type of one product."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(DateTime(timezone=True))

    def writer(self, product: str) -> Callable[[Any], Any] | None:
        """See ``Converting``."""
        return micros_of if product == "sqlite" else None

    def reader(self, product: str) -> Callable[[Any], Any] | None:
        """See ``Converting``."""
        return time_of if product == "sqlite" else None


class Word(TypeDecorator[str]):
    """Text that is compared by code points, as Python does it, whatever the database's locale.

    PostgreSQL takes every character but U+0000, so that one is written as two others there, in a
    way that keeps the order of texts.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type of one product."""
        # SQLite's own collation, BINARY, is the one. The dialect would make VARCHAR of TEXT.
        return Text() if dialect.name == "sqlite" else TEXT(collation="C")

    def writer(self, product: str) -> Callable[[Any], Any] | None:
        """See ``Converting``."""
        return None if product == "sqlite" else escaped

    def reader(self, product: str) -> Callable[[Any], Any] | None:
        """See ``Converting``."""
        return None if product == "sqlite" else unescaped


class Document(TypeDecorator[bytes]):
    """A JSON document, kept as it was written: ``json`` on PostgreSQL, text on SQLite."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type of one product."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else JSON())

    def writer(self, product: str) -> Callable[[Any], Any] | None:  # noqa: ARG002 - the protocol's
        """See ``Converting``."""
        return _text_of

    def reader(self, product: str) -> Callable[[Any], Any] | None:  # noqa: ARG002 - the protocol's
        """See ``Converting``."""
        return _bytes_of


class ListOf(TypeDecorator[list[Any]]):
    """A list of any length as one parameter: an array, or a JSON text on SQLite, which has none."""

    impl = Text
    cache_ok = True

    def __init__(self, element: TypeEngine[Any]) -> None:
        super().__init__()
        self.element = element

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type of one product."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else ARRAY(self.element))

    def writer(self, product: str) -> Callable[[Any], Any] | None:
        """See ``Converting``."""
        element = self.element
        convert = element.writer(product) if isinstance(element, Converting) else None

        def write(values: list[Any]) -> Any:
            converted = values if convert is None else [convert(value) for value in values]
            return json.dumps(converted) if product == "sqlite" else converted

        return write

    def reader(self, product: str) -> Callable[[Any], Any] | None:  # noqa: ARG002 - the protocol's
        """See ``Converting``."""
        return None


def escaped(text: str | None) -> str | None:
    """Return a text without U+0000: that becomes U+0001 U+0001, and U+0001 becomes U+0001 U+0002.

    Of two texts, the one that comes first still does.
    """
    if text is None or ("\0" not in text and "\1" not in text):
        return text
    return text.replace("\1", "\1\2").replace("\0", "\1\1")


def unescaped(text: str | None) -> str | None:
    """Return the text that ``escaped`` was given."""
    if text is None or "\1" not in text:
        return text
    return text.replace("\1\1", "\0").replace("\1\2", "\1")


def micros_of(time: datetime | None) -> int | None:
    """Return a time as microseconds since 1970 in UTC."""
    return None if time is None else (time - _EPOCH) // _MICROSECOND


def time_of(micros: int | None) -> datetime | None:
    """Return the time that microseconds since 1970 stand for."""
    return None if micros is None else _EPOCH + timedelta(microseconds=micros)


def _text_of(document: bytes | None) -> str | None:
    return None if document is None else document.decode()


def _bytes_of(document: str | None) -> bytes | None:
    return None if document is None else document.encode()
