"""What constructors of components ask for, found among the App's services by type."""

from __future__ import annotations

import inspect
import typing
from typing import TYPE_CHECKING, Any

from sourceflow.domain.handlers import mark_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sourceflow.domain.component import Component

__all__ = ("constructor_arguments",)

_NOTHING: Any = object()


def constructor_arguments(
    component: type[Component], services: Sequence[object], faults: list[str]
) -> dict[str, Any]:
    """Return a component's constructor arguments; what is not found is added to ``faults``."""
    if component.__init__ is object.__init__:
        return {}
    try:
        hints = typing.get_type_hints(component.__init__, localns=_names_around(component))
    except NameError as error:
        faults.append(
            f"{component.__qualname__}.__init__: the hint {error.name!r} does not resolve: import "
            "it at run time, not only under TYPE_CHECKING"
        )
        return {}
    arguments: dict[str, Any] = {}
    for parameter in list(inspect.signature(component.__init__).parameters.values())[1:]:
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            continue
        where = f"{component.__qualname__}.__init__: parameter {parameter.name!r}"
        found = _find(parameter, hints.get(parameter.name), services, where, faults)
        if found is not _NOTHING:
            arguments[parameter.name] = found
    return arguments


def _find(
    parameter: inspect.Parameter,
    hint: Any,
    services: Sequence[object],
    where: str,
    faults: list[str],
) -> object:
    wanted = typing.get_origin(hint) or hint
    if not isinstance(wanted, type):
        if parameter.default is parameter.empty:
            faults.append(f"{where} needs a class as its type hint, to find a service by")
        return _NOTHING
    found = [service for service in services if _fits(service, wanted)]
    if len(found) == 1:
        return found[0]
    if found:
        faults.append(
            f"{where} asks for a {wanted.__name__}; {len(found)} of the App's services are one"
        )
    elif parameter.default is parameter.empty:
        faults.append(f"{where} asks for a {wanted.__name__}; none of the App's services is one")
    return _NOTHING


def _names_around(component: type[Component]) -> dict[str, Any]:
    """Return the names of the function that the class stands in, as its handlers remember them."""
    names: dict[str, Any] = {}
    for method in vars(component).values():
        mark = mark_of(method)
        if mark is not None:
            names.update(mark.namespace)
    return names


def _fits(service: object, wanted: type[Any]) -> bool:
    try:
        return isinstance(service, wanted)
    except TypeError:  # a Protocol that is not @runtime_checkable
        return False
