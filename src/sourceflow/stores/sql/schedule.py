"""Scheduled commands in a database."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from functools import cached_property, partial
from itertools import groupby, starmap
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import bindparam, delete, func, insert, null, select, tuple_

from sourceflow.bus.changes import OutboxRow
from sourceflow.bus.ports import Fired, ScheduledCommand
from sourceflow.errors import DependencyError, MessageError
from sourceflow.messages import key_text
from sourceflow.stores.sql.database import Statement, Statements, Step, numbered, row_parameters
from sourceflow.stores.sql.stored import stream_of
from sourceflow.stores.sql.vault import OUTGOING, KeysMissing, in_clear

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sourceflow.bus.changes import Stream
    from sourceflow.bus.ports import Seal, StoresContext
    from sourceflow.messages import Envelope
    from sourceflow.stores.sql.database import Database, Session
    from sourceflow.stores.sql.outbox import SqlOutbox
    from sourceflow.stores.sql.schema import Schema
    from sourceflow.stores.sql.vault import Record, Vault

__all__ = ("SqlSchedule",)

log = logging.getLogger(__name__)

_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Before anything was scheduled."""

_IDENTITY: Final = ("app", "message_id")

_MOVED: Final = (
    "app", "entity", "stream_key", "kind", "destination", "source", "message_id", "type", "body",
)  # fmt: skip
"""What a row of the schedule and a row of the outbox have in common."""

_TAKEN: Final = ("due", "position", *_MOVED)


class SqlSchedule:
    """See ``sourceflow.bus.ports.Schedule``.

    Invariant: a command leaves the schedule in the transaction that puts it into the outbox, or
    that takes it back, and whoever deletes its row first has it: nobody else sends it.
    """

    __slots__ = ("_app", "_clock", "_codec", "_database", "_outbox", "_sql", "_vault")

    def __init__(
        self,
        database: Database,
        schema: Schema,
        context: StoresContext,
        outbox: SqlOutbox,
        vault: Vault,
    ) -> None:
        self._vault = vault
        self._database = database
        self._codec = context.codec
        self._clock = context.clock
        self._app = context.app
        self._outbox = outbox
        self._sql = _ScheduleStatements(schema, database.product)

    def steps(self, schedule: Mapping[str, OutboxRow | None], seal: Seal | None) -> list[Step]:
        """Return what puts commands into the schedule, and takes others out."""
        steps = [
            Step(self._sql.cancel, {"app": self._app, "message_id": message_id}, rows=1)
            for message_id, row in schedule.items()
            if row is None
        ]
        # In one step: the order of several is not promised.
        waiting = [self._values(row) for row in schedule.values() if row is not None]
        if seal is not None:
            for each in waiting:
                OUTGOING.seal(seal, each)
        if waiting:
            steps.append(Step(self._sql.put(len(waiting)), numbered(waiting)))
        return steps

    def _values(self, row: OutboxRow) -> dict[str, Any]:
        envelope = row.envelope
        return {
            "app": self._app,
            "message_id": envelope.id,
            "due": envelope.time,
            "type": envelope.type_name,
            "key": envelope.subject,
            "source": envelope.source,
            "entity": row.stream.entity,
            "stream_key": key_text(row.stream.key),
            "kind": row.destination.kind,
            "destination": row.destination.name,
            "body": row.body or self._codec.encode(envelope),
        }

    async def first(self, *, after: datetime | None = None) -> datetime | None:
        """Return when the first command is due."""
        values = {"app": self._app, "after": after or _BEGINNING}
        ((due,),) = await self._database.read(self._sql.first, values)
        first: datetime | None = due
        return first

    async def fire(
        self, now: datetime, route: Callable[[Envelope[Any], Stream], OutboxRow], *, limit: int
    ) -> Fired:
        """Move commands that are due to the outbox."""
        seal = await self._vault.sealing()
        while True:
            try:
                return await self._fire(now, _Move(route, seal), limit=limit)
            except KeysMissing as missing:
                await self._vault.fetch(missing)

    async def _fire(self, now: datetime, move: _Move, *, limit: int) -> Fired:
        """Move commands in one transaction.

        Raises:
            KeysMissing: Keys are needed that are not at hand; nothing is moved.
        """
        rows: list[OutboxRow] = []  # filled while they are moved
        moved = 0

        async def write() -> Sequence[int | None]:
            nonlocal moved
            values = {"app": self._app, "now": now, "limit": limit}
            async with self._database.transaction() as session:
                found = sorted(await session.write(self._sql.take, values), key=_place)
                moved = len(found)
                bodies = self._vault.opened_at_hand(OUTGOING, _TAKEN, found)
                return await self._move(session, zip(found, bodies, strict=True), move, rows)

        leaving = await self._outbox.commit(rows, write)
        return Fired(moved, leaving)

    async def _move(
        self,
        session: Session,
        found: Iterable[tuple[Sequence[Any], Record]],
        move: _Move,
        rows: list[OutboxRow],
    ) -> Sequence[int | None]:
        """Put what was taken into the outbox, in order; collect the rows that can be read.

        Returns:
            The position of each of those rows that is this instance's.
        """
        positions: list[int | None] = []
        for kind, group in groupby(starmap(partial(self._row, move.route), found), key=type):
            if kind is OutboxRow:
                for chunk in _chunks(list(group)):
                    (given,) = await session.run(self._outbox.steps(chunk, move.seal))
                    rows += chunk
                    positions += given
            else:
                for values in group:
                    assert isinstance(values, dict)
                    await session.write(self._sql.forward, values)
        return positions

    def _row(
        self,
        route: Callable[[Envelope[Any], Stream], OutboxRow],
        found: Sequence[Any],
        body: Record,
    ) -> OutboxRow | dict[str, Any]:
        """Return the outbox row of a command; of one that cannot be read what stands in it."""
        values = dict(zip(_MOVED, found[2:], strict=True))
        try:
            envelope = self._codec.decode(in_clear(body), type_hint=values["type"])
        except (MessageError, DependencyError) as error:
            log.warning("the scheduled command %s cannot be read: %s", values["message_id"], error)
            return values | {"created": self._clock.now()}
        stream = stream_of(values["entity"], values["stream_key"], envelope)
        assert stream is not None  # a scheduled command has a stream
        return route(envelope, stream)

    async def cancel(self, message_id: str) -> bool:
        """Take a command back."""
        values = {"app": self._app, "message_id": message_id}
        return bool(await self._database.write(self._sql.take_back, values))

    async def waits(self, message_id: str) -> bool:
        """Return whether a command waits."""
        values = {"app": self._app, "message_id": message_id}
        return bool(await self._database.read(self._sql.waits, values))

    async def page(
        self, *, limit: int = 100, after: ScheduledCommand | None = None
    ) -> Sequence[ScheduledCommand]:
        """Return commands that wait."""
        place = (_BEGINNING, 0) if after is None else (after.due, after.position)
        values = {"app": self._app, "limit": limit, "due": place[0], "position": place[1]}
        return [ScheduledCommand(*row) for row in await self._database.read(self._sql.page, values)]


