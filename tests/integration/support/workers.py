"""Processes that work for a test: quick to start, and ended for certain."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.context import ForkServerProcess

__all__ = ("Worker", "Workers", "until")

PATIENCE: Final = 60.0
"""Seconds that a test waits for what other processes do."""

_SERVER: Final = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    [
        "asyncpg",
        "botocore.httpsession",
        "botocore.session",
        "sourceflow.stores.sql",
        "sourceflow.transports.aws",
        "sqlalchemy.dialects.postgresql",
        "sqlalchemy.dialects.sqlite",
    ]
)
"""Workers are forked from a process that has imported the most: they begin at once."""


class Worker:
    """One process."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Its number."""
        assert self._process.pid is not None  # it was started
        return self._process.pid

    def kill(self) -> None:
        """End it without giving it a chance."""
        self._process.kill()

    def terminate(self) -> None:
        """Tell it to end."""
        self._process.terminate()

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    async def wait(self) -> int | None:
        """Wait until it has ended; return its exit code, or the signal as a negative number."""
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._process.sentinel, ended.set)
        try:
            async with asyncio.timeout(PATIENCE):
                await ended.wait()
        finally:
            loop.remove_reader(self._process.sentinel)
        self._process.join()
        return self._process.exitcode


class Workers:
    """Starts processes that all run one function, and ends those that are left.

    Args:
        work: What they run: a function of a module.
        arguments: Its first arguments.
    """

    def __init__(self, work: Callable[..., None], *arguments: Any) -> None:
        self._work = work
        self._arguments = arguments
        self._started: list[ForkServerProcess] = []

    def start(self, *arguments: Any) -> Worker:
        """Start one more."""
        process = _SERVER.Process(
            target=_work, args=(self._work, *self._arguments, *arguments), daemon=True
        )
        process.start()
        self._started.append(process)
        return Worker(process)

    async def start_and_wait(self, *arguments: Any) -> Worker:
        """Start one more, and wait until it says that it is running: by its last argument."""
        running = _SERVER.Event()
        worker = self.start(*arguments, running)
        if not await asyncio.to_thread(running.wait, PATIENCE):
            raise TimeoutError("the process has not said that it is running")
        return worker

    def end(self) -> None:
        """End all that are left."""
        for process in self._started:
            process.kill()
            process.join()


def _work(work: Callable[..., None], *arguments: Any) -> None:
    """Be a worker, as long as the test's process lives: however that ends."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    work(*arguments)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None  # nobody else calls it
    parent.join()
    os.kill(os.getpid(), signal.SIGKILL)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what other processes do."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - another process: nothing here says when
            await asyncio.sleep(0.01)
