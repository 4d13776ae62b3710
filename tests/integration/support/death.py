"""How a process dies in the middle of what it does: by SIGKILL, at a call that a test names."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from itertools import count
from typing import Any, NamedTuple

__all__ = ("DeathPoint", "after", "after_call", "before", "under_way")

Call = Callable[..., Awaitable[Any]]


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def before(call: Call, *args: Any) -> Any:
    """Die before the call."""
    _die()
    return await call(*args)


async def after(call: Call, *args: Any) -> Any:
    """Die after the call."""
    result = await call(*args)
    _die()
    return result


async def under_way(call: Call, *args: Any) -> Any:
    """Die in the middle of the call."""
    task = asyncio.ensure_future(call(*args))
    await asyncio.sleep(0)  # the statement is on its way to the server, its answer is not here
    _die()
    return await task


def after_call(call: Callable[..., Any], *args: Any) -> Any:
    """Die after a call that is no coroutine."""
    result = call(*args)
    _die()
    return result


class DeathPoint(NamedTuple):
    """Where to die.

    Attributes:
        owner: What has the function: a class, or a module.
        name: The function.
        death: Is called in its place.
        when: Whether a call of it counts.
        nth: Which of the calls that count is the last.
    """

    owner: Any
    name: str
    death: Callable[..., Any]
    when: Callable[..., bool] = lambda *_: True
    nth: int = 2

    def set(self) -> None:
        """Let the process die here."""
        original = getattr(self.owner, self.name)
        counted = count(1)

        @wraps(original)
        def watched(*args: Any, **kwargs: Any) -> Any:
            call = partial(original, **kwargs)
            if self.when(*args) and next(counted) == self.nth:
                return self.death(call, *args)
            return call(*args)

        setattr(self.owner, self.name, watched)
