"""Several workers, each started again when it dies."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from sourceflow.host.cli.codes import CAME_OUT_WRONG, WRONG_INPUT
from sourceflow.resilience.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from sourceflow.clock import Clock

__all__ = ("STARTS", "Supervisor")

log = logging.getLogger(__name__)

STARTS: Final = 5
"""How often a worker may fail to start while no other one works, before all is given up."""

STEADY: Final = timedelta(seconds=60)
"""A worker that has worked for so long begins a new count of failures."""

KILLING: Final = 3
"""The signal from which on workers are killed: the first lets them drain, the second hurries."""

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_BACKOFF: Final = Backoff(base=timedelta(milliseconds=500), cap=timedelta(seconds=30))


class Supervisor:
    """Keeps so many workers running until it is told to stop.

    Workers stand in process groups of their own: Ctrl-C in a terminal reaches this process only,
    which passes it on once. However this process ends, workers notice, drain and end.

    Args:
        command: Starts a worker, given the number of its end of a socket: it writes a byte to it
            when it has started.
        count: How many.
        clock: The time.
        backoff: How long to wait before a worker is started again.
    """

    def __init__(
        self,
        command: Callable[[int], Sequence[str]],
        count: int,
        *,
        clock: Clock,
        backoff: Backoff = _BACKOFF,
    ) -> None:
        self._command = command
        self._count = count
        self._clock = clock
        self._backoff = backoff
        self._workers: set[_Worker] = set()
        self._signals = 0
        self._stopping = asyncio.Event()
        self._code = 0

    async def run(self) -> int:
        """Run until a signal comes and all workers have ended, or none can be started.

        Returns:
            0 where all workers have drained; 1 where one has not, or where none can be started; 2
            where none can be started as the call or the App is wrong.
        """
        loop = asyncio.get_running_loop()
        for each in _SIGNALS:
            loop.add_signal_handler(each, self._on_signal)
        try:
            async with asyncio.TaskGroup() as tasks:
                for number in range(1, self._count + 1):
                    tasks.create_task(self._keep(number), name=f"sourceflow worker {number}")
        finally:
            for each in _SIGNALS:
                loop.remove_signal_handler(each)
        return self._code

    def _on_signal(self) -> None:
        self._signals += 1
        if self._signals == KILLING:
            log.warning("a third signal: killing %d worker(s)", len(self._workers))
        elif self._signals > 1:
            log.warning("another signal: stopping without waiting any longer")
        else:
            log.info("stopping %d worker(s)", len(self._workers))
        self._stop()

    def _stop(self) -> None:
        self._stopping.set()
        for worker in self._workers:
            worker.send(signal.SIGTERM if self._signals < KILLING else signal.SIGKILL)

    async def _keep(self, number: int) -> None:
        """Keep one worker running."""
        failures = 0
        while not self._stopping.is_set():
            began = self._clock.monotonic()
            end = await self._run_one()
            if self._stopping.is_set():
                self._note_end(number, end)
                return
            if self._clock.monotonic() - began >= STEADY.total_seconds():
                failures = 0
            failures += 1
            if self._is_hopeless(end, failures):
                self._give_up(number, end, failures)
                return
            await self._pause(number, end, failures)

    async def _run_one(self) -> _End:
        """Run a worker to its end; that there is no process to be had is an end, too."""
        try:
            async with _started(self._command) as worker:
                self._workers.add(worker)
                try:
                    if self._stopping.is_set():  # it was told while this one was started
                        worker.send(signal.SIGTERM)
                    code = await worker.ended()
                finally:
                    self._workers.discard(worker)
        except OSError as error:  # too many processes or open files, no memory
            return _End(CAME_OUT_WRONG, f"was given no process ({error.strerror or error})")
        return _End(code, _how(code), worker.pid, has_started=worker.has_started)

    def _note_end(self, number: int, end: _End) -> None:
        if end.code and end.has_started:
            log.error("worker %d %s instead of draining", number, end.how)
            self._code = self._code or CAME_OUT_WRONG

    def _is_hopeless(self, end: _End, failures: int) -> bool:
        """Whether no worker works, and another start would not change that."""
        if end.has_started or any(each.has_started for each in self._workers):
            return False
        return end.code == WRONG_INPUT or failures >= STARTS

    def _give_up(self, number: int, end: _End, failures: int) -> None:
        log.error(
            "worker %d cannot start: it %s, at try %d, and no other one works: giving up",
            number,
            end.how,
            failures,
        )
        self._code = WRONG_INPUT if end.code == WRONG_INPUT else CAME_OUT_WRONG
        self._stop()

    async def _pause(self, number: int, end: _End, failures: int) -> None:
        delay = self._backoff.delay(failures - 1)
        log.error(
            "worker %d%s %s; another one starts in %.1f s",
            number,
            "" if end.pid is None else f" (process {end.pid})",
            end.how,
            delay.total_seconds(),
        )
        sleep = asyncio.ensure_future(self._clock.sleep(delay.total_seconds()))
        stop = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((sleep, stop), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleep.cancel()
            stop.cancel()


class _End(NamedTuple):
    """How a worker has ended."""

    code: int
    how: str
    pid: int | None = None
    has_started: bool = False


class _Worker:
    """One process, and this end of its socket."""

    def __init__(self, process: asyncio.subprocess.Process, end: socket.socket) -> None:
        self._process = process
        self._end = end
        self.has_started = False

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            self._process.send_signal(number)

    async def ended(self) -> int:
        """Wait until the process has ended; notice when it has started."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._end, self._look)
        try:
            return await self._process.wait()
        finally:
            loop.remove_reader(self._end)
            with suppress(BlockingIOError):
                self._look()  # it may have said so just before it ended

    def _look(self) -> None:
        if self._end.recv(1):
            self.has_started = True
            log.info("process %d has started", self.pid)
        else:
            asyncio.get_running_loop().remove_reader(self._end)


@asynccontextmanager
async def _started(command: Callable[[int], Sequence[str]]) -> AsyncIterator[_Worker]:
    """Start a worker; one that is left learns that nobody supervises it, and is waited for."""
    own, its = socket.socketpair()
    own.setblocking(False)
    with own:
        with its:
            process = await asyncio.create_subprocess_exec(
                *command(its.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(its.fileno(),),
                process_group=0,
            )
        try:
            yield _Worker(process, own)
        finally:
            own.close()
            await process.wait()


def _how(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with {code}"
