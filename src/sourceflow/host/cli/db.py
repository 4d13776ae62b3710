"""``sourceflow db``: the tables of SQL stores, for those who operate them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sourceflow.host.cli.exits import exits
from sourceflow.host.cli.output import say, write

if TYPE_CHECKING:
    from sourceflow.stores.sql import SqlStores
    from sourceflow.stores.sql.migrations import SchemaState

__all__ = ("db",)

PREFIX: Final = "sourceflow_"
"""That of ``SqlStores``, which is not imported to show a help text."""

Url = Annotated[
    str,
    typer.Option(
        envvar=["SOURCEFLOW_DATABASE_URL", "SOURCEFLOW_STORES_URL"],
        help="Where the database is: sqlite:///orders.db, postgresql://user@host/orders.",
    ),
]
Prefix = Annotated[str, typer.Option(help="What the names of all tables begin with.")]
Schema = Annotated[str | None, typer.Option(help="The schema they stand in (PostgreSQL).")]

db = typer.Typer(help="Make the tables of SQL stores, and keep them up to date.")


@db.command()
def upgrade(url: Url, prefix: Prefix = PREFIX, schema: Schema = None) -> None:
    """Make the tables, or bring them up to date."""
    with exits():
        done = asyncio.run(_stores(url, prefix, schema).migrate())
    for revision in done:
        say(f"revision {revision} has run", "green")
    if not done:
        say("nothing to do: the tables are up to date", "green")


@db.command()
def current(url: Url, prefix: Prefix = PREFIX, schema: Schema = None) -> None:
    """Say which revision the tables are at.

    It ends with 1 where this version needs another one.
    """
    with exits():
        state = asyncio.run(_stores(url, prefix, schema).schema_state())
    if not state.is_latest:
        say(_difference(state), "yellow")
        raise typer.Exit(1)
    say(f"revision {state.current}, the latest", "green")


@db.command()
def sql(url: Url, prefix: Prefix = PREFIX, schema: Schema = None) -> None:
    """Print the SQL that makes the tables in an empty database.

    None is touched.
    """
    with exits():
        write(_stores(url, prefix, schema).schema_sql())


def _stores(url: str, prefix: str, schema: str | None) -> SqlStores:
    from sourceflow.stores.sql import SqlStores

    return SqlStores(url, prefix=prefix, schema=schema)


def _difference(state: SchemaState) -> str:
    if state.current is None:
        return f"there are no tables; this version needs revision {state.latest}"
    if state.is_known:
        return f"revision {state.current}; this version needs {state.latest}"
    return f"revision {state.current}, which this version does not know; its last is {state.latest}"
