"""The first tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import TEXT

if TYPE_CHECKING:
    from alembic.operations import Operations

revision: Final = "0001"
down_revision: Final = None

_word: Final = Text().with_variant(TEXT(collation="C"), "postgresql")
_document: Final = JSON().with_variant(Text(), "sqlite")
_time: Final = DateTime(timezone=True).with_variant(BigInteger(), "sqlite")
_counter: Final = BigInteger().with_variant(Integer(), "sqlite")


def upgrade(op: Operations, *, prefix: str, schema: str | None) -> None:
    """Make the tables."""
    _streams(op, prefix, schema)
    _commands(op, prefix, schema)
    _events(op, prefix, schema)
    _claims(op, prefix, schema)
    _views(op, prefix, schema)
    _outbox(op, prefix, schema)
    _instances(op, prefix, schema)
    _dead_letters(op, prefix, schema)
    _idempotency(op, prefix, schema)
    _schedule(op, prefix, schema)


def _streams(op: Operations, prefix: str, schema: str | None) -> None:
    op.create_table(
        f"{prefix}streams",
        Column("entity", _word, nullable=False),
        Column("key", _word, nullable=False),
        Column("number", BigInteger, nullable=False),
        Column("state", _document),
        PrimaryKeyConstraint("entity", "key", name=f"{prefix}streams_pkey"),
        schema=schema,
    )


def _commands(op: Operations, prefix: str, schema: str | None) -> None:
    op.create_table(
        f"{prefix}commands",
        Column("entity", _word, nullable=False),
        Column("key", _word, nullable=False),
        Column("number", BigInteger, nullable=False),
        Column("source", _word, nullable=False),
        Column("message_id", _word, nullable=False),
        Column("type", _word, nullable=False),
        Column("time", _time, nullable=False),
        Column("body", _document, nullable=False),
        PrimaryKeyConstraint("entity", "key", "number", name=f"{prefix}commands_pkey"),
        UniqueConstraint("source", "message_id", name=f"{prefix}commands_message"),
        schema=schema,
    )


def _events(op: Operations, prefix: str, schema: str | None) -> None:
    table = f"{prefix}events"
    op.create_table(
        table,
        Column("position", _counter, primary_key=True, autoincrement=True),
        Column("xid", BigInteger, nullable=False),
        Column("entity", _word),
        Column("stream_key", _word),
        Column("key", _word, nullable=False),
        Column("source", _word, nullable=False),
        Column("message_id", _word, nullable=False),
        Column("type", _word, nullable=False),
        Column("time", _time, nullable=False),
        Column("body", _document, nullable=False),
        UniqueConstraint("source", "message_id", name=f"{prefix}events_message"),
        schema=schema,
    )
    op.create_index(f"{prefix}events_key", table, ["key", "type"], schema=schema)
    if op.get_context().dialect.name == "postgresql":
        op.create_index(f"{prefix}events_order", table, ["xid", "position"], schema=schema)


def _claims(op: Operations, prefix: str, schema: str | None) -> None:
    table = f"{prefix}claims"
    op.create_table(
        table,
        Column("source", _word, nullable=False),
        Column("message_id", _word, nullable=False),
        Column("subscriber", _word, nullable=False),
        Column("expires", _time, nullable=False),
        PrimaryKeyConstraint("source", "message_id", "subscriber", name=f"{prefix}claims_pkey"),
        schema=schema,
    )
    op.create_index(f"{prefix}claims_expires", table, ["expires"], schema=schema)


def _views(op: Operations, prefix: str, schema: str | None) -> None:
    op.create_table(
        f"{prefix}views",
        Column("name", _word, primary_key=True),
        Column("generation", BigInteger, nullable=False),
        Column("building", BigInteger),
        Column("builder", _word),
        Column("position", BigInteger),
        schema=schema,
    )


def _outbox(op: Operations, prefix: str, schema: str | None) -> None:
    table = f"{prefix}outbox"
    op.create_table(
        table,
        Column("position", _counter, primary_key=True, autoincrement=True),
        Column("app", _word, nullable=False),
        Column("entity", _word, nullable=False),
        Column("stream_key", _word, nullable=False),
        Column("kind", _word, nullable=False),
        Column("destination", _word, nullable=False),
        Column("source", _word, nullable=False),
        Column("message_id", _word, nullable=False),
        Column("type", _word, nullable=False),
        Column("body", _document, nullable=False),
        Column("created", _time, nullable=False),
        Column("owner", _word),
        Column("parked", _word),
        schema=schema,
    )
    lane = ["app", "entity", "stream_key", "kind", "destination"]
    op.create_index(f"{prefix}outbox_lane", table, lane, schema=schema)


def _instances(op: Operations, prefix: str, schema: str | None) -> None:
    op.create_table(
        f"{prefix}instances",
        Column("id", _word, primary_key=True),
        Column("app", _word, nullable=False),
        Column("alive_until", _time, nullable=False),
        schema=schema,
    )


def _dead_letters(op: Operations, prefix: str, schema: str | None) -> None:
    table = f"{prefix}dead_letters"
    op.create_table(
        table,
        Column("position", _counter, primary_key=True, autoincrement=True),
        Column("id", _word, nullable=False),
        Column("source", _word, nullable=False),
        Column("message_id", _word, nullable=False),
        Column("type", _word, nullable=False),
        Column("reason", _word, nullable=False),
        Column("error", _word, nullable=False),
        Column("subscribers", _document, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("attributes", _document, nullable=False),
        Column("time", _time, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("replayed_at", _time),
        UniqueConstraint("id", name=f"{prefix}dead_letters_id"),
        UniqueConstraint("source", "message_id", name=f"{prefix}dead_letters_message"),
        schema=schema,
    )
    op.create_index(f"{prefix}dead_letters_time", table, ["time"], schema=schema)


def _idempotency(op: Operations, prefix: str, schema: str | None) -> None:
    table = f"{prefix}idempotency"
    op.create_table(
        table,
        Column("key", _word, primary_key=True),
        Column("owner", _word),
        Column("expires", _time, nullable=False),
        schema=schema,
    )
    op.create_index(f"{prefix}idempotency_expires", table, ["expires"], schema=schema)


def _schedule(op: Operations, prefix: str, schema: str | None) -> None:
    table = f"{prefix}schedule"
    op.create_table(
        table,
        Column("position", _counter, primary_key=True, autoincrement=True),
        Column("app", _word, nullable=False),
        Column("message_id", _word, nullable=False),
        Column("due", _time, nullable=False),
        Column("type", _word, nullable=False),
        Column("key", _word, nullable=False),
        Column("source", _word, nullable=False),
        Column("entity", _word, nullable=False),
        Column("stream_key", _word, nullable=False),
        Column("kind", _word, nullable=False),
        Column("destination", _word, nullable=False),
        Column("body", _document, nullable=False),
        UniqueConstraint("app", "message_id", name=f"{prefix}schedule_message"),
        schema=schema,
    )
    due = ["app", "due", "position"]
    op.create_index(f"{prefix}schedule_due", table, due, schema=schema)
