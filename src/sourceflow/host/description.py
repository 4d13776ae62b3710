"""What an App is made of, for people and tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sourceflow.bus.router import is_inline
from sourceflow.bus.routes import NO_ROUTES
from sourceflow.bus.wiring import is_view
from sourceflow.messages import type_info

if TYPE_CHECKING:
    from sourceflow.bus.ports import Stores, Transport
    from sourceflow.bus.routes import Routes
    from sourceflow.domain.binding import Handler
    from sourceflow.host.assembly import Assembly
    from sourceflow.host.idempotency import IdempotencyChoice

__all__ = ("describe",)


def describe(
    assembly: Assembly,
    stores: Stores,
    idempotency: IdempotencyChoice,
    transport: Transport | None,
) -> dict[str, Any]:
    """Return an App's parts as plain data."""
    routes = NO_ROUTES if transport is None else transport.routes
    wiring = assembly.wiring
    return {
        "app": wiring.app,
        "stores": repr(stores),
        "idempotency": {
            "service": repr(idempotency.service),
            "claims messages": idempotency.claims_messages(stores),
        },
        "commands": [
            _command(command, wiring.commands.get(command), routes)
            for command in {**wiring.commands, **routes.commands}
        ],
        "events": [
            _event(event, wiring.subscribers(event), routes)
            for event in {**wiring.events, **routes.events}
        ],
        "transport": None if transport is None else dict(transport.describe()),
        "warnings": list(assembly.warnings),
    }


def _command(command: type[Any], handler: Handler | None, routes: Routes) -> dict[str, Any]:
    info = type_info(command)
    entity = None if handler is None or handler.state_type is None else handler.state_type.__name__
    return {
        "name": info.name,
        "version": info.version,
        "handler": None if handler is None else handler.name,
        "entity": entity,
        "queue": routes.commands.get(command),
    }


def _event(event: type[Any], subscribers: tuple[Handler, ...], routes: Routes) -> dict[str, Any]:
    info = type_info(event)
    return {
        "name": info.name,
        "version": info.version,
        "topic": routes.events.get(event),
        "subscribers": [
            {"name": each.name, "runs": _way(each, event, routes)} for each in subscribers
        ],
    }


def _way(handler: Handler, event: type[Any], routes: Routes) -> str:
    """Say when a subscriber runs: with the command, after it, or when the event has arrived."""
    if routes.arrives(event):
        return "from the event queue"
    if is_view(handler) and is_inline(handler):
        return "in the command's transaction"
    return "after the commit"
