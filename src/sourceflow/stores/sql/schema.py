"""The tables that SQL stores keep everything in.

Databases get them from the revisions in ``sourceflow.stores.sql.migrations``: who changes a table here
writes a revision there. What each App's own types need besides (a table for each view model) is made
when the stores open.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)

from sourceflow.stores.sql.identifiers import check_prefix, check_schema_name
from sourceflow.stores.sql.types import Document, Time, Word, counter

__all__ = ("PREFIX", "Schema", "build_schema")

PREFIX: Final = "sourceflow_"
"""What the names of all tables begin with, unless told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The tables.

    Attributes:
        metadata: All of them.
        prefix: What their names begin with.
        streams: The head of each stream, which is the entity's row.
        commands: The command log.
        events: The event log.
        claims: What subscribers have handled.
        views: Which generation of each view model's rows counts.
        outbox: What has not arrived yet.
        instances: Who of an App is alive, so that the outbox rows of the dead are taken over.
        dead_letters: What was given up.
        idempotency: Keys that are claimed or processed: ``SqlIdempotency``'s.
        schedule: Commands that wait until they are due.
    """

    metadata: MetaData
    prefix: str
    streams: Table
    commands: Table
    events: Table
    claims: Table
    views: Table
    outbox: Table
    instances: Table
    dead_letters: Table
    idempotency: Table
    schedule: Table


@lru_cache(maxsize=16)
def build_schema(*, prefix: str = PREFIX, schema: str | None = None) -> Schema:
    """Return the tables for a prefix and a schema name.

    They are the same objects each time, and nobody changes them: making them takes longer than
    opening a file.

    Args:
        prefix: What the names of all tables begin with.
        schema: The schema they stand in (PostgreSQL); None for the connection's own.

    Raises:
        StoreConfigurationError: Tables cannot be named like this.
    """
    check_prefix(prefix)
    if schema is not None:
        check_schema_name(schema)
    metadata = MetaData(schema=schema)
    return Schema(
        metadata=metadata,
        prefix=prefix,
        streams=_streams(metadata, prefix),
        commands=_commands(metadata, prefix),
        events=_events(metadata, prefix),
        claims=_claims(metadata, prefix),
        views=_views(metadata, prefix),
        outbox=_outbox(metadata, prefix),
        instances=_instances(metadata, prefix),
        dead_letters=_dead_letters(metadata, prefix),
        idempotency=_idempotency(metadata, prefix),
        schedule=_schedule(metadata, prefix),
    )


def _streams(metadata: MetaData, prefix: str) -> Table:
    return Table(
        f"{prefix}streams",
        metadata,
        Column("entity", Word, nullable=False),
        Column("key", Word, nullable=False),
        Column("number", BigInteger, nullable=False),
        Column("state", Document),
        PrimaryKeyConstraint("entity", "key", name=f"{prefix}streams_pkey"),
    )


def _commands(metadata: MetaData, prefix: str) -> Table:
    """Return the command log; ``time`` is when a command took effect, its own is in ``body``."""
    return Table(
        f"{prefix}commands",
        metadata,
        Column("entity", Word, nullable=False),
        Column("key", Word, nullable=False),
        Column("number", BigInteger, nullable=False),
        Column("source", Word, nullable=False),
        Column("message_id", Word, nullable=False),
        Column("type", Word, nullable=False),
        Column("time", Time, nullable=False),
        Column("body", Document, nullable=False),
        PrimaryKeyConstraint("entity", "key", "number", name=f"{prefix}commands_pkey"),
        UniqueConstraint("source", "message_id", name=f"{prefix}commands_message"),
    )


def _events(metadata: MetaData, prefix: str) -> Table:
    """Return the event log.

    PostgreSQL gives out positions before commits, so a late one could hide behind a reader. There
    the transaction's id stands beside the position and readers go by both: they stop before the
    oldest transaction that still runs
    (https://www.postgresql.org/docs/current/functions-info.html, transaction ids and snapshots).
    SQLite has one writer at a time; its ids are all 0.
    """
    return Table(
        f"{prefix}events",
        metadata,
        Column("position", counter, primary_key=True, autoincrement=True),
        Column("xid", BigInteger, nullable=False),
        Column("entity", Word),
        Column("stream_key", Word),
        Column("key", Word, nullable=False),
        Column("source", Word, nullable=False),
        Column("message_id", Word, nullable=False),
        Column("type", Word, nullable=False),
        Column("time", Time, nullable=False),
        Column("body", Document, nullable=False),
        UniqueConstraint("source", "message_id", name=f"{prefix}events_message"),
        Index(f"{prefix}events_key", "key", "type"),
        Index(f"{prefix}events_order", "xid", "position").ddl_if(dialect="postgresql"),
    )


def _claims(metadata: MetaData, prefix: str) -> Table:
    return Table(
        f"{prefix}claims",
        metadata,
        Column("source", Word, nullable=False),
        Column("message_id", Word, nullable=False),
        Column("subscriber", Word, nullable=False),
        Column("expires", Time, nullable=False),
        PrimaryKeyConstraint("source", "message_id", "subscriber", name=f"{prefix}claims_pkey"),
        Index(f"{prefix}claims_expires", "expires"),
    )


def _views(metadata: MetaData, prefix: str) -> Table:
    """Return what is known of each view model.

    Which generation of its rows counts, which is being built, by whom, and the position in the
    event log that it takes in.
    """
    return Table(
        f"{prefix}views",
        metadata,
        Column("name", Word, primary_key=True),
        Column("generation", BigInteger, nullable=False),
        Column("building", BigInteger),
        Column("builder", Word),
        Column("position", BigInteger),
    )


def _outbox(metadata: MetaData, prefix: str) -> Table:
    return Table(
        f"{prefix}outbox",
        metadata,
        Column("position", counter, primary_key=True, autoincrement=True),
        Column("app", Word, nullable=False),
        Column("entity", Word, nullable=False),
        Column("stream_key", Word, nullable=False),
        Column("kind", Word, nullable=False),
        Column("destination", Word, nullable=False),
        Column("source", Word, nullable=False),
        Column("message_id", Word, nullable=False),
        Column("type", Word, nullable=False),
        Column("body", Document, nullable=False),
        Column("created", Time, nullable=False),
        Column("owner", Word),
        Column("parked", Word),
        Index(f"{prefix}outbox_lane", "app", "entity", "stream_key", "kind", "destination"),
    )


def _instances(metadata: MetaData, prefix: str) -> Table:
    return Table(
        f"{prefix}instances",
        metadata,
        Column("id", Word, primary_key=True),
        Column("app", Word, nullable=False),
        Column("alive_until", Time, nullable=False),
    )


def _dead_letters(metadata: MetaData, prefix: str) -> Table:
    return Table(
        f"{prefix}dead_letters",
        metadata,
        Column("position", counter, primary_key=True, autoincrement=True),
        Column("id", Word, nullable=False),
        Column("source", Word, nullable=False),
        Column("message_id", Word, nullable=False),
        Column("type", Word, nullable=False),
        Column("reason", Word, nullable=False),
        Column("error", Word, nullable=False),
        Column("subscribers", Document, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("attributes", Document, nullable=False),
        Column("time", Time, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("replayed_at", Time),
        UniqueConstraint("id", name=f"{prefix}dead_letters_id"),
        UniqueConstraint("source", "message_id", name=f"{prefix}dead_letters_message"),
        Index(f"{prefix}dead_letters_time", "time"),
    )


def _idempotency(metadata: MetaData, prefix: str) -> Table:
    """Return the keys: with an owner until its lease ends, or processed and without one."""
    return Table(
        f"{prefix}idempotency",
        metadata,
        Column("key", Word, primary_key=True),
        Column("owner", Word),
        Column("expires", Time, nullable=False),
        Index(f"{prefix}idempotency_expires", "expires"),
    )


def _schedule(metadata: MetaData, prefix: str) -> Table:
    return Table(
        f"{prefix}schedule",
        metadata,
        Column("position", counter, primary_key=True, autoincrement=True),
        Column("app", Word, nullable=False),
        Column("message_id", Word, nullable=False),
        Column("due", Time, nullable=False),
        Column("type", Word, nullable=False),
        Column("key", Word, nullable=False),
        Column("source", Word, nullable=False),
        Column("entity", Word, nullable=False),
        Column("stream_key", Word, nullable=False),
        Column("kind", Word, nullable=False),
        Column("destination", Word, nullable=False),
        Column("body", Document, nullable=False),
        UniqueConstraint("app", "message_id", name=f"{prefix}schedule_message"),
        Index(f"{prefix}schedule_due", "app", "due", "position"),
    )
