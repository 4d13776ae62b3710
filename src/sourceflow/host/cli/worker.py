"""The work of one process: an App that runs until it is told to stop.

``python -m sourceflow.host.cli.worker MODULE:APP FD LEVEL`` is what `sourceflow run --workers` starts;
it is no command for people. ``FD`` is one end of a socket: the worker writes a byte to it when it
listens, and stops when the other end is closed, since nobody would tell it to otherwise.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import typer

from sourceflow.host.cli.exits import exits
from sourceflow.host.cli.target import load_app
from sourceflow.host.signals import stop_signals

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from sourceflow.host.app import App

__all__ = ("log_to_stderr", "run_in_loop")

log = logging.getLogger(__name__)

CHATTY: Final = ("alembic", "botocore", "urllib3")
"""What tells of each step that it takes itself: in its hundreds of lines nobody finds a message's."""


def log_to_stderr(level: str) -> None:
    """Write what is logged to standard error, unless the App's module has set up logging.

    Of the libraries that sourceflow uses, only warnings are written.
    """
    if logging.root.handlers:
        return
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.basicConfig(
        level=level.upper(), format="%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"
    )


def run_in_loop(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine; in a loop of uvloop where the extra ``fast`` has brought it."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(work)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop


async def work(app: App, fd: int) -> None:
    """Run an App until a signal comes or the other end of ``fd`` is closed."""
    async with stop_signals() as stopped, _supervised(fd, stopped), app:
        with suppress(BrokenPipeError):  # then it is about to stop
            os.write(fd, b"+")
        log.info("%s is running", app.name)
        await stopped.wait()
        log.info("%s is stopping", app.name)


@asynccontextmanager
async def _supervised(fd: int, stopped: asyncio.Event) -> AsyncIterator[None]:
    """Set an event when whoever started this process has gone."""
    loop = asyncio.get_running_loop()

    def look() -> None:
        if not os.read(fd, 1):
            loop.remove_reader(fd)
            log.warning("the process that supervises this one has gone: stopping")
            stopped.set()

    loop.add_reader(fd, look)
    try:
        yield
    finally:
        loop.remove_reader(fd)


def main(target: str, fd: str, level: str) -> None:
    """Be a worker; end with the code that commands end with."""
    os.set_inheritable(int(fd), False)
    try:
        with exits():
            app = load_app(target, may_print=True)
            log_to_stderr(level)
            run_in_loop(work(app, int(fd)))
    except typer.Exit as end:
        sys.exit(end.exit_code)


if __name__ == "__main__":
    main(*sys.argv[1:])
