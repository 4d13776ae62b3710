"""The statements on the outbox."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    and_,
    bindparam,
    case,
    delete,
    false,
    func,
    null,
    or_,
    select,
    update,
)

from sourceflow.stores.sql.database import Statement, Statements, row_parameters

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.sql import ColumnElement

__all__ = ("BATCH", "READ", "OutboxStatements")

BATCH: Final = 500
"""Rows that are taken over at a time."""

READ: Final = (
    "position", "entity", "stream_key", "kind", "destination", "type", "body",
    "source", "message_id",
)  # fmt: skip
"""The columns of a row that is sent."""

_LANE: Final = ("app", "entity", "stream_key", "kind", "destination")
_WRITTEN: Final = (
    "app", "entity", "stream_key", "kind", "destination",
    "source", "message_id", "type", "body", "created",
)  # fmt: skip


class OutboxStatements(Statements):
    """What the outbox asks the database."""

    def append(self, count: int) -> Statement:
        """Return the statement that keeps so many rows, in order."""
        return self._for("append", count, self._append)

    def _append(self, count: int) -> Any:
        # Compared with itself: in a RETURNING of SQLite 3.40, IS NOT NULL may be wrong.
        table = self._schema.outbox
        rows = []
        for index in range(count):
            values = row_parameters(table, _WRITTEN, index)
            values["owner"] = case((self._is_behind(values), null()), else_=self._owner())
            rows.append(values)
        return (
            self._insert(table)
            .values(rows)
            .returning(
                table.c.position,
                case((table.c.owner == self._owner(), table.c.position)).label("value"),
            )
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
        """Yield the rows of an App in order."""
        table = self._schema.outbox
        return self._compile(
            select(*self._columns())
            .where(table.c.app == bindparam("app"), table.c.parked.is_(None))
            .order_by(table.c.position)
        )

    @cached_property
    def depth(self) -> Statement:
        """Yield how many rows wait, and since when the oldest does."""
        table = self._schema.outbox
        return self._compile(
            select(func.count(), func.min(table.c.created)).where(
                table.c.app == bindparam("app"), table.c.parked.is_(None)
            )
        )

    @cached_property
    def write_nothing(self) -> Statement:
        """Ask to write, and touch no row: it fails where a write would."""
        return self._compile(delete(self._schema.outbox).where(false()))

    @cached_property
    def forget(self) -> Statement:
        """Remove rows."""
        table = self._schema.outbox
        return self._compile(delete(table).where(self._is_in(table.c.position, "positions")))

    @cached_property
    def lock(self) -> Statement | None:
        """Let one instance of an App take over at a time (PostgreSQL; SQLite has one writer)."""
        if self._product == "sqlite":
            return None
        name = func.hashtextextended(bindparam("app"), 0)
        return self._compile(select(func.pg_advisory_xact_lock(name)))

    @cached_property
    def live(self) -> Statement:
        """Say that an instance is alive."""
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
        """Forget an instance: its rows are free."""
        table = self._schema.instances
        return self._compile(delete(table).where(table.c.id == bindparam("owner")))

    @cached_property
    def take(self) -> Statement:
        """Make free rows an instance's own, the oldest first; yield them."""
        table = self._schema.outbox
        row = table.alias("row")
        free = (
            select(row.c.position)
            .where(
                *self._is_free(row),
                ~self._is_unreadable(row),
                ~self._waits_for(row, self._is_foreign),
                ~self._waits_for(row, self._is_unreadable),
            )
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
            select(row.c.position)
            .where(*self._is_free(row), self._waits_for(row, self._is_foreign))
            .limit(1)
        )

    @cached_property
    def own(self) -> Statement:
        """Yield all rows that an instance owns."""
        table = self._schema.outbox
        return self._compile(
            select(*self._columns()).where(
                table.c.app == bindparam("app"),
                table.c.parked.is_(None),
                table.c.owner == bindparam("owner"),
            )
        )

    @cached_property
    def still_unreadable(self) -> Statement:
        """Yield those of some rows that still wait for somebody who can read them."""
        table = self._schema.outbox
        return self._compile(
            select(table.c.position).where(self._is_unreadable(table), *self._is_free(table))
        )

    def _is_free(self, row: Any) -> list[ColumnElement[bool]]:
        return [
            row.c.app == bindparam("app"),
            row.c.parked.is_(None),
            or_(row.c.owner.is_(None), row.c.owner.not_in(self._alive())),
        ]

    def _waits_for(self, row: Any, which: Callable[[Any], ColumnElement[bool]]) -> Any:
        """Whether an older row of the lane is of some kind."""
        older = self._schema.outbox.alias("older")
        return (
            select(1)
            .where(
                *(older.c[name] == row.c[name] for name in _LANE),
                older.c.position < row.c.position,
                older.c.parked.is_(None),
                which(older),
            )
            .exists()
        )

    def _is_foreign(self, row: Any) -> ColumnElement[bool]:
        """Whether another instance that is alive owns a row."""
        return and_(row.c.owner != bindparam("owner"), row.c.owner.in_(self._alive()))

    def _is_unreadable(self, row: Any) -> ColumnElement[bool]:
        """Whether a row is one of those that this instance could not read."""
        return self._is_in(row.c.position, "unreadable")

    def _alive(self) -> Any:
        table = self._schema.instances
        return select(table.c.id).where(table.c.alive_until >= bindparam("now"))

    @cached_property
    def free(self) -> Statement:
        """Give some rows up."""
        table = self._schema.outbox
        return self._compile(
            update(table).where(self._is_in(table.c.position, "positions")).values(owner=null())
        )

    @cached_property
    def park(self) -> Statement:
        """Set rows aside that have waited too long; yield their positions."""
        table = self._schema.outbox
        return self._compile(
            update(table)
            .where(
                self._is_in(table.c.position, "positions"),
                table.c.created < bindparam("before"),
                *self._is_free(table),
            )
            .values(parked=bindparam("reason"))
            .returning(table.c.position)
        )

    @cached_property
    def parked(self) -> Statement:
        """Yield what was parked, oldest first."""
        table = self._schema.outbox
        return self._compile(
            select(
                table.c.position,
                table.c.type,
                table.c.message_id,
                table.c.kind,
                table.c.destination,
                table.c.parked,
                table.c.created,
            )
            .where(
                table.c.app == bindparam("app"),
                table.c.parked.is_not(None),
                table.c.position > bindparam("after"),
            )
            .order_by(table.c.position)
            .limit(bindparam("limit"))
        )

    @cached_property
    def unpark(self) -> Statement:
        """Let parked rows wait for a sender again."""
        table = self._schema.outbox
        return self._compile(
            update(table)
            .where(
                table.c.app == bindparam("app"),
                table.c.parked.is_not(None),
                self._is_in(table.c.position, "positions"),
            )
            .values(parked=null(), owner=null(), created=bindparam("now"))
            .returning(table.c.position)
        )

    def _columns(self) -> list[Any]:
        return [self._schema.outbox.c[name] for name in READ]
