"""Notices a handler that blocks the event loop, and names it."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from typing import TYPE_CHECKING, Final, Self

from sourceflow.bus.call import call_handler

if TYPE_CHECKING:
    from types import FrameType

__all__ = ("LoopWatchdog",)

log = logging.getLogger(__name__)

LIMIT: Final = 1.0
"""Seconds that the loop may be busy with one step before its handler is named: leases are renewed by
the same loop, and every other message waits."""


class LoopWatchdog:
    """Asks the loop for a sign of life from a thread of its own.

    The thread reads the stack of a loop that gives none; it never touches what runs there.

    Args:
        limit: Seconds without a sign of life.
    """

    def __init__(self, limit: float = LIMIT) -> None:
        self._limit = limit
        self._beat = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    async def __aenter__(self) -> Self:
        self._thread = threading.Thread(
            target=self._watch,
            args=(asyncio.get_running_loop(), threading.get_ident()),
            name="sourceflow watchdog",
            daemon=True,
        )
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping.set()
        self._beat.set()
        assert self._thread is not None  # it was entered
        self._thread.join()

    def _watch(self, loop: asyncio.AbstractEventLoop, thread: int) -> None:
        while not self._stopping.wait(self._limit / 4):
            self._beat.clear()
            if self._stopping.is_set() or loop.is_closed():
                return
            loop.call_soon_threadsafe(self._beat.set)
            if not self._beat.wait(self._limit):
                self._name_handler(thread)
                self._beat.wait()

    def _name_handler(self, thread: int) -> None:
        frame = sys._current_frames().get(thread)  # noqa: SLF001 - documented use
        found = None if frame is None else _handler_of(frame)
        if frame is not None and found is not None:
            log.warning(
                "%s blocks the event loop for more than %.1f s, at %s:%d in %s: nothing else runs "
                "meanwhile; await what takes long, or hand it to asyncio.to_thread",
                found,
                self._limit,
                frame.f_code.co_filename,
                frame.f_lineno,
                frame.f_code.co_name,
            )


def _handler_of(frame: FrameType | None) -> str | None:
    """Return the handler that a stack runs, or None where it runs none."""
    while frame is not None:
        if frame.f_code is call_handler.__code__:
            return str(frame.f_locals["handler"].name)
        frame = frame.f_back
    return None
