"""Code around the journey of every message."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

from sourceflow.messages import Envelope

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("Middleware", "Next", "around", "chain")

P = ParamSpec("P")
ResultT = TypeVar("ResultT")

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


def around(
    middleware: Sequence[Middleware],
    hook: str,
    step: Callable[Concatenate[Envelope[Any], P], Awaitable[ResultT]],
) -> Callable[Concatenate[Envelope[Any], P], Awaitable[ResultT | None]]:
    """Return a step of the journey with the hooks of all middleware around it.

    A hook may run the step again, or not at all: the last run counts. Where no middleware has the
    hook, it is the step itself.

    Returns:
        Runs the step, and returns what its last run has returned; None where a hook has stopped
        the message or caught what the last run raised.
    """
    wrap = chain(middleware, hook)
    if wrap is _unchanged:
        return step

    async def run(message: Envelope[Any], /, *args: P.args, **kwargs: P.kwargs) -> ResultT | None:
        result: ResultT | None = None

        async def last(message: Envelope[Any]) -> None:
            nonlocal result
            result = None
            result = await step(message, *args, **kwargs)

        await wrap(last)(message)
        return result

    return run


def chain(middleware: Sequence[Middleware], hook: str) -> Callable[[Next], Next]:
    """Return what wraps a last step in the hooks of all middleware that have them.

    Middleware that leaves a hook as it is costs nothing there.
    """
    hooks = [
        getattr(each, hook)
        for each in middleware
        if getattr(type(each), hook) is not getattr(Middleware, hook)
    ]
    if not hooks:
        return _unchanged

    def wrap(last: Next) -> Next:
        step = last
        for run in reversed(hooks):
            step = _step(run, step)
        return step

    return wrap


def _unchanged(last: Next) -> Next:
    return last


def _step(run: Callable[[Envelope[Any], Next], Awaitable[None]], following: Next) -> Next:
    async def step(message: Envelope[Any]) -> None:
        await run(message, following)

    return step
