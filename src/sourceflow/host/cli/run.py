"""``sourceflow run``: an App as a worker."""

from __future__ import annotations

import asyncio
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from sourceflow.clock import SystemClock
from sourceflow.host.cli.exits import exits
from sourceflow.host.cli.supervisor import Supervisor
from sourceflow.host.cli.target import Target, load_app
from sourceflow.host.cli.worker import log_to_stderr, run_in_loop

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("run",)


class LogLevel(StrEnum):
    """How much is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def run(
    target: Target,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="So many processes, each started again when it dies; this process alone where "
            "not given.",
            show_default=False,
        ),
    ] = None,
    log_level: Annotated[
        LogLevel,
        typer.Option(help="What is logged to standard error, unless the App's module says so."),
    ] = LogLevel.INFO,
) -> None:
    """Listen and handle until SIGTERM or Ctrl-C, then drain.

    A second signal does not wait for handlers: their messages are handed back.
    """
    with exits():
        app = load_app(target, may_print=True)
        log_to_stderr(log_level)
        if workers is None:
            run_in_loop(app.run())
            return
        app.check()  # what is wrong with it is said once, not by each worker

        def command(fd: int) -> Sequence[str]:
            module = "sourceflow.host.cli.worker"
            return (sys.executable, "-m", module, target, str(fd), log_level)

        code = asyncio.run(Supervisor(command, workers, clock=SystemClock()).run())
        if code:
            raise typer.Exit(code)
