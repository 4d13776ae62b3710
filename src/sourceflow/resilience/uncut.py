"""What must not be cut in the middle by a cancellation."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable

__all__ = ("uncut",)

ResultT = TypeVar("ResultT")


async def uncut(work: Awaitable[ResultT]) -> ResultT:
    """Run something to its end; a cancellation of the caller goes on only after that.

    What the work raised is dropped if the caller was cancelled: nobody is left to hear it.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            try:
                await asyncio.wait((task,))
            except asyncio.CancelledError:
                continue
        if not task.cancelled():
            task.exception()  # looked at: asyncio need not report it
        raise
