"""Dead letters in a database."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Self
from uuid import uuid4

import msgspec
from sqlalchemy import bindparam, delete, func, select, update

from sourceflow.bus.dead_letter import DeadLetter
from sourceflow.errors import DecryptionFailedError
from sourceflow.stores.sql.database import Statement, Statements
from sourceflow.stores.sql.vault import LETTER, in_clear

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.sql import ColumnElement

    from sourceflow.bus.dead_letter import DeadLetterFilter
    from sourceflow.stores.sql.database import Database
    from sourceflow.stores.sql.schema import Schema
    from sourceflow.stores.sql.vault import Record, Vault

__all__ = ("SqlDeadLetters",)

_READ: Final = (
    "id", "source", "message_id", "type", "reason", "error", "subscribers", "body", "attributes",
    "time", "attempts", "replayed_at",
)  # fmt: skip


class SqlDeadLetters:
    """See ``sourceflow.bus.ports.DeadLetters``.

    A record that can never be decrypted is shown as it stands: a letter may hold anything, and one that
    nobody can read must not hide the others.
    """

    __slots__ = ("_database", "_sql", "_vault")

    def __init__(self, database: Database, schema: Schema, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._sql = _LetterStatements(schema, database.product)

    async def save(self, letter: DeadLetter) -> DeadLetter:
        """Keep a dead letter, once for each source and message id."""
        values: dict[str, Any] = {
            "id": uuid4().hex,
            "source": letter.source,
            "message_id": letter.message_id,
            "type": letter.type_name,
            "reason": letter.reason,
            "error": letter.error,
            "subscribers": msgspec.json.encode(letter.subscribers),
            "body": letter.body,
            "attributes": msgspec.json.encode(dict(letter.attributes)),
            "time": letter.time,
            "attempts": letter.attempts,
            "replayed_at": letter.replayed_at,
        }
        seal = await self._vault.sealing()
        if seal is not None:
            values["body"] = _SECRET.encode(_Secret.of(letter))
            LETTER.seal(seal, values)
            values |= {"error": "", "attributes": b"{}"}
        ((letter_id,),) = await self._database.write(self._sql.save, values)
        return replace(letter, id=letter_id)

    async def get(self, letter_id: str) -> DeadLetter | None:
        """Return one record, or None."""
        rows = await self._database.read(self._sql.get, {"id": letter_id})
        letters = await self._letters(rows)
        return letters[0] if letters else None

    async def query(
        self, where: DeadLetterFilter, *, limit: int = 100, skip: int = 0
    ) -> Sequence[DeadLetter]:
        """Return records, newest first."""
        statement = self._sql.query(_shape(where))
        values = {**_values(where), "limit": limit, "skip": skip}
        return await self._letters(await self._database.read(statement, values))

    async def _letters(self, rows: Sequence[Sequence[Any]]) -> list[DeadLetter]:
        """Return records in clear.

        Raises:
            DependencyError: A key is not to be had now.
        """
        bodies = await self._vault.opened(LETTER, _READ, rows)
        return [_letter(row, body) for row, body in zip(rows, bodies, strict=True)]

    async def count(self, where: DeadLetterFilter) -> int:
        """Return how many records there are."""
        ((count,),) = await self._database.read(self._sql.count(_shape(where)), _values(where))
        return int(count)

    async def mark_replayed(self, letter_id: str, time: datetime) -> bool:
        """Note that it was sent again."""
        values = {"id": letter_id, "replayed_at": time}
        return bool(await self._database.write(self._sql.mark_replayed, values))

    async def delete(self, letter_id: str) -> bool:
        """Remove a record."""
        return bool(await self._database.write(self._sql.delete, {"id": letter_id}))

    async def delete_older_than(self, time: datetime) -> int:
        """Remove what was given up before a time."""
        return len(await self._database.write(self._sql.delete_older_than, {"time": time}))


class _Secret(msgspec.Struct, frozen=True, array_like=True):
    """What is encrypted of a letter, all in the place of its body."""

    body: bytes
    error: str
    attributes: dict[str, str]

    @classmethod
    def of(cls, letter: DeadLetter) -> Self:
        return cls(letter.body, letter.error, dict(letter.attributes))


_SECRET: Final = msgspec.msgpack.Encoder()
_SECRET_AGAIN: Final = msgspec.msgpack.Decoder(_Secret)


def _letter(row: Sequence[Any], record: Record) -> DeadLetter:
    """Return a record.

    Raises:
        DependencyError: Its key is not to be had now.
    """
    found: dict[str, Any] = dict(zip(_READ, row, strict=True))
    secret = _secret(found, record)
    return DeadLetter(
        id=found["id"],
        source=found["source"],
        message_id=found["message_id"],
        type_name=found["type"],
        reason=found["reason"],
        error=secret.error,
        subscribers=msgspec.json.decode(found["subscribers"], type=tuple[str, ...]),
        body=secret.body,
        attributes=secret.attributes,
        time=found["time"],
        attempts=found["attempts"],
        replayed_at=found["replayed_at"],
    )


def _secret(found: Mapping[str, Any], record: Record) -> _Secret:
    body, error = bytes(found["body"]), found["error"]
    if record is not found["body"]:
        try:
            return _SECRET_AGAIN.decode(in_clear(record))
        except DecryptionFailedError as failure:
            error = error or f"the record cannot be read: {failure}"
    attributes = msgspec.json.decode(found["attributes"], type=dict[str, str])
    return _Secret(body, error, attributes)


_Shape = tuple[str, ...]


def _shape(where: DeadLetterFilter) -> _Shape:
    """Return which conditions a filter has; there are few of them, so each is compiled once."""
    names = [
        name
        for name in ("type_name", "reason", "source", "message_id", "since", "until")
        if getattr(where, name) is not None
    ]
    if where.replayed is not None:
        names.append("replayed" if where.replayed else "not replayed")
    return tuple(names)


def _values(where: DeadLetterFilter) -> dict[str, Any]:
    return {
        "type_name": where.type_name,
        "reason": None if where.reason is None else _literally(where.reason.casefold()),
        "source": where.source,
        "message_id": where.message_id,
        "since": where.since,
        "until": where.until,
    }


def _literally(text: str) -> str:
    """Return a text whose % and _ are nothing but themselves in a LIKE."""
    return re.sub("([/%_])", r"/\1", text)


class _LetterStatements(Statements):
    @cached_property
    def save(self) -> Statement:
        """Insert a letter; a later one of the same message takes its place in the order, too."""
        table = self._schema.dead_letters
        names = [each.name for each in table.c if each.name != "position"]
        statement = self._insert(table).values({name: bindparam(name) for name in names})
        kept = {"source", "message_id", "id"}
        changed = {name: statement.excluded[name] for name in names if name not in kept}
        return self._compile(
            statement.on_conflict_do_update(
                index_elements=[table.c.source, table.c.message_id], set_=changed
            ).returning(table.c.id)
        )

    @cached_property
    def get(self) -> Statement:
        table = self._schema.dead_letters
        return self._compile(select(*self._columns()).where(table.c.id == bindparam("id")))

    def query(self, shape: _Shape) -> Statement:
        """Return the query for some conditions."""
        table = self._schema.dead_letters
        return self._for(
            f"query {shape}",
            0,
            lambda _: (
                select(*self._columns())
                .where(*self._conditions(shape))
                .order_by(table.c.time.desc(), table.c.position.desc())
                .limit(bindparam("limit"))
                .offset(bindparam("skip"))
            ),
        )

    def count(self, shape: _Shape) -> Statement:
        """Return the query that counts for some conditions."""
        table = self._schema.dead_letters
        return self._for(
            f"count {shape}",
            0,
            lambda _: select(func.count()).select_from(table).where(*self._conditions(shape)),
        )

    def _conditions(self, shape: _Shape) -> list[ColumnElement[bool]]:
        table = self._schema.dead_letters
        found: dict[str, ColumnElement[bool]] = {
            "type_name": table.c.type == bindparam("type_name"),
            "reason": func.lower(table.c.reason).contains(bindparam("reason"), escape="/"),
            "source": table.c.source == bindparam("source"),
            "message_id": table.c.message_id == bindparam("message_id"),
            "since": table.c.time >= bindparam("since"),
            "until": table.c.time < bindparam("until"),
            "replayed": table.c.replayed_at.is_not(None),
            "not replayed": table.c.replayed_at.is_(None),
        }
        return [found[name] for name in shape]

    @cached_property
    def mark_replayed(self) -> Statement:
        table = self._schema.dead_letters
        return self._compile(
            update(table)
            .where(table.c.id == bindparam("id"))
            .values(replayed_at=bindparam("replayed_at"))
            .returning(table.c.id)
        )

    @cached_property
    def delete(self) -> Statement:
        table = self._schema.dead_letters
        return self._compile(
            delete(table).where(table.c.id == bindparam("id")).returning(table.c.id)
        )

    @cached_property
    def delete_older_than(self) -> Statement:
        table = self._schema.dead_letters
        return self._compile(
            delete(table).where(table.c.time < bindparam("time")).returning(table.c.id)
        )

    def _columns(self) -> list[Any]:
        return [self._schema.dead_letters.c[name] for name in _READ]
