"""Given what was, when something comes, then this follows: an App's rules as tests."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sourceflow.domain import Entity, ViewModel
from sourceflow.host.app import App
from sourceflow.messages import is_message, type_info
from sourceflow.testing.clock import ManualClock
from sourceflow.testing.scenario.expectation import Expectation, named
from sourceflow.testing.scenario.stage import Stage, told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sourceflow.messages import Command, Event
    from sourceflow.testing.scenario.absence import Absence
    from sourceflow.testing.scenario.likeness import Likeness

__all__ = ("Given", "Outcome", "When", "given")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What followed.

    Attributes:
        events: The events that the App raised, in order.
        commands: The commands that it sent on, in order, those for later included.
        error: What came back to who has sent the message; None if it was handled.
    """

    events: tuple[Any, ...]
    commands: tuple[Any, ...]
    error: BaseException | None = None


def given(
    *past: Command | Event | Entity | ViewModel | timedelta | Any,
    app: App | Callable[[], App],
    clock: ManualClock | None = None,
) -> Given:
    """Begin a scenario: say what was before.

    Each scenario plays in a new App that has the components, the services and the middleware of
    yours, stores in memory, no transport, and a clock that stands still. What yours would send to
    queues of others ends there; what it sends to itself is handled.

    ```python
    await (
        given(CreateOrder(order_id="o-1", total=Decimal(10)), app=app)
        .when(ProcessPayment(order_id="o-1", amount=Decimal(10)))
        .then(OrderPaid(order_id="o-1"))
    )
    ```

    Args:
        past: In order: commands are handled, events arrive from another service, entities and rows
            are put where they belong, a ``timedelta`` lets so much time pass.
        app: The App, which is neither started nor changed; or a function that makes one, where
            services must be new in each scenario.
        clock: The time, for services that tell it too; else one that begins on 1 January 2026.

    Raises:
        TypeError: Something cannot have been.
    """
    for each in past:
        if not (isinstance(each, (Entity, ViewModel)) or _can_come(each)):
            raise TypeError(
                f"given takes commands, events, entities, rows and timedeltas, not {named(each)}"
            )
    if not (isinstance(app, App) or callable(app)):
        raise TypeError(f"app= is an App, or a function that makes one, not {named(app)}")
    return Given(past, app, clock)


def _can_come(value: object) -> bool:
    return isinstance(value, timedelta) or is_message(type(value))


@dataclass(frozen=True, slots=True)
class Given:
    """What was before; ``when`` goes on."""

    _past: tuple[Any, ...]
    _app: App | Callable[[], App]
    _clock: ManualClock | None

    def when(self, trigger: Command | Event | timedelta | Any) -> When:
        """Say what comes.

        Args:
            trigger: A command is sent, an event arrives from another service, or so much time
                passes.

        Raises:
            TypeError: It is nothing that can come.
        """
        if not _can_come(trigger):
            raise TypeError(f"when takes a command, an event or a timedelta, not {named(trigger)}")
        return When(self, trigger)

    def _new_app(self) -> App:
        if isinstance(self._app, App):
            return self._app
        made = self._app()
        if not isinstance(made, App):
            raise TypeError(f"app= is a function that makes {named(made)}, not an App")
        return made

    @asynccontextmanager
    async def _on_stage(self) -> AsyncIterator[Stage]:
        async with Stage(self._new_app(), self._clock or ManualClock()) as stage:
            for each in self._past:
                await _let_be(stage, each)
            yield stage


async def _let_be(stage: Stage, each: Any) -> None:
    """Let a part of the past happen."""
    __tracebackhide__ = True
    if isinstance(each, timedelta):
        await stage.pass_time(each)
    elif isinstance(each, (Entity, ViewModel)):
        await stage.put(each)
    else:
        error = await stage.play(each, stage.new_id())
        if error is not None:
            raise AssertionError(f"given {each!r} was not handled: {told(error, each)}") from error
    stage.check_nothing_failed("what was given")


