"""The command log in a database."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, insert, select

from sourceflow.bus.ports import LoggedCommand
from sourceflow.messages import key_text
from sourceflow.stores.sql.database import Statement, Statements, Step
from sourceflow.stores.sql.stored import reread
from sourceflow.stores.sql.vault import COMMAND

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from sourceflow.bus.changes import Stream
    from sourceflow.bus.ports import Seal, StoresContext
    from sourceflow.messages import Envelope
    from sourceflow.stores.sql.database import Database
    from sourceflow.stores.sql.schema import Schema
    from sourceflow.stores.sql.vault import Vault

__all__ = ("SqlCommandLog",)

PAGE: Final = 500
"""Commands that one query reads."""

_READ: Final = ("number", "type", "time", "source", "message_id", "body")


class SqlCommandLog:
    """See ``sourceflow.bus.ports.CommandLog``."""

    __slots__ = ("_clock", "_codec", "_database", "_sql", "_vault")

    def __init__(
        self, database: Database, schema: Schema, context: StoresContext, vault: Vault
    ) -> None:
        self._database = database
        self._codec = context.codec
        self._clock = context.clock
        self._vault = vault
        self._sql = _CommandStatements(schema, database.product)

    async def read(self, stream: Stream, *, after: int = 0) -> AsyncGenerator[LoggedCommand, None]:
        """Return a stream's commands in order."""
        entity, key = stream.entity, key_text(stream.key)
        while True:
            values = {"entity": entity, "key": key, "after": after}
            rows = await self._database.read(self._sql.page, values)
            bodies = await self._vault.opened(COMMAND, _READ, rows, entity=entity, key=key)
            for (number, name, handled_at, *_), body in zip(rows, bodies, strict=True):
                envelope = reread(self._codec, body, position=number, type_name=name)
                yield LoggedCommand(number, envelope, stream, handled_at)
                after = number
            if len(rows) < PAGE:
                return

    def step(self, stream: Stream, number: int, command: Envelope[Any], seal: Seal | None) -> Step:
        """Return what appends a command."""
        values: dict[str, Any] = {
            "entity": stream.entity,
            "key": key_text(stream.key),
            "number": number,
            "source": command.source,
            "message_id": command.id,
            "type": command.type_name,
            "time": self._clock.now(),
            "body": self._codec.encode(command),
        }
        if seal is not None:
            COMMAND.seal(seal, values)
        return Step(self._sql.append, values)


class _CommandStatements(Statements):
    @cached_property
    def page(self) -> Statement:
        table = self._schema.commands
        return self._compile(
            select(*(table.c[name] for name in _READ))
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
