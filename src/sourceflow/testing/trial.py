"""An App that runs for a test: what it handles can be waited for, and nothing is left behind."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sourceflow.host.twin import clock_of, listen_to
from sourceflow.messages import type_info
from sourceflow.testing.clock import ManualClock
from sourceflow.testing.watch import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from sourceflow.bus.dead_letter import DeadLetter
    from sourceflow.host.app import App
    from sourceflow.messages import KeyType

__all__ = ("dead_lettered", "handled", "under_test")

MessageT = TypeVar("MessageT")
FoundT = TypeVar("FoundT")

PATIENCE: Final = timedelta(seconds=10)
"""How long is waited where nothing is asked for."""

_watched: list[tuple[App, Watch]] = []
"""The Apps under test, with who watches each."""


@asynccontextmanager
async def under_test(app: App, *, timeout: float | timedelta = PATIENCE) -> AsyncIterator[App]:  # noqa: ASYNC109 - of the App's own clock
    """Run an App for a test: start it, then let it end its work, and stop it.

    Inside, `handled` and `dead_lettered` wait for what it does. A `ManualClock` is moved on while
    the App ends its work.

    Args:
        app: It has not started.
        timeout: How long it may take to end its work, on its own clock; a plain number is seconds.

    Raises:
        AssertionError: A message has become a dead letter that nobody waited for.
        TimeoutError: The work does not end; says what is left, and where.
        WiringError: The App cannot start as it is put together.
    """
    watch = Watch()
    listen_to(app, watch)
    _watched.append((app, watch))
    try:
        async with app:
            yield app
            await _drain(app, timeout)
    finally:
        _watched.remove((app, watch))
    if watch.unexpected:
        raise AssertionError(
            "\n".join(
                [
                    f"the App {app.name!r} has given up messages that the test did not expect",
                    *(
                        f"  {each.type_name} of {each.source} ({each.reason}): {each.error}"
                        for each in watch.unexpected
                    ),
                    "  await dead_lettered(Type) says that one is expected",
                ]
            )
        )


async def _drain(app: App, timeout: float | timedelta) -> None:  # noqa: ASYNC109 - of the App's own clock
    clock, work = clock_of(app), app.drained(timeout=timeout)
    await (clock.finish(work) if isinstance(clock, ManualClock) else work)


async def handled(
    kind: type[MessageT],
    key: KeyType,
    *,
    times: int = 1,
    app: App | None = None,
    timeout: float | timedelta = PATIENCE,  # noqa: ASYNC109 - it tells more than asyncio's does
) -> MessageT:
    """Wait until the App under test has handled a message, and return the message.

    One that was handled before counts. A command is handled when its unit of work has committed,
    an event when that of one of its subscribers has.

    Args:
        kind: The message's type.
        key: Its key.
        times: Which one of several, the first is 1; the same message again counts once.
        app: The App, where several are under test.
        timeout: How long to wait, by the machine's clock; a plain number is seconds.

    Raises:
        TimeoutError: It was not handled; says what was.
        LookupError: No App is under test, or several are.
    """
    watch = _watch(app)
    wanted = f"{type_info(kind).name} {key!r} was not handled"
    if times > 1:
        wanted += f" {times} times"
    return await _wait(watch, lambda: watch.find(kind, key, times), wanted, timeout)


async def dead_lettered(
    kind: type[Any],
    *,
    app: App | None = None,
    timeout: float | timedelta = PATIENCE,  # noqa: ASYNC109 - it tells more than asyncio's does
) -> DeadLetter:
    """Wait until a message of the App under test is a dead letter, as expected, and return it.

    Each one is returned once, and then does not fail the test.

    Args:
        kind: The message's type.
        app: The App, where several are under test.
        timeout: How long to wait, by the machine's clock; a plain number is seconds.

    Raises:
        TimeoutError: There is none; says what was handled.
        LookupError: No App is under test, or several are.
    """
    watch, name = _watch(app), type_info(kind).name
    return await _wait(
        watch, lambda: watch.take_letter(name), f"no {name} became a dead letter", timeout
    )


async def _wait(
    watch: Watch,
    look: Callable[[], FoundT | None],
    wanted: str,
    timeout: float | timedelta,  # noqa: ASYNC109 - it tells more than asyncio's does
) -> FoundT:
    limit = timeout if isinstance(timeout, timedelta) else timedelta(seconds=timeout)
    waiting: Awaitable[FoundT] = watch.until(look)
    try:
        return await asyncio.wait_for(waiting, limit.total_seconds())
    except TimeoutError:
        raise TimeoutError(
            f"{wanted} within {limit.total_seconds():g} seconds; {watch.told()}"
        ) from None


def _watch(app: App | None) -> Watch:
    found = [watch for each, watch in _watched if app is None or each is app]
    if not found:
        who = "no App" if app is None else f"the App {app.name!r} is not the one that"
        raise LookupError(
            f"{who} is under test: ask for the fixture app_under_test, or use "
            "'async with under_test(app):'"
        )
    if len(found) > 1:
        names = ", ".join(repr(each.name) for each, _ in _watched)
        raise LookupError(f"several Apps are under test ({names}): say which by app=")
    return found[0]
