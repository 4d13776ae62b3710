"""Stores in SQLite or PostgreSQL."""

from sourceflow.errors import MissingExtraError

try:
    from sourceflow.stores.sql.idempotency import SqlIdempotency
    from sourceflow.stores.sql.stores import SqlStores
except ModuleNotFoundError as error:
    if error.name not in {"alembic", "sqlalchemy"}:
        raise
    raise MissingExtraError("sql", error.name) from error

__all__ = ("SqlIdempotency", "SqlStores")
