"""The history of the tables, a file for each revision.

Revisions are numbered: ``v0002_<what it adds>.py`` has ``revision = "0002"`` and the one before as
``down_revision``. ``upgrade`` gets alembic's operations as an argument, and the names of the tables
to work on. It says everything itself and takes nothing from ``sourceflow.stores.sql.schema``: that
module moves on, history does not. There is no way back: a revision that has been released is mended
by the next one.

A test compares what the revisions make with what the schema module says, on every database.
"""
