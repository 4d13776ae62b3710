"""Where a scenario plays: a new App on stores in memory, and its time."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from sourceflow.bus.changes import Changes, RowChange, Stream, StreamChange
from sourceflow.bus.middleware import Middleware
from sourceflow.bus.observer import Observer
from sourceflow.bus.outcome import Ignored, Paused, Rejected, RetryLater
from sourceflow.domain import ViewModel
from sourceflow.errors import Discard, Reject, RejectedError
from sourceflow.host.twin import routes_of, twin_of
from sourceflow.messages import key_of_state, redacted, state_info, type_info
from sourceflow.testing.clock import settle
from sourceflow.testing.scenario.elsewhere import Elsewhere
from sourceflow.testing.scenario.record import Record, RecordingStores

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from datetime import timedelta
    from types import TracebackType

    from sourceflow.bus.dead_letter import DeadLetter
    from sourceflow.bus.middleware import Next
    from sourceflow.host.app import App
    from sourceflow.messages import Envelope
    from sourceflow.testing.clock import ManualClock

__all__ = ("Failure", "Stage", "told")

PATIENCE: Final = 10.0
"""Seconds of the machine's clock that handlers may work before a scenario is given up."""

FEW: Final = 5
"""Failures that are told at most."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A handler that raised.

    Attributes:
        envelope: What it handled.
        handler: Its name.
        error: What it raised.
    """

    envelope: Envelope[Any]
    handler: str
    error: BaseException


class _Faults(Observer):
    """Notes what fails."""

    def __init__(self) -> None:
        self.failures: list[Failure] = []
        self.letters: list[DeadLetter] = []

    def failed(self, envelope: Envelope[Any], handler: str, error: BaseException) -> None:
        self.failures.append(Failure(envelope, handler, error))

    def dead_lettered(self, letter: DeadLetter) -> None:
        self.letters.append(letter)


class _Curtain(Middleware):
    """Once it has fallen, no handler runs any more: what is left is let go."""

    fallen = False

    async def handle_command(self, command: Envelope[Any], next: Next) -> None:  # noqa: A002
        await self._pass(command, next)

    async def handle_event(self, event: Envelope[Any], next: Next) -> None:  # noqa: A002
        await self._pass(event, next)

    async def _pass(self, message: Envelope[Any], go_on: Next) -> None:
        if self.fallen:
            raise Discard("the scenario is over")
        await go_on(message)