@dataclass(frozen=True, slots=True)
class When:
    """What comes; ``then`` and ``then_raises`` play the scenario."""

    _given: Given
    _trigger: Any
    _after: timedelta | None = None
    _twice: bool = False

    def after(self, time: timedelta) -> When:
        """Let so much time pass before what followed is looked at: delays, retries, schedules.

        Args:
            time: How much.

        Raises:
            TypeError: It is no timedelta.
        """
        if not isinstance(time, timedelta):
            raise TypeError(f"after takes a timedelta, not {named(time)}")
        return replace(self, _after=time + (self._after or timedelta(0)))

    def twice(self) -> When:
        """Let the same message come twice, with one id: the second must have no effect.

        Raises:
            TypeError: Time passes, which has no id.
        """
        if isinstance(self._trigger, timedelta):
            raise TypeError("time does not pass twice: twice() is for messages")
        return replace(self, _twice=True)

    async def then(
        self, *expected: Command | Event | Entity | ViewModel | Likeness | Absence | Any
    ) -> Outcome:
        """Play the scenario, and check what followed.

        Args:
            expected: The events that the App raises: exactly these, in this order. The commands
                that it sends on, if one is named: then exactly these, in this order. Entities and
                rows that are there and equal; what is ``absent``. ``like`` stands for each of them
                where not all fields are known.

        Returns:
            What followed.

        Raises:
            AssertionError: Something else followed; says what.
            TypeError: Something of what is expected cannot follow.
        """
        __tracebackhide__ = True
        expectation = Expectation(expected)
        async with self._played() as (stage, outcome):
            if outcome.error is not None:
                raise AssertionError(
                    f"{self._trigger!r} raised {self._told(outcome.error)}"
                ) from outcome.error
            stage.check_nothing_failed("what followed")
            await expectation.check(stage, outcome.events, outcome.commands)
        return outcome

    async def then_raises(self, error: type[BaseException], match: str | None = None) -> Outcome:
        """Play the scenario, and check that the message was refused; a command changes nothing then.

        Args:
            error: What is raised to who sends the command; of an event, what a subscriber raised.
                A ``Reject`` comes as ``RejectedError``.
            match: A regular expression that is found in its text.

        Returns:
            What followed, the error included.

        Raises:
            AssertionError: Nothing or something else was raised, or something has changed.
            TypeError: Time passes, which is refused by nobody.
        """
        __tracebackhide__ = True
        if isinstance(self._trigger, timedelta):
            raise TypeError("nobody refuses time: then_raises() is for messages")
        async with self._played() as (stage, outcome):
            raised = outcome.error
            came = "nothing" if raised is None else self._told(raised)
            if not isinstance(raised, error):
                raise AssertionError(  # noqa: TRY004 - of the test, not of a type
                    f"{self._trigger!r} raised {came}, not {error.__name__}"
                ) from raised
            if match is not None and not re.search(match, str(raised)):
                raise AssertionError(f"the text of {came} does not match {match!r}") from raised
            if type_info(type(self._trigger)).kind == "command":  # subscribers end one by one
                stage.check_unchanged("it was refused, and yet has an effect")
        return outcome

    @asynccontextmanager
    async def _played(self) -> AsyncIterator[tuple[Stage, Outcome]]:
        __tracebackhide__ = True
        async with self._given._on_stage() as stage:  # noqa: SLF001 - two steps of one sentence
            stage.begin()
            error = await self._come(stage)
            if self._after is not None:
                await stage.pass_time(self._after)
            record = stage.record
            yield (
                stage,
                Outcome(events=tuple(record.events), commands=tuple(record.commands), error=error),
            )

    async def _come(self, stage: Stage) -> BaseException | None:
        __tracebackhide__ = True
        if isinstance(self._trigger, timedelta):
            await stage.pass_time(self._trigger)
            return None
        message_id = stage.new_id()
        first = await stage.play(self._trigger, message_id)
        if self._twice:
            stage.check_nothing_failed("the first time")
            commits = stage.record.commits
            second = await stage.play(self._trigger, message_id)
            if type(first) is not type(second):
                raise AssertionError(
                    f"{self._trigger!r} came twice: at first it raised {self._told(first)}, "
                    f"then {self._told(second)}"
                ) from second
            if stage.record.commits != commits:
                raise AssertionError(f"{self._trigger!r} came twice, and had a second effect")
        return first

    def _told(self, error: BaseException | None) -> str:
        """Return an error for people, without the sensitive values of the message."""
        return "nothing" if error is None else told(error, self._trigger)
