"""One transaction on a database: reads first, then one write."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

from sourceflow.bus.changes import Claim
from sourceflow.errors import ConflictError, DuplicateError
from sourceflow.stores.sql.connection import SqlConnection
from sourceflow.stores.sql.database import Unfulfilled
from sourceflow.stores.sql.reads import SqlReads

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sourceflow.bus.changes import Changes, OutboxRow, RowChange, Stream, StreamChange
    from sourceflow.bus.ports import Head, Row, Seal
    from sourceflow.messages import KeyType
    from sourceflow.stores.sql.database import Step
    from sourceflow.stores.sql.parts import Parts

__all__ = ("SqlUnitOfWork",)

RowT = TypeVar("RowT")


class SqlUnitOfWork:
    """See ``sourceflow.bus.ports.UnitOfWork``.

    Invariant: reads hold nothing, neither a lock nor a connection, so a slow handler is in nobody's
    way, unless it has asked for a connection. ``commit`` is one transaction whose every step says
    which rows it must find; where one does not, nothing is written.
    """

    __slots__ = ("_connection", "_parts", "_seal")

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._connection: SqlConnection | None = None
        self._seal: Seal | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Roll back what was begun and not committed."""
        if self._connection is not None:
            await self._connection.roll_back()

    async def connection(self) -> SqlConnection:
        """Begin the transaction, if it is not open; the key for its end is fetched before."""
        if self._parts.vault.encrypts:
            await self._have_key()
        if self._connection is None:
            self._connection = SqlConnection(self._parts.database, self._parts.own)
        await self._connection.begin()
        return self._connection

    def check(self) -> None:
        """Say whether all statements on the connection have succeeded."""
        if self._connection is not None:
            self._connection.check()

    async def save(self) -> int:
        """Return a mark to go back to."""
        return 0 if self._connection is None else await self._connection.save()

    async def restore(self, mark: int) -> None:
        """Undo what was done on the connection since a mark."""
        if self._connection is not None:
            await self._connection.restore(mark)

    @property
    def reads(self) -> SqlReads:
        """Where handlers read."""
        return SqlReads(self._parts, self._transaction)

    @property
    def _transaction(self) -> SqlConnection | None:
        """Where this unit of work reads, once it is open: else it would not see its own writes."""
        connection = self._connection
        return None if connection is None or not connection.is_open else connection

    async def head(self, stream: Stream, entity_type: type[Any], claim: Claim | None) -> Head:
        """Return the head of a stream and whether a claim is taken."""
        return await self._parts.streams.head(stream, entity_type, claim, self._transaction)

    async def number(self, stream: Stream) -> int:
        """Return the number of a head."""
        return await self._parts.streams.number(stream, self._transaction)

    async def claimed(self, claims: Sequence[Claim]) -> Collection[Claim]:
        """Return those of the claims that are taken."""
        return await self._parts.inbox.claimed(claims, self._transaction)

    async def row(self, row_type: type[RowT], key: KeyType) -> Row[RowT]:
        """Return a row of a view model."""
        return await self._parts.view_models.row(row_type, key, self._transaction)

    async def version(self, row_type: type[Any], key: KeyType) -> int:
        """Return the version of a row."""
        return await self._parts.view_models.version(row_type, key, self._transaction)

    async def commit(self, changes: Changes) -> Sequence[OutboxRow]:
        """Write everything, or nothing."""
        if self._parts.vault.encrypts:
            await self._have_key()
        outbox = self._parts.outbox
        rows = changes.outbox
        steps = [*self._steps(changes), *outbox.steps(rows, self._seal)]
        self.check()
        try:
            if not rows:
                await self._write(steps)
                return ()
            return await outbox.commit(rows, partial(self._last, steps))
        except Unfulfilled as error:
            await self._explain(changes)
            raise ConflictError(f"somebody else has changed the same rows: {error}") from error

    async def _have_key(self) -> None:
        """Fetch the key that encrypts: no transaction waits for it."""
        if self._seal is None:
            self._seal = await self._parts.vault.sealing()

    async def _write(self, steps: Sequence[Step]) -> list[list[Any]]:
        """Commit steps, with what was done on the connection."""
        transaction = self._transaction
        if transaction is not None:
            return await transaction.commit(steps)
        return await self._parts.database.commit(steps) if steps else []

    async def _last(self, steps: Sequence[Step]) -> Sequence[Any]:
        """Commit steps; return what the last of them yields."""
        return (await self._write(steps))[-1]

    def _steps(self, changes: Changes) -> list[Step]:
        parts, seal = self._parts, self._seal
        steps = parts.inbox.steps(_not_logged(changes))
        step = changes.stream
        if step is not None:
            steps += parts.streams.steps(step, seal)
            if step.command is not None:
                number = step.expected + 1
                steps.append(parts.commands.step(step.stream, number, step.command, seal))
        for change in changes.rows:
            row = parts.view_models.step(change, seal)
            if row is not None:
                steps.append(row)
        steps += parts.events.steps(changes.events, seal)
        return [*steps, *parts.schedule.steps(changes.schedule, seal)]

    async def _explain(self, changes: Changes) -> None:
        """Say who was quicker.

        Raises:
            DuplicateError: A claim, or the command's place in the log, is taken.
            ConflictError: The stream's head or a row has moved on.
        """
        claims = list(changes.claims)
        step = changes.stream
        if step is not None and step.command is not None:
            claims.append(Claim(step.command.source, step.command.id, ""))
        for claim in await self._parts.inbox.claimed(claims):
            raise DuplicateError(f"{claim} is taken")
        if step is not None:
            await self._explain_head(step)
        for change in changes.rows:
            await self._explain_row(change)

    async def _explain_head(self, step: StreamChange) -> None:
        number = await self._parts.streams.number(step.stream)
        if number != step.expected:
            raise ConflictError(
                f"{step.stream.entity} {step.stream.key!r} is at {number}, not {step.expected}"
            )

    async def _explain_row(self, change: RowChange) -> None:
        version = await self._parts.view_models.version(change.row_type, change.key)
        if version != change.expected:
            raise ConflictError(
                f"{change.row_type.__name__} {change.key!r} is in version {version}, "
                f"not {change.expected}"
            )


def _not_logged(changes: Changes) -> list[Claim]:
    """Return the claims that need a row: a command in the log is claimed by its place there."""
    step = changes.stream
    if step is None or step.command is None:
        return changes.claims
    logged = Claim(step.command.source, step.command.id, "")
    return [claim for claim in changes.claims if claim != logged]
