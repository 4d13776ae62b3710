"""How the values of a type are shown to people: worked out of its hints, once for each class.

Invariant: a value reaches people as it is only where its hint says what it may be and names nothing
sensitive. Where a sensitive part is expected and something of another shape is found, nothing of
it is shown.
"""

from __future__ import annotations

import inspect
import typing
from collections import deque
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Final
from uuid import UUID

import msgspec

from sourceflow.messages.sensitive import CUSTOM, SensitiveKind, mark_of
from sourceflow.messages.shown_fields import (
    Fields,
    has_fields,
    hints_of,
    names_of,
    unprinted_of,
)
from sourceflow.messages.type_variables import bind, filled, variables_of

if typing.TYPE_CHECKING:
    from sourceflow.messages.type_variables import Types

__all__ = ("MaskOf", "Show", "masked_fields", "show", "shows_all")

MaskOf = Callable[[SensitiveKind, Any], Any]
"""Returns what stands for a sensitive value."""

Show = Callable[[Any, MaskOf], Any]
"""Returns a value as people may see it."""

_LEAVES: Final = frozenset(
    {
        NoneType, msgspec.UnsetType, bool, int, float, str, bytes, bytearray, memoryview, Decimal,
        UUID, date, datetime, time, timedelta, msgspec.Raw,
    }
)  # fmt: skip
_ITEMS: Final = (list, tuple, set, frozenset, deque)
_ITEMS_OF: Final = (*_ITEMS, Collection)
_QUALIFIERS: Final = (typing.Required, typing.NotRequired, typing.Final)


def show(value: Any, mask_of: MaskOf) -> Any:
    """Return a value as people may see it, by what it is.

    Raises:
        RecursionError: It is nested too deeply.
    """
    cls = type(value)
    if has_fields(cls):
        return value if shows_all(cls) else _fields(value, _plan(cls), mask_of)
    if isinstance(value, Mapping):
        return _items(value, show, show, mask_of)
    return [show(each, mask_of) for each in value] if isinstance(value, _ITEMS) else value


def shows_all(cls: type[Any]) -> bool:
    """Whether every field of a class may be seen as it is."""
    return not _plan(cls)


def masked_fields(cls: type[Any]) -> Collection[str]:
    """Return the names of the fields that are not shown as they are."""
    return _plan(cls).keys()


_plans: dict[tuple[type[Any], tuple[Any, ...]], Mapping[str, Show]] = {}


def _plan(cls: type[Any], arguments: tuple[Any, ...] = ()) -> Mapping[str, Show]:
    """Return, for each field that is not shown as it is, how it is shown."""
    try:
        found = _plans.get((cls, arguments))
    except TypeError:  # it is annotated with something that has no hash
        return _make_plan(cls, arguments)
    if found is None:
        found = _plans[cls, arguments] = _make_plan(cls, arguments)
    return found


def _make_plan(cls: type[Any], arguments: tuple[Any, ...]) -> Mapping[str, Show]:
    bound = bind(cls, variables_of(cls, arguments))
    plan = {}
    for name, hint in hints_of(cls).items():
        owner = next((each for each in cls.__mro__ if name in inspect.get_annotations(each)), cls)
        shown = _show_of(hint, bound.get(owner, {}))
        if shown is not None:
            plan[name] = shown
    return plan


def _fields(value: Any, plan: Mapping[str, Show], mask_of: MaskOf) -> Fields:
    cls = type(value)
    names = names_of(cls)
    values = {}
    for name in names:
        try:
            field = getattr(value, name)
        except AttributeError:  # it was never set
            continue
        shown = plan.get(name)
        values[name] = field if shown is None else shown(field, mask_of)
    written = getattr(cls, "__struct_encode_fields__", names)
    config = getattr(cls, "__struct_config__", None)
    tag = {} if config is None or config.tag is None else {config.tag_field: config.tag}
    return Fields(
        cls.__name__, values, dict(zip(names, written, strict=True)), tag, unprinted_of(cls)
    )


def _items(
    value: Mapping[Any, Any], show_key: Show | None, show_value: Show | None, mask_of: MaskOf
) -> dict[Any, Any]:
    """Return a dict; keys that look the same once they are masked are numbered."""
    shown: dict[Any, Any] = {}
    for key, each in value.items():
        name = key if show_key is None else show_key(key, mask_of)
        if isinstance(name, (Fields, list, dict)):
            name = repr(name)
        number = 2
        unique = name
        while unique in shown:
            unique = f"{name} ({number})"
            number += 1
        shown[unique] = each if show_value is None else show_value(each, mask_of)
    return shown


def _hidden(kind: SensitiveKind) -> Show:
    """Return what hides a value; of lists and dicts, each part."""

    def hide(value: Any, mask_of: MaskOf) -> Any:
        if value is None or value is msgspec.UNSET:
            return value
        if isinstance(value, Mapping):
            return _items(value, hide, hide, mask_of)
        if isinstance(value, _ITEMS) and not has_fields(type(value)):
            return [hide(each, mask_of) for each in value]
        return mask_of(kind, value)

    return hide


_misfit: Final = _hidden(CUSTOM)
"""Hides what is of another shape than its type says."""


