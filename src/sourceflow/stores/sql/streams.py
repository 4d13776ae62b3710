"""Heads of streams: the row of an entity is the head of its stream."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, exists, literal, select, true, update

from sourceflow.bus.changes import UNCHANGED
from sourceflow.bus.ports import Head, is_sealed_record
from sourceflow.domain.handlers import DELETE
from sourceflow.messages import key_text
from sourceflow.stores.sql.database import Statement, Statements, Step
from sourceflow.stores.sql.vault import ENTITY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sourceflow.bus.changes import Claim, Stream, StreamChange
    from sourceflow.bus.ports import Seal
    from sourceflow.messages import Codec
    from sourceflow.stores.sql.database import Database, Reader
    from sourceflow.stores.sql.schema import Schema
    from sourceflow.stores.sql.vault import Vault

__all__ = ("Streams",)


class Streams:
    """Reads and moves heads.

    Invariant: a head moves from the number that its handler saw, or not at all.
    """

    __slots__ = ("_codec", "_database", "_sql", "_vault")

    def __init__(self, database: Database, schema: Schema, codec: Codec, vault: Vault) -> None:
        self._database = database
        self._codec = codec
        self._vault = vault
        self._sql = _StreamStatements(schema, database.product)

    async def head(
        self,
        stream: Stream,
        entity_type: type[Any],
        claim: Claim | None,
        reader: Reader | None = None,
    ) -> Head:
        """Return a head and whether a command is in the log, in one read."""
        reader = reader or self._database
        values = {"entity": stream.entity, "key": key_text(stream.key)}
        if claim is None:
            rows = await reader.read(self._sql.load, values)
            number, state, claimed = (*rows[0], False) if rows else (0, None, False)
        else:
            values |= {"source": claim.source, "message_id": claim.message_id}
            ((number, state, claimed),) = await reader.read(self._sql.head, values)
        if state is None:
            return Head(number or 0, None, bool(claimed))
        if is_sealed_record(state):
            state = await self._vault.open(ENTITY, state, values)
        return Head(number, self._codec.decode_state(entity_type, state), bool(claimed))

    async def number(self, stream: Stream, reader: Reader | None = None) -> int:
        """Return the last number of a stream; 0 before the first."""
        values = {"entity": stream.entity, "key": key_text(stream.key)}
        rows = await (reader or self._database).read(self._sql.load, values)
        return rows[0][0] if rows else 0

    def steps(self, change: StreamChange, seal: Seal | None) -> Iterator[Step]:
        """Return what moves a head."""
        values: dict[str, Any] = {
            "entity": change.stream.entity,
            "key": key_text(change.stream.key),
            "expected": change.expected,
            "number": change.expected + (change.command is not None),
        }
        if change.expected and change.entity is UNCHANGED:
            yield Step(self._sql.move, values, rows=1)
            return
        values["state"] = self._state(change)
        if seal is not None:
            ENTITY.seal(seal, values)
        yield Step(self._sql.change if change.expected else self._sql.create, values, rows=1)

    def _state(self, change: StreamChange) -> bytes | None:
        entity = change.entity
        if entity is UNCHANGED or entity is DELETE or entity is None:
            return None
        return self._codec.encode_state(entity)


class _StreamStatements(Statements):
    @cached_property
    def load(self) -> Statement:
        table = self._schema.streams
        return self._compile(select(table.c.number, table.c.state).where(*self._is_it()))

    @cached_property
    def head(self) -> Statement:
        """Always yields one row."""
        table, commands = self._schema.streams, self._schema.commands
        claimed = exists().where(
            commands.c.source == bindparam("source"),
            commands.c.message_id == bindparam("message_id"),
        )
        one = select(literal(1).label("one")).subquery()
        return self._compile(
            select(table.c.number, table.c.state, claimed)
            .select_from(one)
            .outerjoin(table, true() & self._is_it()[0] & self._is_it()[1])
        )

    @cached_property
    def create(self) -> Statement:
        """Insert a head; one that a replay has left at 0 is as good as none."""
        table = self._schema.streams
        statement = self._insert(table).values(
            entity=bindparam("entity"),
            key=bindparam("key"),
            number=bindparam("number"),
            state=bindparam("state"),
        )
        return self._compile(
            statement.on_conflict_do_update(
                index_elements=[table.c.entity, table.c.key],
                set_={"number": statement.excluded.number, "state": statement.excluded.state},
                where=table.c.number == 0,
            ).inline()
        )

    @cached_property
    def move(self) -> Statement:
        return self._compile(self._update().values(number=bindparam("number")))

    @cached_property
    def change(self) -> Statement:
        return self._compile(
            self._update().values(number=bindparam("number"), state=bindparam("state"))
        )

    def _update(self) -> Any:
        table = self._schema.streams
        return update(table).where(*self._is_it(), table.c.number == bindparam("expected"))

    def _is_it(self) -> tuple[Any, Any]:
        table = self._schema.streams
        return table.c.entity == bindparam("entity"), table.c.key == bindparam("key")
