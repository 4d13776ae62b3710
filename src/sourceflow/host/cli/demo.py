"""``sourceflow demo``: real orders go in, a summary comes out."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path  # noqa: TC003 - typer reads the hints
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from sourceflow.errors import SourceflowError, StoreConfigurationError
from sourceflow.host.cli.codes import INTERRUPTED
from sourceflow.host.cli.exits import fail, refuse
from sourceflow.host.cli.output import write
from sourceflow.host.cli.progress import progress_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sourceflow.demo.order_file import OrderRecord
    from sourceflow.demo.program import Summary

__all__ = ("demo",)


def demo(
    orders: Annotated[
        Path | None,
        typer.Option(help="JSON lines, an order a line; a small sample where not given."),
    ] = None,
    endpoint_url: Annotated[
        str | None,
        typer.Option(help="Where AWS is, such as LocalStack; LocalAws starts where not given."),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where state is kept: memory, sqlite:///orders.db, postgresql://user@host/orders; "
            "an SQLite file that is removed at the end where not given.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as one JSON object, last.")
    ] = False,
) -> None:
    """Send orders through a small service; print what came out.

    They go through SQS FIFO queues, sagas, an SNS topic and views.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        summary, complete = _run(_read(orders), endpoint_url, store)
    except KeyboardInterrupt:
        typer.echo("interrupted: the demo has stopped before everything came out", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        write(msgspec.json.encode(summary).decode() + "\n")
    else:
        _print(summary)
    if not complete:
        fail("something came out wrong: a message was lost, handled twice or given up")


def _read(path: Path | None) -> Sequence[OrderRecord]:
    from sourceflow.demo.order_file import BadOrderError, read_orders, sample_orders

    if path is None:
        return sample_orders()
    try:
        return read_orders(path)
    except BadOrderError as error:
        refuse(f"{path}: {error}")
    except OSError as error:
        refuse(f"{path} cannot be read: {error.strerror}")


def _run(
    orders: Sequence[OrderRecord], endpoint_url: str | None, store: str | None
) -> tuple[Summary, bool]:
    from sourceflow.demo.program import OrdersExistError, run_demo
    from sourceflow.demo.store import stores_at

    try:
        with progress_of("commands") as progress, stores_at(store) as stores:
            demo = run_demo(orders, endpoint_url=endpoint_url, stores=stores, progress=progress)
            return asyncio.run(demo)
    except StoreConfigurationError as error:
        refuse(f"--store: {error}")
    except (SourceflowError, TimeoutError) as error:
        fail(str(error))
    except (OrdersExistError, ValueError) as error:  # of the store, of the endpoint's URL
        refuse(str(error))


def _print(summary: Summary) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(soft_wrap=True)
    console.print(
        f"[bold]{summary.orders}[/] orders with [bold]{summary.lines}[/] lines, "
        f"[bold]{summary.shipped}[/] shipped: total [bold]{summary.total}[/], "
        f"freight [bold]{summary.freight}[/]"
    )
    console.print(
        f"{summary.commands_handled} commands handled and {summary.events_projected} events "
        f"projected in {summary.seconds} s; {summary.duplicates} duplicates, "
        f"{summary.dead_letters} dead letters"
    )
    table = Table("country", "order total")
    table.columns[1].justify = "right"
    for country, total in sorted(summary.by_country.items()):
        table.add_row(country, total)
    console.print(table)
