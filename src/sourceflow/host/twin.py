"""The same App once more, on other stores: what tests play through."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sourceflow.bus.observer import Observers
from sourceflow.bus.routes import NO_ROUTES, Routes
from sourceflow.host.app import App
from sourceflow.stores.memory import InMemoryIdempotency

if TYPE_CHECKING:
    from sourceflow.bus.middleware import Middleware
    from sourceflow.bus.observer import Observer
    from sourceflow.bus.ports import Stores
    from sourceflow.clock import Clock

__all__ = ("clock_of", "listen_to", "routes_of", "twin_of")

NEVER: Final = timedelta(days=36_500)
"""As good as never, and still a time that can be added to another."""


def twin_of(
    app: App, *, stores: Stores, observer: Observer, middleware: Middleware, clock: Clock
) -> App:
    """Return a new App of the same components, services and middleware, without a transport.

    Args:
        app: It may run or not, and is left as it is.
        stores: Take the place of its own.
        observer: Is told what happens, before the App's own.
        middleware: Stands around the App's own.
        clock: Takes the place of its own; that of the idempotency service in memory, too.
    """
    choice = app._idempotency  # noqa: SLF001 - part of the same host
    own = choice.service
    if choice.is_default:
        # Cleaning each minute would make years of the clock slow, and a twin does not live long.
        own = InMemoryIdempotency(clock=clock)
        own.cleanup_interval = NEVER  # type: ignore[misc] # final for all others
    twin = App(
        app._components,  # noqa: SLF001
        name=app.name,
        stores=stores,
        services=[each for each in app._services if each is not choice.service],  # noqa: SLF001
        idempotency=own,
        middleware=(middleware, *app._middleware),  # noqa: SLF001
        observer=Observers((observer, app._observer)),  # noqa: SLF001
        clock=clock,
    )
    twin._idempotency = choice._replace(service=own)  # noqa: SLF001
    return twin


def routes_of(app: App) -> Routes:
    """Return what the App's transport was told."""
    return NO_ROUTES if app._transport is None else app._transport.routes  # noqa: SLF001


def clock_of(app: App) -> Clock:
    """Return the time of an App."""
    return app._clock  # noqa: SLF001


def listen_to(app: App, observer: Observer) -> None:
    """Let one more observer be told what happens in an App that has not started.

    Raises:
        RuntimeError: It is running.
    """
    if app._stack is not None:  # noqa: SLF001
        raise RuntimeError(f"the App {app.name!r} is running")
    app._observer = Observers((observer, app._observer))  # noqa: SLF001
