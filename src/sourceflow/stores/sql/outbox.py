"""The outbox in a database."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from sqlalchemy import (
    and_,
    bindparam,
    case,
    delete,
    func,
    null,
    or_,
    select,
    update,
)

from sourceflow.bus.changes import Destination, OutboxRow, Stream
from sourceflow.errors import MessageError
from sourceflow.messages import key_text
from sourceflow.stores.sql.database import Statement, Statements, Step, numbered, row_parameters
from sourceflow.stores.sql.stored import stream_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.sql import ColumnElement

    from sourceflow.bus.ports import StoresContext
    from sourceflow.messages import Codec
    from sourceflow.stores.sql.database import Database
    from sourceflow.stores.sql.schema import Schema

__all__ = ("SqlOutbox",)

log = logging.getLogger(__name__)

ALIVE: Final = timedelta(seconds=30)
"""How long after its last sign of life an instance keeps its rows."""

BATCH: Final = 500
"""Rows that are taken over at a time."""

PATIENCE: Final = timedelta(hours=24)
"""How long a row of an unknown type waits for a newer instance, before it is parked."""

_LANE: Final = ("app", "entity", "stream_key", "kind", "destination")
_IDENTITY: Final = ("source", "message_id", "kind", "destination")
_WRITTEN: Final = (
    "app", "entity", "stream_key", "kind", "destination",
    "source", "message_id", "type", "body", "created",
)  # fmt: skip


class SqlOutbox:
    """See ``sourceflow.bus.ports.Outbox``.

    Each row has an owner, one instance of its App that sends it, or none. Invariant: of the rows
    of one lane (a source stream and a destination) that are not sent yet, at most one instance
    that is alive owns any, and no row is owned while an older one of its lane is free or
    another's. So rows of a lane leave in the order of their commits, whichever instance made them.
    """

    def __init__(self, database: Database, schema: Schema, context: StoresContext) -> None:
        self._database = database
        self._codec: Codec = context.codec
        self._clock = context.clock
        self._app = context.app
        self._owner = uuid4().hex
        self._sql = _OutboxStatements(schema, database.product)
        self._unreadable: dict[int, tuple[str, ...]] = {}
        self._behind = False

    @property
    def behind(self) -> bool:
        """Whether rows of this process wait until older ones of other instances are gone."""
        return self._behind

    def steps(self, rows: Sequence[OutboxRow]) -> list[Step]:
        """Return what keeps rows; the step yields each one's owner."""
        if not rows:
            return []
        values = numbered([self._values(row) for row in rows])
        return [Step(self._sql.append(len(rows)), values | {"owner": self._owner})]

    def leaving(
        self, rows: Sequence[OutboxRow], owners: Sequence[str | None]
    ) -> Sequence[OutboxRow]:
        """Return the rows that may leave at once: those that ``steps`` kept for this instance."""
        leaving = [row for row, owner in zip(rows, owners, strict=True) if owner]
        if len(leaving) < len(rows):
            self._behind = True
        return leaving

    def _values(self, row: OutboxRow) -> dict[str, Any]:
        envelope = row.envelope
        return {
            "app": self._app,
            "entity": row.stream.entity,
            "stream_key": key_text(row.stream.key),
            "kind": row.destination.kind,
            "destination": row.destination.name,
            "source": envelope.source,
            "message_id": envelope.id,
            "type": envelope.type_name,
            "body": row.body or self._codec.encode(envelope),
            "created": self._clock.now(),
        }

    async def unsent(self) -> Sequence[OutboxRow]:
        """Return the rows of this App that wait, in the order of their commits."""
        found = await self._database.read(self._sql.unsent, {"app": self._app})
        return [row for _, row in map(self._read, found) if row is not None]

    async def depth(self) -> int:
        """Return how many rows of this App wait."""
        ((count, _),) = await self._database.read(self._sql.depth, {"app": self._app})
        return int(count)

    async def oldest(self) -> datetime | None:
        """Return when the oldest row of this App that waits was written; None without any."""
        ((_, oldest),) = await self._database.read(self._sql.depth, {"app": self._app})
        written: datetime | None = oldest
        return written

    async def sent(self, rows: Sequence[OutboxRow]) -> None:
        """Forget rows that have arrived."""
        if not rows:
            return
        values = numbered(
            [
                {
                    "source": row.envelope.source,
                    "message_id": row.envelope.id,
                    "kind": row.destination.kind,
                    "destination": row.destination.name,
                }
                for row in rows
            ]
        )
        await self._database.write(self._sql.forget(len(rows)), values | {"app": self._app})

    async def take(self) -> Sequence[OutboxRow]:
        """Give a sign of life, and take over rows that nobody alive owns."""
        now = self._clock.now()
        values = {"owner": self._owner, "app": self._app, "now": now, "until": now + ALIVE}
        async with self._database.transaction() as session:
            if self._sql.lock is not None:
                await session.read(self._sql.lock, {"app": self._app})
            await session.write(self._sql.live, values)
            found = await session.write(self._sql.take, values)
            rows = self._readable(found)
            kept = {position for position, _ in rows}
            for each in found:
                if each[0] not in kept:
                    await session.write(self._sql.free, {"position": each[0]})
            waiting = await session.read(self._sql.behind, values)
        self._behind = bool(waiting)
        await self._park(now)
        return [row for _, row in rows]

    def _readable(self, found: Sequence[Sequence[Any]]) -> list[tuple[int, OutboxRow]]:
        """Return what this instance can send; a row that it can't read holds up its lane."""
        self._unreadable = {}
        rows: list[tuple[int, OutboxRow]] = []
        for each in sorted(found, key=lambda row: int(row[0])):
            lane = tuple(each[1:5])
            if lane in self._unreadable.values():
                continue
            position, row = self._read(each)
            if row is None:
                self._unreadable[position] = lane
            else:
                rows.append((position, row))
        return rows

    def _read(self, found: Sequence[Any]) -> tuple[int, OutboxRow | None]:
        position, entity, key, kind, name, type_name, body = found
        try:
            envelope = self._codec.decode(body, type_hint=type_name)
        except MessageError as error:
            log.warning("the outbox row %s cannot be read: %s", position, error)
            return position, None
        destination = Destination(kind, name)
        stream = stream_of(entity, key, envelope) or Stream(entity, key)
        row = OutboxRow(envelope, destination, stream, None if destination.is_local else body)
        return position, row

    async def _park(self, now: datetime) -> None:
        """Set aside what no newer instance has come for."""
        for position in self._unreadable:
            values = {"position": position, "before": now - PATIENCE, "reason": "UnknownType"}
            if await self._database.write(self._sql.park, values):
                log.error("the outbox row %s is parked: nobody could read it for a day", position)

    async def leave(self) -> None:
        """Give this instance's rows up for others to take."""
        await self._database.write(self._sql.leave, {"owner": self._owner})


