"""What one message causes, counted while it is under way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("Family",)


class Family:
    """Everything that one message causes, directly or not, while it is under way.

    Args:
        on_gone: Is called when the last of it has arrived.
    """

    __slots__ = ("_done", "_on_gone", "_open")

    def __init__(self, on_gone: Callable[[], object]) -> None:
        self._on_gone = on_gone
        self._open = 0
        self._done = asyncio.Event()
        self._done.set()

    def join(self) -> None:
        """Count one more row."""
        self._open += 1
        self._done.clear()

    def leave(self) -> None:
        """Count one less."""
        self._open -= 1
        if self._open == 0:
            self._done.set()
            self._on_gone()

    async def gone(self) -> None:
        """Wait until nothing is under way."""
        await self._done.wait()