def _show_of(hint: Any, types: Types) -> Show | None:
    """Return how a value of a type is shown, or None where it is shown as it is."""
    hint = _meant(hint, types)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        mark = mark_of(arguments[1:])
        return _show_of(arguments[0], types) if mark is None else _hidden(mark.kind)
    if origin in {typing.Union, UnionType}:
        return _of_alternatives(arguments, types)
    if origin is typing.Literal:
        return None
    cls = hint if origin is None else origin
    return _of_class(cls, arguments, types) if isinstance(cls, type) else show


def _meant(hint: Any, types: Types) -> Any:
    """Return the type that a variable, a new type, an alias or a qualified type stands for."""
    while True:
        if isinstance(hint, typing.TypeVar):
            return types.get(hint, Any)
        if typing.get_origin(hint) in _QUALIFIERS:
            hint = typing.get_args(hint)[0]
        elif isinstance(hint, typing.NewType):
            hint = hint.__supertype__
        elif hasattr(hint, "__value__"):  # an alias made by the statement ``type``
            hint = hint.__value__
        else:
            return hint


def _of_alternatives(alternatives: tuple[Any, ...], types: Types) -> Show | None:
    """Return how a value of a union is shown: by what hides it, wherever that could be meant."""
    shows = [(_class_of(each, types), _show_of(each, types)) for each in alternatives]
    hiding = [(cls, shown) for cls, shown in shows if shown is not None]
    hiding.sort(key=lambda each: each[0] is object)  # what may be anything comes last
    if not hiding:
        return None
    plain = tuple(cls for cls, shown in shows if shown is None)

    def show_one(value: Any, mask_of: MaskOf) -> Any:
        for cls, shown in hiding:
            if isinstance(value, cls):
                return shown(value, mask_of)
        return value if isinstance(value, plain) else _misfit(value, mask_of)

    return show_one


def _class_of(hint: Any, types: Types) -> Any:
    """Return the class, or classes, that values of a type have; ``object`` where it may be any."""
    hint = _meant(hint, types)
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return tuple({type(each) for each in typing.get_args(hint)})
    if origin is typing.Annotated:
        return _class_of(typing.get_args(hint)[0], types)
    cls = hint if origin is None else origin
    if not isinstance(cls, type) or cls is Any:
        return object
    return dict if typing.is_typeddict(cls) else cls


def _of_class(cls: type[Any], arguments: tuple[Any, ...], types: Types) -> Show | None:
    if cls in _LEAVES or issubclass(cls, Enum):
        return None
    if typing.is_typeddict(cls):
        return _of_members(cls, variables_of(cls, arguments), types)
    if has_fields(cls):
        return _of_fields(cls, tuple(filled(each, types) for each in arguments))
    if issubclass(cls, Mapping) and len(arguments) == 2:  # noqa: PLR2004 - keys and values
        return _of_items(*(_show_of(each, types) for each in arguments))
    if issubclass(cls, _ITEMS_OF) and arguments:
        return _of_parts(cls, arguments, types)
    return show


def _of_fields(cls: type[Any], arguments: tuple[Any, ...]) -> Show:
    """Return how an object is shown: as its own class says, and as the class that is expected."""

    def show_object(value: Any, mask_of: MaskOf) -> Any:
        if not isinstance(value, cls):
            return _misfit(value, mask_of)
        plan = {**_plan(type(value)), **_plan(cls, arguments)}
        return _fields(value, plan, mask_of) if plan else value

    return show_object


def _of_members(cls: type[Any], variables: Types, types: Types) -> Show:
    known = {each: filled(hint, types) for each, hint in variables.items()}

    def show_members(value: Any, mask_of: MaskOf) -> Any:
        if not isinstance(value, Mapping):
            return _misfit(value, mask_of)
        hints = hints_of(cls)
        shown = {}
        for name, each in value.items():
            show_member = _show_of(hints.get(name, Any), known)
            shown[name] = each if show_member is None else show_member(each, mask_of)
        return shown

    return show_members


def _of_items(show_key: Show | None, show_value: Show | None) -> Show | None:
    if show_key is None and show_value is None:
        return None

    def show_items(value: Any, mask_of: MaskOf) -> Any:
        if not isinstance(value, Mapping):
            return _misfit(value, mask_of)
        return _items(value, show_key, show_value, mask_of)

    return show_items


def _of_parts(cls: type[Any], arguments: tuple[Any, ...], types: Types) -> Show | None:
    """Return how lists and the like are shown, and tuples of a fixed length."""
    shows = [_show_of(each, types) for each in arguments if each is not Ellipsis]
    if not any(shows):
        return None
    is_fixed = issubclass(cls, tuple) and Ellipsis not in arguments

    def show_parts(value: Any, mask_of: MaskOf) -> Any:
        if not isinstance(value, _ITEMS) or (is_fixed and len(value) != len(shows)):
            return _misfit(value, mask_of)
        of_each = shows if is_fixed else shows * len(value)
        parts = [
            each if shown is None else shown(each, mask_of)
            for each, shown in zip(value, of_each, strict=True)
        ]
        return tuple(parts) if isinstance(value, tuple) else parts

    return show_parts
