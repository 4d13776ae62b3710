"""Finds calls whose ``await`` was forgotten."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

__all__ = ("unawaited",)


def unawaited(asked: Sequence[Coroutine[Any, Any, Any]]) -> list[Coroutine[Any, Any, Any]]:
    """Return the coroutines that nobody has begun to await, and no task will."""
    waiting = [each for each in asked if inspect.getcoroutinestate(each) == inspect.CORO_CREATED]
    if not waiting:
        return waiting
    begun_later = {task.get_coro() for task in asyncio.all_tasks()}
    return [each for each in waiting if each not in begun_later]