class Stage:
    """Runs the twin of an App, and moves its time only when it is told to.

    Args:
        app: Its components, services, middleware and routes are those of the twin.
        clock: The twin's time.
    """

    def __init__(self, app: App, clock: ManualClock) -> None:
        self.record = Record()
        self.faults = _Faults()
        self.stores = RecordingStores(self.record)
        self._clock = clock
        self._elsewhere = Elsewhere(routes_of(app), self.record)
        self._curtain = _Curtain()
        twin = twin_of(
            app,
            stores=self.stores,
            observer=self.faults,
            middleware=self._curtain,
            clock=clock,
        )
        self._app = twin.use(self._elsewhere)
        self._stack = AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._app)
        self._stack.push_async_callback(self._cut)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, traceback)

    def begin(self) -> None:
        """Forget what has happened so far: what follows counts."""
        self.record.clear()

    def check_nothing_failed(self, what: str) -> None:
        """Say which handlers have failed and wait for another try, or have given up.

        Raises:
            AssertionError: Some have.
        """
        __tracebackhide__ = True
        if not (self._engine.relay.resting or self.faults.letters):
            return
        lines = [
            f"  {each.handler} raised {told(each.error, each.envelope.message)}"
            for each in self.faults.failures[-FEW:]
        ]
        lines += [
            f"  {each.type_name} is a dead letter ({each.reason}): {each.error}"
            for each in self.faults.letters
        ]
        if self._engine.relay.resting:
            lines.append("  it is tried again later: .after(...) lets time pass")
        cause = self.faults.failures[-1].error if self.faults.failures else None
        raise AssertionError("\n".join([f"not all of {what} was handled", *lines])) from cause

    def check_unchanged(self, fault: str) -> None:
        """Say what was written since the beginning.

        Args:
            fault: What is wrong with that.

        Raises:
            AssertionError: Something was.
        """
        __tracebackhide__ = True
        record = self.record
        if record.commits:
            written = "".join(f"\n  + {each!r}" for each in (*record.events, *record.commands))
            raise AssertionError(f"{fault}: {record.commits} commit(s){written}")

    def new_id(self) -> str:
        """Return an id for a message."""
        return self._elsewhere.new_id()

    async def put(self, state: Any) -> None:
        """Put an entity or a row where nothing was."""
        key, kind = key_of_state(state), type(state)
        if is_row(state):
            row = RowChange(row_type=kind, key=key, expected=0, row=state)
            changes = Changes(rows=[row])
        else:
            stream = Stream(state_info(kind).name, key)
            step = StreamChange(
                stream=stream, entity_type=kind, expected=0, entity=state, command=None
            )
            changes = Changes(stream=step)
        async with self.stores.begin() as work:
            await work.commit(changes)

    async def play(self, message: Any, message_id: str) -> BaseException | None:
        """Send a command, or let an event arrive, and wait until the App is still.

        Returns:
            What came back to who has sent it.
        """
        if type_info(type(message)).kind == "event":
            return await self._run(self._arrive(message, message_id))
        return await self._run(self._send(message, message_id))

    async def _send(self, command: Any, message_id: str) -> None:
        await self._app.send(command, message_id=message_id)

    async def _arrive(self, event: Any, message_id: str) -> None:
        match await self._elsewhere.arrive(event, message_id):
            case Ignored():
                raise AssertionError(f"nobody in the App subscribes to {type(event).__name__}")
            case Rejected(error=Reject(reason=reason) as error):
                raise RejectedError(reason) from error
            case Rejected(error=error) | RetryLater(error=error) | Paused(error=error):
                raise error

    async def _run(self, work: Coroutine[Any, Any, None]) -> BaseException | None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        await self.still()
        # One that is not done waits for what it has caused, which waits for the clock.
        if not task.done() or task.cancelled():
            return None
        self._tasks.discard(task)
        return task.exception()

    async def pass_time(self, by: timedelta) -> None:
        """Move the clock, and let everything happen that is due on the way."""
        await self._clock.advance_with(by, self.still)

    async def still(self) -> None:
        """Wait until nothing is left to do, or what is left has failed and waits for the clock."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not await self._is_still():
                    await self._something_happens()
        except TimeoutError:
            left = ", ".join(self._engine.relay.left()) or "a handler"
            raise AssertionError(
                f"the App still works after {PATIENCE:g} seconds: {left}; does a handler wait for "
                "something that does not come?"
            ) from None

    async def _is_still(self) -> bool:
        await settle()
        relay = self._engine.relay
        if relay.resting:
            return True
        return relay.waiting == 0 and not any(not task.done() for task in self._tasks)

    async def _something_happens(self) -> None:
        waits = [asyncio.ensure_future(self._clock.another_sleeps())]
        if self._engine.relay.waiting:
            waits.append(asyncio.ensure_future(self._engine.relay.idle()))
        tasks = [task for task in self._tasks if not task.done()]
        try:
            await asyncio.wait((*waits, *tasks), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    @property
    def _engine(self) -> Any:
        return self._app._running  # noqa: SLF001 - tests see what runs inside

    async def _cut(self) -> None:
        """End what waits for a clock that nobody would move any more."""
        self._curtain.fallen = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        while self._engine.relay.resting and self._clock.wake_next():
            await settle()

    async def state(self, kind: type[Any], key: Any) -> Any | None:
        """Return an entity or a row, or None."""
        if is_row(kind):
            return await self.stores.find(kind, key)
        return await self.stores.load(Stream(state_info(kind).name, key), kind)


def told(error: BaseException, message: object) -> str:
    """Return an error for people, without the sensitive values of a message."""
    return f"{type(error).__name__}: {redacted(str(error), message)}"


def is_row(value: object) -> bool:
    """Whether a value is a row, or a view model."""
    kind = value if isinstance(value, type) else type(value)
    return issubclass(kind, ViewModel)
