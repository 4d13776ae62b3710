"""Claims in a database."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, bindparam, or_, select, union_all

from sourceflow.bus.changes import Claim
from sourceflow.bus.message_claims import CLAIMS_LIVE
from sourceflow.stores.sql.database import Statement, Statements, Step, numbered, row_parameters
from sourceflow.stores.sql.expiry import Expiry
from sourceflow.stores.sql.types import Word

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy.sql import ColumnElement

    from sourceflow.clock import Clock
    from sourceflow.stores.sql.database import Database, Reader, Session
    from sourceflow.stores.sql.schema import Schema

__all__ = ("SqlInbox",)

CHUNK: Final = 100
"""Claims that one query looks for."""

_COLUMNS: Final = ("source", "message_id", "subscriber")


class SqlInbox:
    """See ``sourceflow.bus.ports.Inbox``. Commands in the log are known for ever, without a row here."""

    __slots__ = ("_clock", "_database", "_expiry", "_sql")

    def __init__(self, database: Database, schema: Schema, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._sql = _ClaimStatements(schema, database.product)
        self._expiry = Expiry(database, schema, schema.claims)

    async def claimed(
        self, claims: Sequence[Claim], reader: Reader | None = None
    ) -> Collection[Claim]:
        """Return those of the claims that are taken."""
        reader = reader or self._database
        taken: set[Claim] = set()
        for start in range(0, len(claims), CHUNK):
            chunk = [claim._asdict() for claim in claims[start : start + CHUNK]]
            statement = self._sql.taken(len(chunk))
            rows = await reader.read(statement, numbered(chunk))
            taken |= {Claim(*row) for row in rows}
        return taken

    async def take_logged(
        self, session: Session, type_name: str, subscriber: str, *, up_to: int
    ) -> None:
        """Take the claims of one subscriber on all events of a type in the log, up to a position.

        Events older than claims live cannot arrive any more.
        """
        now = self._clock.now()
        values = {
            "type": type_name,
            "subscriber": subscriber,
            "up_to": up_to,
            "since": now - CLAIMS_LIVE,
            "expires": now + CLAIMS_LIVE,
        }
        await session.write(self._sql.logged, values)

    def steps(self, claims: Sequence[Claim], *, anew: bool = True) -> list[Step]:
        """Return what takes claims.

        Args:
            claims: Which.
            anew: Whether one that is taken is a fault, or left as it is.
        """
        if not claims:
            return []
        expires = self._clock.now() + CLAIMS_LIVE
        steps: list[Step] = []
        for start in range(0, len(claims), CHUNK):
            chunk = [claim._asdict() for claim in claims[start : start + CHUNK]]
            take = self._sql.take(len(chunk), anew=anew)
            steps.append(Step(take, {**numbered(chunk), "expires": expires}))
        return steps

    async def clean(self) -> int:
        """Delete the claims that have expired; return how many."""
        return await self._expiry.delete(self._clock.now())


class _ClaimStatements(Statements):
    def taken(self, count: int) -> Statement:
        """Return the query for so many claims: subscribers' here, those of commands in the log."""
        return self._for("taken", count, self._taken)

    def _taken(self, count: int) -> Any:
        claims, commands = self._schema.claims, self._schema.commands
        parameters = [row_parameters(claims, _COLUMNS, index) for index in range(count)]
        here = select(claims.c.source, claims.c.message_id, claims.c.subscriber).where(
            or_(
                *(
                    and_(*(claims.c[name] == value for name, value in each.items()))
                    for each in parameters
                )
            )
        )
        logged = select(commands.c.source, commands.c.message_id, bindparam("nobody", "")).where(
            or_(
                *(
                    and_(
                        each["subscriber"] == "",
                        commands.c.source == each["source"],
                        commands.c.message_id == each["message_id"],
                    )
                    for each in parameters
                )
            )
        )
        return union_all(here, logged)

    def take(self, count: int, *, anew: bool) -> Statement:
        """Return the statement that takes so many claims."""
        return self._for(f"take {anew}", count, lambda rows: self._take(rows, anew=anew))

    def _take(self, count: int, *, anew: bool) -> Any:
        table = self._schema.claims
        expires = bindparam("expires", type_=table.c.expires.type)
        rows = [
            {**row_parameters(table, _COLUMNS, index), "expires": expires} for index in range(count)
        ]
        statement = self._insert(table).values(rows)
        return (statement if anew else statement.on_conflict_do_nothing()).inline()

    @cached_property
    def logged(self) -> Statement:
        """Take one subscriber's claims of the events of a type in the log, up to a position."""
        claims, events = self._schema.claims, self._schema.events
        found = select(
            events.c.source,
            events.c.message_id,
            bindparam("subscriber", type_=Word),
            bindparam("expires", type_=claims.c.expires.type),
        ).where(
            events.c.type == bindparam("type"),
            events.c.time > bindparam("since"),
            self._is_taken_in(),
        )
        statement = self._insert(claims).from_select([*_COLUMNS, "expires"], found)
        return self._compile(statement.on_conflict_do_nothing().inline())

    def _is_taken_in(self) -> ColumnElement[bool]:
        """Whether an event stands at or before a position, in the order of the log."""
        events = self._schema.events
        if self._product == "sqlite":
            return events.c.position <= bindparam("up_to")
        last = events.alias("last")
        xid = select(last.c.xid).where(last.c.position == bindparam("up_to")).scalar_subquery()
        return or_(
            events.c.xid < xid,
            and_(events.c.xid == xid, events.c.position <= bindparam("up_to")),
        )
