"""Tasks for pieces of work, no more of them than it takes."""

from __future__ import annotations

from collections import deque
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

__all__ = ("Workers",)

PieceT = TypeVar("PieceT")


class Workers(Generic[PieceT]):
    """Runs pieces of work side by side: a worker goes on to the next piece when it has done one.

    A task for each piece would cost more than most pieces do. Those that never wait are all done by
    one worker; for those that wait there are as many workers as pieces.

    Invariants:

    - While a piece is ready, a worker has been called that has not begun yet: whatever becomes of
      those that have, the piece is taken at the loop's next turn.
    - A piece begins in the context that ``Workers`` was made in: a worker that finds its context
      changed takes no further piece.

    Args:
        run: Does one piece.
        name: The name of the tasks.
    """

    __slots__ = ("_context", "_is_called", "_name", "_ready", "_run", "_tasks")

    def __init__(
        self,
        run: Callable[[PieceT], Coroutine[Any, Any, None]],
        tasks: asyncio.TaskGroup,
        *,
        name: str,
    ) -> None:
        self._run = run
        self._tasks = tasks
        self._name = name
        self._context = copy_context()
        self._ready: deque[PieceT] = deque()
        self._is_called = False

    def add(self, piece: PieceT) -> None:
        """Let a worker take a piece, after those that are ready."""
        self._ready.append(piece)
        self._call()

    def _call(self) -> None:
        if self._ready and not self._is_called:
            self._is_called = True
            self._tasks.create_task(self._work(), name=self._name, context=self._context.copy())

    async def _work(self) -> None:
        self._is_called = False
        while self._ready:
            piece = self._ready.popleft()
            self._call()
            await self._run(piece)
            if copy_context() != self._context:
                return
