"""State and messages kept so that no handler can change what is stored."""

from __future__ import annotations

import typing
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from sourceflow.domain.handlers import DELETE
from sourceflow.errors import MessageError, ReplayError
from sourceflow.messages import state_info

if TYPE_CHECKING:
    from sourceflow.messages import Codec, Envelope

__all__ = ("Snapshots",)

ValueT = TypeVar("ValueT")

_IMMUTABLE: Final = (
    NoneType, bool, int, float, str, bytes, Decimal, UUID, datetime, date, time, timedelta,
)  # fmt: skip


class _Written(NamedTuple):
    type: type[Any]
    data: bytes


class Snapshots:
    """Copies on the way in and out, where a copy is needed.

    A frozen type whose fields are all immutable is kept as it is. Any other (a list in it is
    enough) is kept written, as a database would keep it, so what a handler changes in its copy
    reaches nobody else.
    """

    __slots__ = ("_codec", "_immutable")

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._immutable = _Immutable()

    def keep(self, value: Any) -> Any:
        """Return what to store of a value; None of one that is to be removed."""
        if value is DELETE:
            return None
        if self._immutable[type(value)]:
            return value
        return _Written(type(value), self._codec.encode_state(value))

    def keep_row(self, row: Any) -> Any:
        """Return what to store of a view model's row; None of one that is to be removed.

        Raises:
            InvalidMessageError: It does not fit into the indexes of a database: what memory takes,
                every other store takes too.
        """
        if row is not DELETE:
            state_info(type(row)).stored(row)
        return self.keep(row)

    def give(self, kept: Any) -> Any:
        """Return the value of what is stored."""
        if type(kept) is _Written:
            return self._codec.decode_state(kept.type, kept.data)
        return kept

    def give_as(self, state_type: type[Any], kept: Any) -> Any:
        """Return an entity, which may be of a class that only an App before this one had.

        Raises:
            MalformedError: It can no longer be read.
        """
        if type(kept) is _Written:
            return self._codec.decode_state(state_type, kept.data)
        if kept is None or type(kept) is state_type:
            return kept
        return self._codec.decode_state(state_type, self._codec.encode_state(kept))

    def copy_envelope(self, envelope: Envelope[Any]) -> Envelope[Any]:
        """Return an envelope whose message is shared with nobody who could change it."""
        if self._immutable[type(envelope.message)]:
            return envelope
        return self._rewritten(envelope)

    def _rewritten(self, envelope: Envelope[Any]) -> Envelope[Any]:
        info = envelope.info
        data = self._codec.encode_data(envelope.message)
        message = self._codec.decode_data(info.name, info.version, data)
        return msgspec.structs.replace(envelope, message=message)

    def reread(self, envelope: Envelope[Any], position: int) -> Envelope[Any]:
        """Return a copy of a stored envelope.

        Its message may be of a class that only an App before this one had. It is read as a
        database would read it then.

        Raises:
            ReplayError: It can no longer be read; names its position, type, version and field.
        """
        message_type = type(envelope.message)
        if self._immutable[message_type] and self._codec.knows(message_type):
            return envelope
        try:
            return self._rewritten(envelope)
        except MessageError as error:
            info = envelope.info
            raise ReplayError.unreadable(
                error, position=position, type_name=info.name, version=info.version
            ) from error


class _Immutable(dict[type[Any], bool]):
    """Whether values of a type can be shared, worked out once."""

    def __missing__(self, value_type: type[Any]) -> bool:
        known = self[value_type] = _immutable(value_type, frozenset())
        return known


def _immutable(hint: Any, above: frozenset[Any]) -> bool:
    """Whether values of a hint can be shared: only frozen structs, scalars and tuples of them."""
    if hint in above:
        return True  # a recursive type is as immutable as its other fields
    if isinstance(hint, type) and (issubclass(hint, Enum) or hint in _IMMUTABLE):
        return True
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        return _immutable(typing.get_args(hint)[0], above)
    if origin in {tuple, frozenset, typing.Union, UnionType}:
        arguments = [each for each in typing.get_args(hint) if each is not Ellipsis]
        return all(_immutable(each, above) for each in arguments)
    if origin is typing.Literal:
        return True
    if (
        isinstance(hint, type)
        and issubclass(hint, msgspec.Struct)
        and hint.__struct_config__.frozen
    ):
        return all(_immutable(each, above | {hint}) for each in _field_hints(hint))
    return False


def _field_hints(struct: type[msgspec.Struct]) -> list[Any]:
    """Return the hints of a struct's fields; what does not resolve might be anything."""
    try:
        hints = typing.get_type_hints(struct, include_extras=True)
    except NameError:
        return [Any]
    return [hints[name] for name in struct.__struct_fields__]
