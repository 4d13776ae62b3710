"""Code around the journey of every message."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from sourceflow.messages import Envelope

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("Middleware", "Next", "chain")

Next = Callable[[Envelope[Any]], Awaitable[None]]
"""What a hook calls to go on; it may hand on a changed envelope, call it again, or not at all."""


class Middleware:
    """Four hooks around every message; override those you want.

    The first one registered is outermost. A hook goes on with ``await next(message)``; it may
    change headers (``message.with_headers(...)``), stop (not call ``next``) or catch what is
    raised. ``handle_*`` run on replay too, ``dispatch_*`` do not.

    A hook that stops a ``dispatch_*`` keeps the message from leaving; one that stops a
    ``handle_*`` settles the message without an effect.
    """

    async def dispatch_command(self, message: Envelope[Any], next: Next, /) -> None:  # noqa: A002 - the design's word
        """Run around the sending of a command."""
        await next(message)

    async def handle_command(self, message: Envelope[Any], next: Next, /) -> None:  # noqa: A002 - the design's word
        """Run around the handling of a command by its saga."""
        await next(message)

    async def dispatch_event(self, message: Envelope[Any], next: Next, /) -> None:  # noqa: A002 - the design's word
        """Run around the publishing of an event."""
        await next(message)

    async def handle_event(self, message: Envelope[Any], next: Next, /) -> None:  # noqa: A002 - the design's word
        """Run around each subscriber of an event."""
        await next(message)


HOOKS: Final = ("dispatch_command", "handle_command", "dispatch_event", "handle_event")


def chain(middleware: Sequence[Middleware], hook: str) -> Callable[[Next], Next]:
    """Return what wraps a last step in the hooks of all middleware that have them.

    Middleware that leaves a hook as it is costs nothing there.
    """
    hooks = [
        getattr(each, hook)
        for each in middleware
        if getattr(type(each), hook) is not getattr(Middleware, hook)
    ]

    def wrap(last: Next) -> Next:
        step = last
        for run in reversed(hooks):
            step = _step(run, step)
        return step

    return wrap


def _step(run: Callable[[Envelope[Any], Next], Awaitable[None]], following: Next) -> Next:
    async def step(message: Envelope[Any]) -> None:
        await run(message, following)

    return step
