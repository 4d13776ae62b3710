"""What stands for the type variables of generic classes and their bases."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

__all__ = ("Types", "bind", "filled", "variables_of")

Types = Mapping[Any, Any]
"""What stands for the type variables of a generic class."""


def variables_of(cls: type[Any], arguments: tuple[Any, ...]) -> Types:
    """Return what stands for the variables of a class, where it is written with arguments."""
    return dict(zip(getattr(cls, "__parameters__", ()), arguments, strict=False))


def bind(cls: type[Any], types: Types) -> dict[type[Any], Types]:
    """Return what stands for the type variables of a class and of each of its bases."""
    bound: dict[type[Any], Types] = {cls: types}
    for base in cls.__dict__.get("__orig_bases__", cls.__bases__):
        origin = typing.get_origin(base) or base
        if isinstance(origin, type) and origin is not typing.Generic:
            arguments = tuple(filled(each, types) for each in typing.get_args(base))
            bound = {**bind(origin, variables_of(origin, arguments)), **bound}
    return bound


def filled(hint: Any, types: Types) -> Any:
    """Return a type with what stands for its variables."""
    if isinstance(hint, typing.TypeVar):
        return types.get(hint, Any)
    variables = getattr(hint, "__parameters__", ())
    if isinstance(hint, type) or not variables:
        return hint
    return hint[tuple(types.get(each, Any) for each in variables)]
