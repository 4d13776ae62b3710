"""Tasks that live as long as something is open."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import TracebackType

__all__ = ("TaskScope",)

ResultT = TypeVar("ResultT")


class TaskScope:
    """A task group for things that users open with ``async with``.

    It differs from ``asyncio.TaskGroup`` in two ways: what the body raises comes out as it is, not
    inside an exception group; and leaving never cancels a task, it waits for them: whoever opened
    the scope ends them in order before. It may be left in another task than it was entered in, as
    test fixtures and web servers do.

    A task that fails is a fault of ours: it cancels the body, as a task group would, and comes out
    where the scope is left.
    """

    def __init__(self) -> None:
        self._tasks: asyncio.TaskGroup | None = None
        self._ready = asyncio.Event()
        self._leaving = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._host: asyncio.Task[Any] | None = None
        self._host_cancelled = False

    async def __aenter__(self) -> Self:
        self._host = asyncio.current_task()
        self._runner = asyncio.create_task(self._run(), name="sourceflow tasks")
        self._runner.add_done_callback(self._on_done)
        try:
            await self._ready.wait()
        except asyncio.CancelledError:  # nobody will leave what was never entered
            self._leaving.set()
            self._runner.cancel()
            raise
        return self

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            self._ready.set()
            await self._leaving.wait()

    def _on_done(self, runner: asyncio.Task[None]) -> None:
        failed = not runner.cancelled() and runner.exception() is not None
        if failed and not self._leaving.is_set() and self._host and not self._host.done():
            self._host_cancelled = True
            self._host.cancel()

    def create_task(
        self, work: Coroutine[Any, Any, ResultT], *, name: str | None = None
    ) -> asyncio.Task[ResultT]:
        """Start a task in the scope.

        Raises:
            RuntimeError: The scope is ending, as it was cancelled or one of its tasks has failed.
        """
        assert self._tasks is not None  # the scope is open
        try:
            return self._tasks.create_task(work, name=name)
        except RuntimeError:
            work.close()  # it will never be awaited
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._runner is not None  # the scope is open
        self._leaving.set()
        try:
            await asyncio.shield(self._runner)
        except asyncio.CancelledError:
            self._runner.cancel()
            await asyncio.wait((self._runner,))
            raise
        except BaseExceptionGroup as group:
            if self._host_cancelled and self._host is not None:
                self._host.uncancel()
            raise _single(group) from None


def _single(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the one error of a group, or the group where there are several."""
    return group.exceptions[0] if len(group.exceptions) == 1 else group
