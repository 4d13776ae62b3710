"""The event log in a database."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, bindparam, literal_column, or_, select, update

from sourceflow.bus.ports import Logged
from sourceflow.messages import key_text
from sourceflow.stores.sql.database import Statement, Statements, Step, numbered, row_parameters
from sourceflow.stores.sql.stored import reread, stream_of
from sourceflow.stores.sql.vault import EVENT

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Sequence

    from sqlalchemy.sql import ColumnElement

    from sourceflow.bus.changes import Stream
    from sourceflow.bus.ports import Seal
    from sourceflow.messages import Codec, Envelope, KeyType
    from sourceflow.stores.sql.database import Database, Session
    from sourceflow.stores.sql.schema import Schema
    from sourceflow.stores.sql.vault import Record, Vault

__all__ = ("SqlEventLog",)

log = logging.getLogger(__name__)

PAGE: Final = 500
"""Events that one query reads."""

_COLUMNS: Final = (
    "entity", "stream_key", "key", "source", "message_id", "type", "time", "body",
)  # fmt: skip
_READ: Final = (
    "xid", "position", "type", "body", "entity", "stream_key", "key", "source", "message_id",
)  # fmt: skip


class SqlEventLog:
    """See ``sourceflow.bus.ports.EventLog``.

    Invariant: nothing ever appears behind a reader. SQLite has one writer at a time, so positions
    are in the order of commits. On PostgreSQL readers stop before the oldest transaction that
    still runs, and go by its id before the position.
    """

    __slots__ = ("_codec", "_database", "_sql", "_vault")

    def __init__(self, database: Database, schema: Schema, codec: Codec, vault: Vault) -> None:
        self._database = database
        self._codec = codec
        self._vault = vault
        self._sql = _EventStatements(schema, database.product)

    async def open(self) -> None:
        """Make entries readable that were restored from another cluster of PostgreSQL.

        Transaction ids are a cluster's own. Where one stands in the log that this cluster has not
        given out yet, all entries go back to the order of their positions.
        """
        if self._sql.foreign is None or not await self._database.read(self._sql.foreign, {}):
            return
        log.warning("the event log was restored from another cluster: its order is set anew")
        await self._database.write(self._sql.adopt, {})

    async def read(
        self, *, after: int = 0, types: Collection[str] | None = None, key: KeyType | None = None
    ) -> AsyncGenerator[Logged, None]:
        """Return events in the order of the log."""
        if types is not None and not types:
            return
        names = None if types is None else sorted(types)
        statement = self._sql.page(0 if names is None else len(names), by_key=key is not None)
        values: dict[str, Any] = {f"type_{index}": name for index, name in enumerate(names or ())}
        if key is not None:
            values["key"] = key_text(key)
        values |= {"after": after, "after_xid": await self._xid(after)}
        while True:
            rows = await self._database.read(statement, values)
            for row, body in zip(rows, await self._vault.opened(EVENT, _READ, rows), strict=True):
                yield self._logged(row, body)
            if len(rows) < PAGE:
                return
            values["after_xid"], values["after"] = rows[-1][:2]

    async def _xid(self, position: int) -> int:
        """Return the transaction that wrote an entry."""
        if position == 0:
            return 0
        rows = await self._database.read(self._sql.entry, {"position": position})
        return rows[0][0] if rows else 0

    async def position(self) -> int:
        """Return the last position."""
        rows = await self._database.read(self._sql.last, {})
        return rows[0][0] if rows else 0

    async def left(
        self, session: Session, *, after: int, types: Collection[str], limit: int
    ) -> list[Logged]:
        """Return what is committed behind a position, whether readers may see it yet or not.

        Raises:
            KeysMissing: Keys are needed that are not at hand.
        """
        names = sorted(types)
        values: dict[str, Any] = {f"type_{index}": name for index, name in enumerate(names)}
        found = await session.read(self._sql.entry, {"position": after})
        values |= {"after": after, "after_xid": found[0][0] if found else 0, "limit": limit}
        rows = await session.read(self._sql.left(len(names)), values)
        bodies = self._vault.opened_at_hand(EVENT, _READ, rows)
        return [self._logged(row, body) for row, body in zip(rows, bodies, strict=True)]

    def _logged(self, row: Sequence[Any], body: Record) -> Logged:
        _, position, name, _, entity, stream_key, *_ = row
        envelope = reread(self._codec, body, position=position, type_name=name)
        return Logged(position, envelope, stream_of(entity, stream_key, envelope))

    def steps(
        self, events: Sequence[tuple[Envelope[Any], Stream | None]], seal: Seal | None
    ) -> list[Step]:
        """Return what appends events, in order; one that is in the log stays as it is."""
        if not events:
            return []
        rows = [self._row(event, stream) for event, stream in events]
        if seal is not None:
            for row in rows:
                EVENT.seal(seal, row)
        return [Step(self._sql.append(len(rows)), numbered(rows))]

    def _row(self, event: Envelope[Any], stream: Stream | None) -> dict[str, Any]:
        return {
            "entity": None if stream is None else stream.entity,
            "stream_key": None if stream is None else key_text(stream.key),
            "key": key_text(event.key),
            "source": event.source,
            "message_id": event.id,
            "type": event.type_name,
            "time": event.time,
            "body": self._codec.encode(event),
        }


class _EventStatements(Statements):
    def page(self, types: int, *, by_key: bool) -> Statement:
        """Return the query of one page; ``types`` 0 stands for all of them."""
        return self._for(f"page {by_key}", types, lambda count: self._page(count, by_key=by_key))

    def _page(self, types: int, *, by_key: bool) -> Any:
        found = self._behind(types).where(*self._settled())
        if by_key:
            found = found.where(self._schema.events.c.key == bindparam("key"))
        return found.limit(PAGE)

    def left(self, types: int) -> Statement:
        """Return the query of what is committed behind a position, of so many types."""
        return self._for("left", types, lambda count: self._behind(count).limit(bindparam("limit")))

    def _behind(self, types: int) -> Any:
        table = self._schema.events
        found = select(*(table.c[name] for name in _READ)).where(self._is_behind())
        if types:
            names: list[Any] = [bindparam(f"type_{index}") for index in range(types)]
            found = found.where(or_(*(table.c.type == name for name in names)))
        return found.order_by(*self._order())

    @cached_property
    def entry(self) -> Statement:
        table = self._schema.events
        return self._compile(select(table.c.xid).where(table.c.position == bindparam("position")))

    @cached_property
    def last(self) -> Statement:
        table = self._schema.events
        order = [each.desc() for each in self._order()]
        return self._compile(
            select(table.c.position).where(*self._settled()).order_by(*order).limit(1)
        )

    @cached_property
    def foreign(self) -> Statement | None:
        """Yield a row where an entry has a transaction id that is yet to come."""
        if self._product == "sqlite":
            return None
        next_one: ColumnElement[Any] = literal_column(
            "pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
        )
        table = self._schema.events
        return self._compile(select(table.c.position).where(table.c.xid >= next_one).limit(1))

    @cached_property
    def adopt(self) -> Statement:
        """Let entries be older than all transactions."""
        table = self._schema.events
        return self._compile(update(table).where(table.c.xid != 0).values(xid=0))

    def append(self, count: int) -> Statement:
        """Return the statement that appends so many events, in order."""
        return self._for("append", count, self._append)

    def _append(self, count: int) -> Any:
        table = self._schema.events
        rows = [
            {**row_parameters(table, _COLUMNS, index), "xid": self._own_xid()}
            for index in range(count)
        ]
        return self._insert(table).values(rows).on_conflict_do_nothing().inline()

    def _own_xid(self) -> ColumnElement[Any]:
        if self._product == "sqlite":
            return literal_column("0")
        return literal_column("pg_current_xact_id()::text::bigint")

    def _settled(self) -> list[ColumnElement[Any]]:
        """Return what keeps readers before the oldest transaction that still runs."""
        if self._product == "sqlite":
            return []
        oldest: ColumnElement[Any] = literal_column(
            "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
        )
        return [self._schema.events.c.xid < oldest]

    def _is_behind(self) -> ColumnElement[Any]:
        table = self._schema.events
        behind = table.c.position > bindparam("after")
        if self._product == "sqlite":
            return behind
        later = table.c.xid > bindparam("after_xid")
        return or_(later, and_(table.c.xid == bindparam("after_xid"), behind))

    def _order(self) -> list[ColumnElement[Any]]:
        table = self._schema.events
        return [table.c.position] if self._product == "sqlite" else [table.c.xid, table.c.position]
