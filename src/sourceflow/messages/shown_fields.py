"""The fields of structs, dataclasses and their like, as they are shown to people."""

from __future__ import annotations

import dataclasses
import typing
from typing import TYPE_CHECKING, Any

import msgspec

from sourceflow.messages.hints import UNRESOLVED, field_names
from sourceflow.messages.sensitive import Sensitive

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("Fields", "has_fields", "hints_of", "names_of", "unprinted_of")


class Fields:
    """A struct, dataclass or named tuple as people may see it.

    It is none of these itself: encoders would write it as one.

    Args:
        type_name: Its class's name.
        values: The values of its fields, as they may be seen.
        written: The names of its fields as documents have them.
        tag: The field and the value that tell its class in documents; empty where it has none.
        unprinted: The names of its fields that ``repr`` leaves out.
    """

    __slots__ = ("_tag", "_type_name", "_unprinted", "_written", "values")

    def __init__(
        self,
        type_name: str,
        values: Mapping[str, Any],
        written: Mapping[str, str],
        tag: Mapping[str, Any],
        unprinted: frozenset[str],
    ) -> None:
        self.values = values
        self._type_name = type_name
        self._written = written
        self._tag = tag
        self._unprinted = unprinted

    def __repr__(self) -> str:
        printed = (item for item in self.values.items() if item[0] not in self._unprinted)
        fields = ", ".join(f"{name}={value!r}" for name, value in printed)
        return f"{self._type_name}({fields})"

    def document(self) -> dict[str, Any]:
        """Return the members of its document."""
        present = {name: each for name, each in self.values.items() if each is not msgspec.UNSET}
        return {**self._tag, **{self._written[name]: each for name, each in present.items()}}


def has_fields(cls: type[Any]) -> bool:
    """Whether objects of a class are shown by their fields: all kinds that msgspec writes."""
    return (
        issubclass(cls, msgspec.Struct)
        or dataclasses.is_dataclass(cls)
        or hasattr(cls, "__attrs_attrs__")
        or (issubclass(cls, tuple) and hasattr(cls, "_fields"))
    )


def names_of(cls: type[Any]) -> tuple[str, ...]:
    """Return the names of the fields of a class that has some."""
    if typing.is_typeddict(cls):
        return tuple(cls.__annotations__)
    if hasattr(cls, "__attrs_attrs__"):
        return tuple(each.name for each in cls.__attrs_attrs__)
    named: tuple[str, ...] | None = getattr(cls, "_fields", None)
    return field_names(cls) if named is None or not issubclass(cls, tuple) else named


def hints_of(cls: type[Any]) -> Mapping[str, Any]:
    """Return the hints of a class's fields; of one whose hints are not known, that hide all."""
    try:
        hints = typing.get_type_hints(cls, localns={cls.__name__: cls}, include_extras=True)
    except (*UNRESOLVED, TypeError, SyntaxError):
        hints = {}
    return {name: hints.get(name, typing.Annotated[Any, Sensitive()]) for name in names_of(cls)}


def unprinted_of(cls: type[Any]) -> frozenset[str]:
    """Return the fields that the ``repr`` of a dataclass leaves out."""
    if not dataclasses.is_dataclass(cls):
        return frozenset()
    return frozenset(each.name for each in dataclasses.fields(cls) if not each.repr)
