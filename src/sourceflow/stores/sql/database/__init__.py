"""One small face of a database, and what it takes to work with each product behind it."""

from sourceflow.stores.sql.database.limits import check_limits
from sourceflow.stores.sql.database.open import open_database
from sourceflow.stores.sql.database.port import (
    Database,
    Reader,
    Session,
    Step,
    Transaction,
    Unfulfilled,
)
from sourceflow.stores.sql.database.statement import Statement, Statements, numbered, row_parameters

__all__ = (
    "Database",
    "Reader",
    "Session",
    "Statement",
    "Statements",
    "Step",
    "Transaction",
    "Unfulfilled",
    "check_limits",
    "numbered",
    "open_database",
    "row_parameters",
)
