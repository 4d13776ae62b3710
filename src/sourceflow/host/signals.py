"""Being asked to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ("stop_signals",)

log = logging.getLogger(__name__)

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@asynccontextmanager
async def stop_signals() -> AsyncIterator[asyncio.Event]:
    """Turn SIGTERM and SIGINT into an event while the context is open.

    A second signal cancels what is inside, which ends it without waiting any longer, and so does
    each further one; the context then ends as if nothing had happened.
    """
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    cancels = 0
    task = asyncio.current_task()
    assert task is not None

    def stop() -> None:
        nonlocal cancels
        if stopped.is_set():
            cancels += 1
            log.warning("another signal: stopping without waiting any longer")
            task.cancel()
        stopped.set()

    for each in _SIGNALS:
        loop.add_signal_handler(each, stop)
    try:
        yield stopped
    except asyncio.CancelledError:
        for _ in range(cancels):
            task.uncancel()
        if not cancels or task.cancelling():
            raise
    finally:
        for each in _SIGNALS:
            loop.remove_signal_handler(each)
