"""Which messages the methods of a component speak of."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from sourceflow.messages import is_message

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FunctionType

__all__ = ("messages_named_in",)


def messages_named_in(component: type[Any]) -> Iterator[tuple[type[Any], str]]:
    """Return the messages that a component's methods name, with the method.

    A saga or an aggregate names a command to send it, a saga an event to raise it. To find that
    nobody takes it when the App starts is better than to find it when the first customer asks.
    """
    for name in dir(component):
        method = inspect.getattr_static(component, name)
        if not inspect.isfunction(method) or method.__module__.startswith("sourceflow.domain"):
            continue
        for value in _globals_and_cells(method):
            if is_message(value):
                yield value, f"{component.__qualname__}.{name}"


def _globals_and_cells(method: FunctionType) -> Iterator[Any]:
    for name in method.__code__.co_names:
        if name in method.__globals__:
            yield method.__globals__[name]
    for cell in method.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not assigned yet: the name is defined below the class
            continue
