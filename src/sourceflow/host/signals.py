"""Being asked to stop."""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ("stop_signals",)

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@asynccontextmanager
async def stop_signals() -> AsyncIterator[asyncio.Event]:
    """Turn SIGTERM and SIGINT into an event while the context is open.

    A second signal acts as it would without us: a worker that does not stop can be interrupted.
    """
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    task = asyncio.current_task()
    assert task is not None

    def stop() -> None:
        if stopped.is_set():
            task.cancel()
        stopped.set()

    for each in _SIGNALS:
        loop.add_signal_handler(each, stop)
    try:
        yield stopped
    finally:
        for each in _SIGNALS:
            loop.remove_signal_handler(each)
