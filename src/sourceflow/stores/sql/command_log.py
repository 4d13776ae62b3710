"""The command log in a database."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, insert, select

from sourceflow.bus.ports import LoggedCommand
from sourceflow.messages import key_text
from sourceflow.stores.sql.database import Statement, Statements, Step
from sourceflow.stores.sql.stored import reread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from sourceflow.bus.changes import Stream
    from sourceflow.clock import Clock
    from sourceflow.messages import Codec, Envelope
    from sourceflow.stores.sql.database import Database
    from sourceflow.stores.sql.schema import Schema

__all__ = ("SqlCommandLog",)

PAGE: Final = 500
"""Commands that one query reads."""


class SqlCommandLog:
    """See ``sourceflow.bus.ports.CommandLog``."""

    __slots__ = ("_clock", "_codec", "_database", "_sql")

    def __init__(self, database: Database, schema: Schema, codec: Codec, clock: Clock) -> None:
        self._database = database
        self._codec = codec
        self._clock = clock
        self._sql = _CommandStatements(schema, database.product)

    async def read(self, stream: Stream, *, after: int = 0) -> AsyncGenerator[LoggedCommand, None]:
        """Return a stream's commands in order."""
        entity, key = stream.entity, key_text(stream.key)
        while True:
            values = {"entity": entity, "key": key, "after": after}
            rows = await self._database.read(self._sql.page, values)
            for number, name, handled_at, body in rows:
                envelope = reread(self._codec, body, position=number, type_name=name)
                yield LoggedCommand(number, envelope, stream, handled_at)
                after = number
            if len(rows) < PAGE:
                return

    def step(self, stream: Stream, number: int, command: Envelope[Any]) -> Step:
        """Return what appends a command."""
        values = {
            "entity": stream.entity,
            "key": key_text(stream.key),
            "number": number,
            "source": command.source,
            "message_id": command.id,
            "type": command.type_name,
            "time": self._clock.now(),
            "body": self._codec.encode(command),
        }
        return Step(self._sql.append, values)


class _CommandStatements(Statements):
    @cached_property
    def page(self) -> Statement:
        table = self._schema.commands
        return self._compile(
            select(table.c.number, table.c.type, table.c.time, table.c.body)
            .where(
                table.c.entity == bindparam("entity"),
                table.c.key == bindparam("key"),
                table.c.number > bindparam("after"),
            )
            .order_by(table.c.number)
            .limit(PAGE)
        )

    @cached_property
    def append(self) -> Statement:
        table = self._schema.commands
        return self._compile(
            insert(table).values({each.name: bindparam(each.name) for each in table.c}).inline()
        )
