"""``sourceflow db``: the tables of SQL stores, for those who operate them."""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from sourceflow.errors import DependencyError, MissingExtraError, StoreConfigurationError
from sourceflow.host.cli.exits import INTERRUPTED, fail, refuse
from sourceflow.stores.sql import SqlStores
from sourceflow.stores.sql.schema import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sourceflow.stores.sql.migrations import SchemaState

__all__ = ("db",)

Url = Annotated[
    str,
    typer.Option(
        envvar="SOURCEFLOW_DATABASE_URL",
        help="Where the database is: sqlite:///orders.db, postgresql://user@host/orders.",
    ),
]
Prefix = Annotated[str, typer.Option(help="What the names of all tables begin with.")]
Schema = Annotated[str | None, typer.Option(help="The schema they stand in (PostgreSQL).")]

db = typer.Typer(help="Make the tables of SQL stores, and keep them up to date.")


@db.command()
def upgrade(url: Url, prefix: Prefix = PREFIX, schema: Schema = None) -> None:
    """Make the tables, or bring them to the revision that this version needs."""
    with _exits():
        done = asyncio.run(SqlStores(url, prefix=prefix, schema=schema).migrate())
    for revision in done:
        _say(f"revision {revision} has run", "green")
    if not done:
        _say("nothing to do: the tables are up to date", "green")


@db.command()
def current(url: Url, prefix: Prefix = PREFIX, schema: Schema = None) -> None:
    """Say which revision the tables are at; end with 1 where this version needs another one."""
    with _exits():
        state = asyncio.run(SqlStores(url, prefix=prefix, schema=schema).schema_state())
    if not state.is_latest:
        _say(_difference(state), "yellow")
        raise typer.Exit(1)
    _say(f"revision {state.current}, the latest", "green")


@db.command()
def sql(url: Url, prefix: Prefix = PREFIX, schema: Schema = None) -> None:
    """Print the SQL that makes the tables in an empty database, without touching one."""
    with _exits():
        sys.stdout.write(SqlStores(url, prefix=prefix, schema=schema).schema_sql())


def _difference(state: SchemaState) -> str:
    if state.current is None:
        return f"there are no tables; this version needs revision {state.latest}"
    if state.is_known:
        return f"revision {state.current}; this version needs {state.latest}"
    return f"revision {state.current}, which this version does not know; its last is {state.latest}"


@contextmanager
def _exits() -> Iterator[None]:
    try:
        yield
    except StoreConfigurationError as error:
        refuse(str(error))
    except (DependencyError, MissingExtraError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _say(text: str, style: str) -> None:
    Console(soft_wrap=True, highlight=False).print(text, style=style, markup=False)
