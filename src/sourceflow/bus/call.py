"""One call of a user's handler."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from sourceflow.bus.changes import UNCHANGED, Unchanged
from sourceflow.domain.binding import create
from sourceflow.domain.context import handling
from sourceflow.domain.handlers import DELETE, Delete
from sourceflow.domain.view import View
from sourceflow.errors import AlreadyExistsError, HandlingError, NotFoundError
from sourceflow.messages import key_of_state

if TYPE_CHECKING:
    from sourceflow.bus.scope import HandlerScope
    from sourceflow.bus.wiring import Wiring
    from sourceflow.domain.binding import Handler
    from sourceflow.messages import KeyType

__all__ = ("call_handler",)


async def call_handler(
    wiring: Wiring,
    handler: Handler,
    scope: HandlerScope,
    message: Any,
    *,
    state: Any | None = None,
    key: KeyType | None = None,
) -> Any | Delete | Unchanged:
    """Run a handler on a new object and check what it returns.

    Args:
        wiring: Makes the object.
        handler: What to run.
        scope: What stands behind the object.
        message: The command or event.
        state: The entity or row as it is.
        key: The key of the entity or row; None where the handler has no state.

    Returns:
        The new state, ``DELETE`` or ``UNCHANGED``.

    Raises:
        NotFoundError: The handler asks for state that does not exist.
        AlreadyExistsError: It creates an entity that exists.
        HandlingError: It returned something else than its state, or has sent without ``await``.
        StatementError: It went on after a failure of its own SQL.
    """
    if state is None:
        if handler.state_use == "required":
            raise NotFoundError(_name(handler), key)
    elif handler.mark.creates:
        raise AlreadyExistsError(_name(handler), key)
    instance = create(handler.component, wiring.arguments[handler.component], scope)
    token = handling.set(handler.name)
    try:
        result = handler.call(instance, message, state)
        if handler.is_async:
            result = await result
    except asyncio.CancelledError:
        # Only who cancels *this* task ends it. A handler that awaited a task of its own which was
        # cancelled has failed like any other: its message is tried again.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise HandlingError(f"{handler.name} awaited something that was cancelled") from None
    finally:
        scope.has_ended = True
        handling.reset(token)
    scope.check(handler.name)
    if type(result) is handler.state_type and key_of_state(result) == key:
        return result
    return _other_than_state(handler, result, key)


def _other_than_state(handler: Handler, result: Any, key: KeyType | None) -> Any:
    """Return what a result means that is no new state for the key of the message."""
    if result is None:
        return UNCHANGED
    if handler.state_type is None:
        raise HandlingError(
            f"{handler.name} returned {type(result).__name__}; it has no state to return"
        )
    if result is DELETE:
        return DELETE
    if type(result) is not handler.state_type:
        raise HandlingError(
            f"{handler.name} returned {type(result).__name__} instead of {_name(handler)}"
        )
    hint = "; @projects(key=…) names another row" if issubclass(handler.component, View) else ""
    raise HandlingError(
        f"{handler.name} returned {_name(handler)} {key_of_state(result)!r}; "
        f"the message is for {key!r}{hint}"
    )


def _name(handler: Handler) -> str:
    return "nothing" if handler.state_type is None else handler.state_type.__name__
