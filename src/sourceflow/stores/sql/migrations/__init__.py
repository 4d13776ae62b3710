"""How a database gets from one version of the tables to the next."""

from sourceflow.stores.sql.migrations.migrations import Migrations, SchemaState

__all__ = ("Migrations", "SchemaState")
