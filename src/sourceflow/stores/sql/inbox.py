"""Claims in a database."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, bindparam, or_, select, union_all

from sourceflow.bus.changes import Claim
from sourceflow.stores.sql.database import Statement, Statements, Step, numbered, row_parameters

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sourceflow.clock import Clock
    from sourceflow.stores.sql.database import Database
    from sourceflow.stores.sql.schema import Schema

__all__ = ("SqlInbox",)

CLAIMS_LIVE: Final = timedelta(days=15)
"""How long claims are kept: SQS keeps a message for 14 days at most (SetQueueAttributes,
MessageRetentionPeriod), so no copy can come later. Commands in the log are known for ever."""

CHUNK: Final = 100
"""Claims that one query looks for."""

_COLUMNS: Final = ("source", "message_id", "subscriber")


class SqlInbox:
    """See ``sourceflow.bus.ports.Inbox``."""

    __slots__ = ("_clock", "_database", "_sql")

    def __init__(self, database: Database, schema: Schema, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._sql = _ClaimStatements(schema, database.product)

    async def claimed(self, claims: Sequence[Claim]) -> Collection[Claim]:
        """Return those of the claims that are taken."""
        taken: set[Claim] = set()
        for start in range(0, len(claims), CHUNK):
            chunk = [claim._asdict() for claim in claims[start : start + CHUNK]]
            statement = self._sql.taken(len(chunk))
            rows = await self._database.read(statement, numbered(chunk))
            taken |= {Claim(*row) for row in rows}
        return taken

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
        rows = [
            {**row_parameters(table, _COLUMNS, index), "expires": bindparam("expires")}
            for index in range(count)
        ]
        statement = self._insert(table).values(rows)
        return (statement if anew else statement.on_conflict_do_nothing()).inline()
