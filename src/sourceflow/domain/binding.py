"""Handlers bound to the types they take: worked out once, when the App is built."""

from __future__ import annotations

import inspect
import types
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from sourceflow.domain.handlers import HandlerMark, mark_of
from sourceflow.messages import is_message, type_info

if TYPE_CHECKING:
    from collections.abc import Callable

    from sourceflow.domain.component import Component, Scope
    from sourceflow.messages import KeyType

__all__ = ("Handler", "StateUse", "create", "handlers_of", "state_type_of")

StateUse = Literal["none", "required", "optional"]
ComponentT = TypeVar("ComponentT", bound="Component")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Handler:
    """One method bound to one message type.

    Attributes:
        name: ``Class.method``, or the name given to the decorator.
        component: The class the method belongs to.
        mark: What its decorator said.
        message_type: The message it takes.
        key_of: Returns the key of its message.
        state_type: The entity or view model it works on; None for an aggregate or ``Saga[None]``.
        state_use: Whether it asks for the state, and whether the state must exist.
        call: Runs it: ``call(instance, message, state)``.
        is_async: Whether what ``call`` returns is to be awaited; plain functions run inline.
    """

    name: str
    component: type[Component]
    mark: HandlerMark
    message_type: type[Any]
    key_of: Callable[[Any], KeyType]
    state_type: type[Any] | None
    state_use: StateUse
    call: Callable[[Any, Any, Any], Any]
    is_async: bool


def state_type_of(component: type[Component], base: type[Any]) -> type[Any] | None:
    """Return ``Order`` of ``class OrderSaga(Saga[Order])``; None of ``Saga[None]``.

    Raises:
        TypeError: The class does not say.
    """
    for ancestor in component.__mro__:
        for generic in ancestor.__dict__.get("__orig_bases__", ()):
            origin = typing.get_origin(generic)
            if isinstance(origin, type) and issubclass(origin, base):
                (argument,) = typing.get_args(generic)
                if argument is type(None) or argument is None:
                    return None
                if isinstance(argument, type):
                    return argument
    raise TypeError(
        f"{component.__qualname__} does not say what it is of: write {base.__name__}[…]"
    )


def handlers_of(
    component: type[Component], state_type: type[Any] | None, kind: str, faults: list[str]
) -> list[Handler]:
    """Return the bound handlers of a component; what cannot be bound is added to ``faults``."""
    found: list[Handler] = []
    for method_name in dir(component):
        method = inspect.getattr_static(component, method_name)
        mark = mark_of(method)
        if mark is None:
            continue
        where = f"{component.__qualname__}.{method_name}"
        if mark.kind != kind:
            faults.append(f"{where} is marked @{mark.kind}; a component of this kind takes @{kind}")
            continue
        try:
            found += _bind(component, method, mark, state_type, where)
        except (NameError, TypeError) as error:
            faults.append(f"{where}: {error}")
    return found


def _bind(
    component: type[Component],
    method: Callable[..., Any],
    mark: HandlerMark,
    state_type: type[Any] | None,
    where: str,
) -> list[Handler]:
    hints = _resolve_hints(method, mark)
    parameters = list(inspect.signature(method).parameters.values())[1:]
    message_at: int | None = None
    state_at: int | None = None
    message_types: tuple[type[Any], ...] = ()
    state_use: StateUse = "none"
    for position, parameter in enumerate(parameters):
        if parameter.name not in hints:
            raise TypeError(f"parameter {parameter.name!r} has no type hint")
        alternatives = _alternatives(hints[parameter.name])
        if all(is_message(alternative) for alternative in alternatives):
            if message_at is not None:
                raise TypeError("takes two messages; a handler takes one")
            message_at, message_types = position, alternatives
        elif state_type is not None and set(alternatives) <= {state_type, type(None)}:
            state_at = position
            state_use = "optional" if type(None) in alternatives else "required"
        else:
            wanted = "a message" if state_type is None else f"a message or {state_type.__name__}"
            raise TypeError(f"parameter {parameter.name!r} is neither {wanted}")
    if message_at is None:
        raise TypeError("takes no message: one parameter's hint must be a command or an event")
    if mark.creates and state_use == "required":
        raise TypeError("creates its entity, so it cannot take one that exists")
    call = _caller(method, message_at, state_at)
    return [
        Handler(
            name=mark.name or where,
            component=component,
            mark=mark,
            message_type=message_type,
            key_of=type_info(message_type).key_of,
            state_type=state_type,
            state_use=state_use,
            call=call,
            is_async=inspect.iscoroutinefunction(method),
        )
        for message_type in message_types
    ]


def _resolve_hints(function: Callable[..., Any], mark: HandlerMark) -> dict[str, Any]:
    """Return the parameters' hints as types.

    Raises:
        NameError: A hint names something that is not to be found.
    """
    try:
        return typing.get_type_hints(function, localns=dict(mark.namespace), include_extras=False)
    except NameError as error:
        raise NameError(
            f"the hint {error.name!r} does not resolve: import it at run time, not only under "
            f"TYPE_CHECKING, and define it before the class",
            name=error.name,
        ) from None


def _alternatives(hint: Any) -> tuple[Any, ...]:
    if typing.get_origin(hint) in {typing.Union, types.UnionType}:
        return typing.get_args(hint)
    return (hint,)


def _caller(
    method: Callable[..., Any], message_at: int, state_at: int | None
) -> Callable[[Any, Any, Any], Any]:
    if state_at is None:
        return lambda instance, message, _state: method(instance, message)
    if state_at < message_at:
        return lambda instance, message, state: method(instance, state, message)
    return method


def create(component: type[ComponentT], arguments: dict[str, Any], scope: Scope) -> ComponentT:
    """Make the one object that handles one message."""
    instance = component(**arguments)
    instance._scope = scope  # noqa: SLF001 - the binding owns it
    return instance
