"""What is known of a message type or a state type, worked out once."""

from __future__ import annotations

import dataclasses
import typing
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal

from sourceflow.errors import InvalidMessageError
from sourceflow.messages.fields import is_sensitive_key, key_fields, key_type_of, unsupported
from sourceflow.messages.hints import UNRESOLVED, field_hints
from sourceflow.messages.index import SORTABLE, Index, index_of
from sourceflow.messages.limits import LimitError
from sourceflow.messages.masking import mask_dataclass
from sourceflow.messages.meta import options_of

if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable, Mapping

    from sourceflow.messages.key import KeyType

__all__ = ("Kind", "StateInfo", "TypeInfo", "is_message", "key_of_state", "state_info", "type_info")

Kind = Literal["command", "event"]
"""Whether a message asks for something or tells of something."""

KIND = "__sourceflow_kind__"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TypeInfo:
    """What is known of a message type.

    Attributes:
        type: The class.
        name: Its name on the wire.
        version: The version of its fields.
        kind: Command or event.
        key_field: The field that is the key; None where there is not exactly one.
        key_type: The key's type; None likewise.
        key_of: Returns a message's key; raises ``TypeError`` where the type has not exactly one.
        aliases: Old wire names.
        faults: What keeps an App from using it.
    """

    type: builtins.type[Any]
    name: str
    version: int
    kind: Kind
    key_field: str | None
    key_type: builtins.type[KeyType] | None
    key_of: Callable[[Any], KeyType] = dataclasses.field(repr=False, compare=False)
    aliases: tuple[str, ...]
    faults: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All wire names it is read under, the one of today first."""
        return tuple(dict.fromkeys((self.name, *self.aliases)))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StateInfo:
    """What is known of an entity or view model type.

    Attributes:
        type: The class.
        name: The name it is stored under.
        key_field: The field that is the key; None where there is not exactly one.
        key_type: The key's type; None likewise.
        key_of: Returns a state's key; raises ``TypeError`` where the type has not exactly one.
        indexes: Fields that it is queried by.
        compared: What queries may compare and sort by: the key, and each of ``indexes``.
        faults: What keeps an App from using it.
    """

    type: builtins.type[Any]
    name: str
    key_field: str | None
    key_type: builtins.type[KeyType] | None
    key_of: Callable[[Any], KeyType] = dataclasses.field(repr=False, compare=False)
    indexes: tuple[str, ...]
    compared: Mapping[str, Index] = dataclasses.field(repr=False, compare=False)
    faults: tuple[str, ...]

    def index(self, field: str) -> Index:
        """Return how a field is compared.

        Raises:
            ValueError: It may not be compared.
        """
        found = self.compared.get(field)
        if found is None:
            raise ValueError(
                f"{self.type.__name__} cannot be queried by {field!r}: name it in indexes=(…)"
            )
        return found

    def stored(self, state: Any) -> dict[str, Any]:
        """Return what a store writes into indexes for a row, by field; the key is among them.

        Raises:
            InvalidMessageError: A text or a number is too long for an index; names the field.
        """
        values: dict[str, Any] = {}
        name = ""
        try:
            for name, index in self.compared.items():
                values[name] = index.stored(getattr(state, name))
        except LimitError as error:
            raise InvalidMessageError(f"{self.type.__name__}: {name} {error}") from None
        return values


_types: dict[type[Any], TypeInfo] = {}
_states: dict[type[Any], StateInfo] = {}


def is_message(value: object) -> bool:
    """Whether a value is a message type: not the bases themselves."""
    return isinstance(value, type) and _kind_of(value) is not None and not _is_base(value)


def _is_base(cls: type[Any]) -> bool:
    return bool(cls.__dict__.get("__sourceflow_base__", False))


def _kind_of(cls: type[Any]) -> Kind | None:
    return getattr(cls, KIND, None)


def type_info(cls: type[Any]) -> TypeInfo:
    """Return what is known of a message type.

    Raises:
        TypeError: It is none.
    """
    found = _types.get(cls)
    if found is None:
        if not is_message(cls):
            name = getattr(cls, "__qualname__", repr(cls))
            raise TypeError(f"{name} is no message: derive it from Command or Event")
        found = _types[cls] = _describe(cls)
    return found


def _describe(cls: type[Any]) -> TypeInfo:
    options = options_of(cls)
    kind = _kind_of(cls)
    assert kind is not None
    if dataclasses.is_dataclass(cls):  # one that is derived from a message has a repr of its own
        mask_dataclass(cls)
    name = options.name or cls.__name__
    field, key_type, faults = _key(cls)
    return TypeInfo(
        type=cls,
        name=name,
        version=options.version,
        kind=kind,
        key_field=field,
        key_type=key_type,
        key_of=_key_getter(name, field, faults),
        aliases=options.aliases,
        faults=faults,
    )


def state_info(cls: type[Any]) -> StateInfo:
    """Return what is known of an entity or view model type."""
    found = _states.get(cls)
    if found is None:
        found = _states[cls] = _describe_state(cls)
    return found


def _describe_state(cls: type[Any]) -> StateInfo:
    options = options_of(cls)
    name = options.name or cls.__name__
    field, key_type, faults = _key(cls)
    compared, unsorted = _compared(cls, field, options.indexes)
    return StateInfo(
        type=cls,
        name=name,
        key_field=field,
        key_type=key_type,
        key_of=_key_getter(name, field, faults),
        indexes=options.indexes,
        compared=compared,
        faults=(*faults, *unsorted),
    )


def _compared(
    cls: type[Any], key_field: str | None, indexes: tuple[str, ...]
) -> tuple[dict[str, Index], list[str]]:
    """Return what a state type is compared by, and what is wrong with its ``indexes``."""
    try:
        hints = field_hints(cls)
    except UNRESOLVED:  # a fault of its own
        return {}, []
    compared: dict[str, Index] = {}
    faults: list[str] = []
    for name in indexes if key_field is None else (key_field, *indexes):
        index = index_of(name, hints[name]) if name in hints else None
        if index is not None:
            compared[name] = index
        elif name in hints:
            faults.append(
                f"indexes= names {name!r} of the type {_shown(hints[name])}, which cannot be "
                f"sorted: use {SORTABLE}"
            )
        else:
            faults.append(f"indexes= names {name!r}, which is no field")
    return compared, faults


def _shown(hint: Any) -> str:
    """Return a type as its source says it."""
    is_plain = isinstance(hint, type) and not typing.get_args(hint)
    return hint.__qualname__ if is_plain else str(hint).replace("typing.", "")


def _key(cls: type[Any]) -> tuple[str | None, type[KeyType] | None, tuple[str, ...]]:
    fields, unresolved = key_fields(cls)
    if unresolved is not None:
        return None, None, (f"the hint {unresolved!r} of a field does not resolve",)
    reason = unsupported(cls)
    if reason is not None:
        return None, None, (f"it cannot be read from JSON: {reason}",)
    if not fields:
        return None, None, ("it has no key: mark one field as Key[str], Key[int] or Key[UUID]",)
    if len(fields) > 1:
        return None, None, (f"it has {len(fields)} keys ({', '.join(fields)}): mark exactly one",)
    if is_sensitive_key(cls, fields[0]):
        return None, None, (f"its key {fields[0]} is sensitive, and keys are shown: use another",)
    key_type = key_type_of(cls, fields[0])
    if key_type is None:
        return None, None, (f"its key {fields[0]} must be a str, an int or a UUID",)
    return fields[0], key_type, ()


def _key_getter(name: str, field: str | None, faults: tuple[str, ...]) -> Callable[[Any], KeyType]:
    if field is not None:
        return attrgetter(field)

    def refuse(_value: Any) -> KeyType:
        raise TypeError(f"{name} has no key: {'; '.join(faults)}")

    return refuse


def key_of_state(state: Any) -> KeyType:
    """Return the key of an entity or a row."""
    return state_info(type(state)).key_of(state)
