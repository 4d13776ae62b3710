"""Several ask for the same thing at the same time; it is fetched once."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable

    from sourceflow.resilience.task_scope import TaskScope

__all__ = ("SingleFlight",)

KeyT = TypeVar("KeyT", bound="Hashable")
ResultT = TypeVar("ResultT")


class _Failed:
    """What a call raised."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


class SingleFlight(Generic[KeyT, ResultT]):
    """At most one call for each key is under way; everybody who asks meanwhile gets its result.

    Who is cancelled while waiting leaves the call to the others.

    Args:
        call: Fetches the thing of a key.
        tasks: Runs the calls.
        name: What the tasks are called.
    """

    def __init__(
        self,
        call: Callable[[KeyT], Coroutine[Any, Any, ResultT]],
        tasks: TaskScope,
        *,
        name: str,
    ) -> None:
        self._call = call
        self._tasks = tasks
        self._name = name
        self._flying: dict[KeyT, asyncio.Task[ResultT | _Failed]] = {}

    async def get(self, key: KeyT) -> ResultT:
        """Return the thing of a key, or raise what its call raised.

        Raises:
            RuntimeError: The scope of the tasks is ending.
        """
        found = await asyncio.shield(self._start(key))
        if isinstance(found, _Failed):
            raise found.error
        return found

    def begin(self, key: KeyT) -> None:
        """Fetch the thing of a key, unless that is under way, and wait for nothing.

        Raises:
            RuntimeError: The scope of the tasks is ending.
        """
        self._start(key)

    def _start(self, key: KeyT) -> asyncio.Task[ResultT | _Failed]:
        task = self._flying.get(key)
        if task is None:
            task = self._tasks.create_task(self._fetch(key), name=self._name)
            self._flying[key] = task
            task.add_done_callback(partial(self._landed, key))
        return task

    async def _fetch(self, key: KeyT) -> ResultT | _Failed:
        """Fetch a thing; its error is a result too, as nobody may be there to wait for it."""
        try:
            return await self._call(key)
        except Exception as error:  # noqa: BLE001 - ``get`` raises it
            return _Failed(error)

    def _landed(self, key: KeyT, _task: object) -> None:
        del self._flying[key]
