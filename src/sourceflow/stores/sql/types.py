"""Column types whose values the drivers do not take as they are."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from sqlalchemy import JSON, BigInteger, DateTime, Integer, LargeBinary, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Dialect

__all__ = ("Converting", "Document", "JsonList", "Time", "counter", "micros_of", "time_of")

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


class JsonList(TypeDecorator[list[Any]]):
    """A list of numbers or texts as a parameter: a JSON text."""

    impl = Text
    cache_ok = True

    def writer(self, product: str) -> Callable[[Any], Any] | None:  # noqa: ARG002 - the protocol's
        """See ``Converting``."""
        return json.dumps

    def reader(self, product: str) -> Callable[[Any], Any] | None:  # noqa: ARG002 - the protocol's
        """See ``Converting``."""
        return None


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
