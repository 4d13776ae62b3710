"""Stores in SQLite and PostgreSQL."""

from sourceflow.errors import MissingExtraError

try:
    from sourceflow.stores.sql.idempotency import SqlIdempotency
except ModuleNotFoundError as error:
    if error.name != "sqlalchemy":
        raise
    raise MissingExtraError("sql", "sqlalchemy") from error

__all__ = ("SqlIdempotency",)
