"""What somebody reads in a database who has nothing but the database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from databases import SqlDatabase

__all__ = ("files_with", "tables_with")

_TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
    "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = '{schema}'",
}


async def tables_with(database: SqlDatabase, secret: str) -> set[str]:
    """Return the tables that show a text in some row, in any column of it."""
    find = _TABLES[database.product].format(schema=database.schema)
    found = set()
    for (table,) in await database.run(find):
        for row in await database.run(f"SELECT * FROM {database.name(table)}"):
            if any(secret.encode() in _bytes_of(value) for value in row):
                found.add(table.removeprefix("sourceflow_"))
    return found


def _bytes_of(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def files_with(database: SqlDatabase, secret: str) -> list[str]:
    """Return the files of a SQLite database that a text stands in, the journal included."""
    path = Path(database.path)
    files = sorted(path.parent.glob(f"{path.name}*"))
    assert files
    return [each.name for each in files if secret.encode() in each.read_bytes()]