class _Move(NamedTuple):
    """How commands are moved: where each of them goes, and what encrypts it there."""

    route: Callable[[Envelope[Any], Stream], OutboxRow]
    seal: Seal | None


def _chunks(rows: list[Any]) -> Iterator[list[Any]]:
    """Part rows, in order, into chunks of few sizes: a statement is compiled for each size."""
    start = 0
    while start < len(rows):
        size = 1 << (len(rows) - start).bit_length() - 1
        yield rows[start : start + size]
        start += size


def _place(row: Sequence[Any]) -> tuple[datetime, int]:
    return row[0], row[1]


class _ScheduleStatements(Statements):
    def put(self, count: int) -> Statement:
        """Return the statement that inserts so many commands; one that waits already is moved."""
        return self._for("put", count, self._put)

    def _put(self, count: int) -> Any:
        table = self._schema.schedule
        names = [each.name for each in table.c if each.name != "position"]
        rows = [row_parameters(table, names, index) for index in range(count)]
        statement = self._insert(table).values(rows)
        identity = [table.c.app, table.c.message_id]
        changed = {name: statement.excluded[name] for name in names if name not in _IDENTITY}
        return statement.on_conflict_do_update(index_elements=identity, set_=changed).inline()

    @cached_property
    def cancel(self) -> Statement:
        """Take a command back as a step among others."""
        return self._compile(self._delete())

    @cached_property
    def take_back(self) -> Statement:
        """Take a command back, and yield a row if it still waited."""
        return self._compile(self._delete().returning(self._schema.schedule.c.position))

    def _delete(self) -> Any:
        return delete(self._schema.schedule).where(*self._is_it())

    @cached_property
    def waits(self) -> Statement:
        return self._compile(select(self._schema.schedule.c.position).where(*self._is_it()))

    def _is_it(self) -> list[Any]:
        table = self._schema.schedule
        return [table.c[name] == bindparam(name) for name in _IDENTITY]

    @cached_property
    def first(self) -> Statement:
        table = self._schema.schedule
        return self._compile(
            select(func.min(table.c.due)).where(
                table.c.app == bindparam("app"), table.c.due > bindparam("after")
            )
        )

    @cached_property
    def take(self) -> Statement:
        """Remove commands that are due, but for those that another instance is just moving."""
        table = self._schema.schedule
        due = (
            select(table.c.position)
            .where(table.c.app == bindparam("app"), table.c.due <= bindparam("now"))
            .order_by(table.c.due, table.c.position)
            .limit(bindparam("limit"))
        )
        if self._product == "postgresql":
            due = due.with_for_update(skip_locked=True)
        # As a common table expression it is evaluated once: a subquery with LIMIT may run again
        # for each row, and lock other rows each time.
        chosen = select(due.cte("due").c.position)
        columns = (table.c[name] for name in _TAKEN)
        return self._compile(delete(table).where(table.c.position.in_(chosen)).returning(*columns))

    @cached_property
    def forward(self) -> Statement:
        """Put a command that cannot be read into the outbox: for an instance that can."""
        table = self._schema.outbox
        names = (*_MOVED, "created")
        return self._compile(
            insert(table)
            .values({name: bindparam(name) for name in names} | {"owner": null()})
            .inline()
        )

    @cached_property
    def page(self) -> Statement:
        table = self._schema.schedule
        place = tuple_(table.c.due, table.c.position)
        after = tuple_(
            bindparam("due", type_=table.c.due.type),
            bindparam("position", type_=table.c.position.type),
        )
        return self._compile(
            select(table.c.message_id, table.c.type, table.c.key, table.c.due, table.c.position)
            .where(table.c.app == bindparam("app"), place > after)
            .order_by(table.c.due, table.c.position)
            .limit(bindparam("limit"))
        )
