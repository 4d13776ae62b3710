"""Brings the tables of a database to the revision that this version of the code needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlalchemy.schema import CreateSchema

from sourceflow.errors import StoreConfigurationError
from sourceflow.stores.sql.database.statement import DIALECTS
from sourceflow.stores.sql.schema import PREFIX

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sourceflow.stores.sql.schema import Schema
    from sourceflow.stores.sql.url import DatabaseUrl

__all__ = ("Migrations", "SchemaState")

HISTORY: Final = Path(__file__).parent
"""Its folder ``versions`` holds the revisions."""


@dataclass(frozen=True, slots=True)
class SchemaState:
    """Where the tables of a database stand.

    Attributes:
        current: Their revision; None where there are no tables.
        latest: The revision that this version of sourceflow needs.
        is_known: Whether this version knows ``current``; it does not know what newer ones made.
    """

    current: str | None
    latest: str
    is_known: bool

    @property
    def is_latest(self) -> bool:
        """Whether the tables are as this version needs them."""
        return self.current == self.latest


class Migrations:
    """The revisions, for the tables of one prefix and schema name in one database.

    Their history is a line. The number of the last one that has run stands in a table of its own,
    whose name has the prefix too: several sets of tables live side by side.

    Revisions get their operations as an argument, and no environment of alembic's is set up:
    ``alembic.op`` and ``alembic.context`` are one for the whole process, in which several Apps may
    start at the same time.

    Args:
        url: The database.
        schema: The tables.

    Raises:
        StoreConfigurationError: They have a schema name, and the database knows none.
    """

    def __init__(self, url: DatabaseUrl, schema: Schema) -> None:
        if schema.metadata.schema is not None and url.product == "sqlite":
            raise StoreConfigurationError(
                f"{url}: SQLite has no schemas; tell tables apart by prefix= or use another file"
            )
        self._url = url
        self._prefix = schema.prefix
        self._schema_name = schema.metadata.schema
        self._tables = frozenset(each.name for each in schema.metadata.sorted_tables)
        self._version_table = f"{schema.prefix}version"

    @cached_property
    def _scripts(self) -> ScriptDirectory:
        return ScriptDirectory(HISTORY)

    @cached_property
    def _revisions(self) -> tuple[str, ...]:
        """All that this version knows, oldest first."""
        return tuple(each.revision for each in self._scripts.walk_revisions())[::-1]

    def state(self, connection: Connection) -> SchemaState:
        """Look where the tables stand.

        Raises:
            StoreConfigurationError: The table of the revision holds more than one.
        """
        heads = MigrationContext.configure(connection, opts=self._options()).get_current_heads()
        if len(heads) > 1:
            raise StoreConfigurationError(
                f"{self._place} holds several revisions in {self._version_table} "
                f"({', '.join(sorted(heads))}): it must be one"
            )
        current = heads[0] if heads else None
        is_known = current is None or current in self._revisions
        return SchemaState(current, self._revisions[-1], is_known)

    def check(self, connection: Connection) -> None:
        """See whether the tables are as this version needs them; change nothing.

        Raises:
            StoreConfigurationError: They are missing, older or newer.
        """
        state = self._known(connection)
        if state.is_latest:
            return
        if state.current is not None:
            what = f"is at revision {state.current}, and this version needs {state.latest}"
        elif self._has_schema(connection):
            what = f"has no tables of sourceflow yet (there is no {self._version_table})"
        else:
            what = "is not there"
        raise StoreConfigurationError(
            f"{self._place} {what}: run `{self._command}`, or let the stores do it by "
            "create_schema=True"
        )

    def upgrade(self, connection: Connection) -> tuple[str, ...]:
        """Run what has not run yet, within the transaction of the connection.

        Where nothing is to be done, nothing is written and no right to write is needed.

        Returns:
            The revisions that have run, oldest first.

        Raises:
            StoreConfigurationError: The tables are newer than this version, or there are tables
                of these names that no revision has made.
        """
        state = self._known(connection)
        if state.is_latest:
            return ()
        if state.current is None:
            self._begin(connection)
        context = MigrationContext.configure(connection, opts=self._options(fn=self._steps))
        self._run(context)
        done = 0 if state.current is None else self._revisions.index(state.current) + 1
        return self._revisions[done:]

    def sql(self) -> str:
        """Return what makes the tables in an empty database, as SQL to be run by hand."""
        buffer = StringIO()
        context = MigrationContext.configure(
            dialect=DIALECTS[self._url.product],
            opts=self._options(
                fn=self._steps, as_sql=True, output_buffer=buffer, transactional_ddl=True
            ),
        )
        with context.begin_transaction():
            if self._schema_name is not None:
                context.execute(CreateSchema(self._schema_name, if_not_exists=True))
            self._run(context)
        return buffer.getvalue()

    def _options(self, **more: Any) -> dict[str, Any]:
        return {
            "version_table": self._version_table,
            "version_table_schema": self._schema_name,
            **more,
        }

    def _run(self, context: MigrationContext) -> None:
        context.run_migrations(
            op=Operations(context), prefix=self._prefix, schema=self._schema_name
        )

    def _steps(self, heads: tuple[str, ...], _context: MigrationContext) -> list[Any]:
        """Return what alembic has to run, oldest first."""
        newer = self._scripts.iterate_revisions("head", heads or "base")
        steps = [
            MigrationStep.upgrade_from_script(self._scripts.revision_map, each) for each in newer
        ]
        return steps[::-1]

    def _known(self, connection: Connection) -> SchemaState:
        """Return where the tables stand; raise where this version does not know it."""
        state = self.state(connection)
        if not state.is_known:
            raise StoreConfigurationError(
                f"{self._place} is at revision {state.current}, which this version of sourceflow "
                f"does not know (its last is {state.latest}): a newer version has upgraded the "
                "tables. Install that version, or use another database, schema or prefix"
            )
        return state

    def _begin(self, connection: Connection) -> None:
        """Make the schema where it is missing, and see that nothing is in the way."""
        if self._url.product == "postgresql":
            self._check_encoding(connection)
        # Not IF NOT EXISTS, which asks for the right to create even where there is one.
        if not self._has_schema(connection):
            connection.execute(CreateSchema(str(self._schema_name)))
        found = self._tables.intersection(inspect(connection).get_table_names(self._schema_name))
        if found:
            raise StoreConfigurationError(
                f"{self._place} has {', '.join(sorted(found))}, and no {self._version_table} says "
                "which version made it: choose another prefix or schema, or take the tables away"
            )

    def _check_encoding(self, connection: Connection) -> None:
        """See that the database takes every character that a message may hold."""
        encoding = connection.execute(text("SHOW server_encoding")).scalar()
        if encoding != "UTF8":
            raise StoreConfigurationError(
                f"{self._url} keeps texts in {encoding}, which cannot hold every character: make "
                "the database with ENCODING 'UTF8'"
            )

    def _has_schema(self, connection: Connection) -> bool:
        name = self._schema_name
        return name is None or inspect(connection).has_schema(name)

    @property
    def _place(self) -> str:
        if self._schema_name is None:
            return str(self._url)
        return f"the schema {self._schema_name} of {self._url}"

    @property
    def _command(self) -> str:
        prefix = "" if self._prefix == PREFIX else f" --prefix '{self._prefix}'"
        schema = f" --schema {self._schema_name}" if self._schema_name else ""
        return f"sourceflow db upgrade --url '{self._url}'{prefix}{schema}"
