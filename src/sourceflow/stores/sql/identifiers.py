"""Which prefixes and schema names tables may have."""

from __future__ import annotations

import re
from typing import Final

from sourceflow.errors import StoreConfigurationError

__all__ = ("MAX_IDENTIFIER", "MAX_PREFIX", "check_prefix", "check_schema_name")

MAX_IDENTIFIER: Final = 63
"""Bytes of a name that PostgreSQL tells apart; it cuts off the rest without an error
(https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS)."""

MAX_PREFIX: Final = 32
"""Characters of a prefix at most: the names of tables, indexes and constraints need what is left."""

_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*")
_RULE: Final = "lower-case letters, digits and underscores, and no digit first"


def check_prefix(prefix: str) -> None:
    """See whether the names of tables may begin like this. None at all is a prefix too.

    Names are the same on every database: SQLite does not tell upper from lower case, and keeps
    what begins with ``sqlite_`` to itself (https://www.sqlite.org/lang_createtable.html).

    Raises:
        StoreConfigurationError: They may not.
    """
    if len(prefix) > MAX_PREFIX:
        raise StoreConfigurationError(
            f"the prefix {prefix!r} has {len(prefix)} characters: {MAX_PREFIX} are the limit, for a "
            f"database tells {MAX_IDENTIFIER} bytes of a name apart"
        )
    if prefix and not _PLAIN.fullmatch(prefix):
        raise StoreConfigurationError(f"the prefix {prefix!r} is refused: it takes {_RULE}")
    if prefix.startswith("sqlite_"):
        raise StoreConfigurationError(f"the prefix {prefix!r} is refused: sqlite_ is SQLite's own")


def check_schema_name(name: str) -> None:
    """See whether a schema may have this name.

    Raises:
        StoreConfigurationError: It may not.
    """
    if len(name) > MAX_IDENTIFIER:
        raise StoreConfigurationError(
            f"the schema name {name!r} has {len(name)} characters: {MAX_IDENTIFIER} are the limit"
        )
    if not _PLAIN.fullmatch(name):
        raise StoreConfigurationError(f"the schema name {name!r} is refused: it takes {_RULE}")
    if name.startswith("pg_") or name == "information_schema":
        raise StoreConfigurationError(
            f"the schema name {name!r} is refused: it is one of PostgreSQL's own"
        )