class _OutboxStatements(Statements):
    def append(self, count: int) -> Statement:
        """Return the statement that keeps so many rows, in order."""
        return self._for("append", count, self._append)

    def _append(self, count: int) -> Any:
        # The owner itself comes back: in a RETURNING of SQLite 3.40, IS NOT NULL may be wrong.
        table = self._schema.outbox
        rows = []
        for index in range(count):
            values = row_parameters(table, _WRITTEN, index)
            values["owner"] = case((self._is_behind(values), null()), else_=self._owner())
            rows.append(values)
        return (
            self._insert(table)
            .values(rows)
            .returning(table.c.position, table.c.owner.label("value"))
        )

    def _owner(self) -> Any:
        return bindparam("owner", type_=self._schema.outbox.c.owner.type)

    def _is_behind(self, values: dict[str, Any]) -> ColumnElement[bool]:
        """Whether an older row of the lane is not this instance's."""
        older = self._schema.outbox.alias("older")
        return (
            select(1)
            .where(
                *(older.c[name] == values[name] for name in _LANE),
                older.c.parked.is_(None),
                or_(older.c.owner.is_(None), older.c.owner != self._owner()),
            )
            .exists()
        )

    @cached_property
    def unsent(self) -> Statement:
        table = self._schema.outbox
        return self._compile(
            select(*self._columns())
            .where(table.c.app == bindparam("app"), table.c.parked.is_(None))
            .order_by(table.c.position)
        )

    @cached_property
    def depth(self) -> Statement:
        table = self._schema.outbox
        return self._compile(
            select(func.count(), func.min(table.c.created)).where(
                table.c.app == bindparam("app"), table.c.parked.is_(None)
            )
        )

    def forget(self, count: int) -> Statement:
        """Return the statement that removes so many rows."""
        return self._for("forget", count, self._forget)

    def _forget(self, count: int) -> Any:
        table = self._schema.outbox
        return delete(table).where(
            table.c.app == bindparam("app"),
            or_(
                *(
                    and_(*(table.c[name] == bindparam(f"{name}_{index}") for name in _IDENTITY))
                    for index in range(count)
                )
            ),
        )

    @cached_property
    def lock(self) -> Statement | None:
        """Let one instance of an App take over at a time (PostgreSQL; SQLite has one writer)."""
        if self._product == "sqlite":
            return None
        name = func.hashtextextended(bindparam("app"), 0)
        return self._compile(select(func.pg_advisory_xact_lock(name)))

    @cached_property
    def live(self) -> Statement:
        table = self._schema.instances
        statement = self._insert(table).values(
            id=bindparam("owner"), app=bindparam("app"), alive_until=bindparam("until")
        )
        return self._compile(
            statement.on_conflict_do_update(
                index_elements=[table.c.id],
                set_={"alive_until": statement.excluded.alive_until},
            ).inline()
        )

    @cached_property
    def leave(self) -> Statement:
        table = self._schema.instances
        return self._compile(delete(table).where(table.c.id == bindparam("owner")))

    @cached_property
    def take(self) -> Statement:
        table = self._schema.outbox
        row = table.alias("row")
        free = (
            select(row.c.position)
            .where(*self._is_free(row), ~self._is_held_up(row))
            .order_by(row.c.position)
            .limit(BATCH)
        )
        if self._product == "postgresql":
            free = free.with_for_update(skip_locked=True, of=row)
        return self._compile(
            update(table)
            .where(table.c.position.in_(free))
            .values(owner=bindparam("owner"))
            .returning(*self._columns())
        )

    @cached_property
    def behind(self) -> Statement:
        """Yield a row where free rows wait for older ones of other instances."""
        row = self._schema.outbox.alias("row")
        return self._compile(
            select(row.c.position).where(*self._is_free(row), self._is_held_up(row)).limit(1)
        )

    def _is_free(self, row: Any) -> list[ColumnElement[bool]]:
        return [
            row.c.app == bindparam("app"),
            row.c.parked.is_(None),
            or_(row.c.owner.is_(None), row.c.owner.not_in(self._alive())),
        ]

    def _is_held_up(self, row: Any) -> ColumnElement[bool]:
        older = self._schema.outbox.alias("older")
        return (
            select(1)
            .where(
                *(older.c[name] == row.c[name] for name in _LANE),
                older.c.position < row.c.position,
                older.c.parked.is_(None),
                older.c.owner != bindparam("owner"),
                older.c.owner.in_(self._alive()),
            )
            .exists()
        )

    def _alive(self) -> Any:
        table = self._schema.instances
        return select(table.c.id).where(table.c.alive_until >= bindparam("now"))

    @cached_property
    def free(self) -> Statement:
        table = self._schema.outbox
        return self._compile(
            update(table).where(table.c.position == bindparam("position")).values(owner=null())
        )

    @cached_property
    def park(self) -> Statement:
        table = self._schema.outbox
        return self._compile(
            update(table)
            .where(table.c.position == bindparam("position"), table.c.created < bindparam("before"))
            .values(parked=bindparam("reason"))
            .returning(table.c.position)
        )

    def _columns(self) -> list[Any]:
        table = self._schema.outbox
        return [
            table.c.position,
            table.c.entity,
            table.c.stream_key,
            table.c.kind,
            table.c.destination,
            table.c.type,
            table.c.body,
        ]
