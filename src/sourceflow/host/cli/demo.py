"""``sourceflow demo``: real orders go in, a summary comes out."""

import asyncio
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from sourceflow.demo.order_file import BadOrderError, OrderRecord, read_orders, sample_orders
from sourceflow.demo.program import OrdersExistError, Summary, run_demo
from sourceflow.demo.store import stores_at
from sourceflow.errors import SourceflowError, StoreConfigurationError
from sourceflow.host.cli.codes import INTERRUPTED
from sourceflow.host.cli.exits import fail, refuse

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
    """Send orders through SQS FIFO queues, sagas, an SNS topic and views; print what came out."""
    console = Console(stderr=True)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        summary, complete = _run(_read(orders), endpoint_url, store, console)
    except KeyboardInterrupt:
        console.print("interrupted: the demo has stopped before everything came out")
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        sys.stdout.write(msgspec.json.encode(summary).decode() + "\n")
    else:
        _print(summary)
    if not complete:
        fail("something came out wrong: a message was lost, handled twice or given up")


def _read(path: Path | None) -> Sequence[OrderRecord]:
    if path is None:
        return sample_orders()
    try:
        return read_orders(path)
    except BadOrderError as error:
        refuse(f"{path}: {error}")
    except OSError as error:
        refuse(f"{path} cannot be read: {error.strerror}")


def _run(
    orders: Sequence[OrderRecord], endpoint_url: str | None, store: str | None, console: Console
) -> tuple[Summary, bool]:
    try:
        with _progress(console) as progress, stores_at(store) as stores:
            demo = run_demo(orders, endpoint_url=endpoint_url, stores=stores, progress=progress)
            return asyncio.run(demo)
    except StoreConfigurationError as error:
        refuse(f"--store: {error}")
    except (SourceflowError, TimeoutError) as error:
        fail(str(error))
    except (OrdersExistError, ValueError) as error:  # of the store, of the endpoint's URL
        refuse(str(error))


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal, and nothing elsewhere."""
    if not console.is_terminal:
        yield lambda _done, _all: None
        return
    columns = (TextColumn("commands"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("commands", total=None)
        yield lambda done, all_: bar.update(task, completed=done, total=all_)


def _print(summary: Summary) -> None:
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
