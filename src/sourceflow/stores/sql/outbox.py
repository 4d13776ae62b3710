"""The outbox in a database."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import uuid4

from sourceflow.bus.changes import Destination, OutboxRow, Stream
from sourceflow.bus.ports import Parked
from sourceflow.errors import DependencyError, MessageError, UnknownTypeError
from sourceflow.messages import key_text
from sourceflow.stores.sql.database import Step, numbered
from sourceflow.stores.sql.handover import Handover, Placed
from sourceflow.stores.sql.outbox_statements import BATCH, READ, OutboxStatements
from sourceflow.stores.sql.stored import stream_of
from sourceflow.stores.sql.vault import OUTGOING, KeysMissing, in_clear

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from sourceflow.bus.ports import Seal, StoresContext
    from sourceflow.messages import Codec
    from sourceflow.stores.sql.database import Database
    from sourceflow.stores.sql.schema import Schema
    from sourceflow.stores.sql.vault import Record, Vault

__all__ = ("SqlOutbox",)

log = logging.getLogger(__name__)

ALIVE: Final = timedelta(seconds=30)
"""How long after its last sign of life an instance keeps its rows."""

PATIENCE: Final = timedelta(hours=24)
"""How long a row of an unknown type waits for a newer instance, before it is parked."""

KEY_PAUSE: Final = timedelta(minutes=1)
"""How long a row waits whose key is not to be had, before it is tried again."""


class SqlOutbox:
    """See ``sourceflow.bus.ports.Outbox``.

    Each row has an owner, one instance of its App that sends it, or none. Invariant: of the rows
    of one lane (a source stream and a destination) that are not sent yet, at most one instance
    that is alive owns any, and no row is owned while an older one of its lane is free or
    another's. So rows of a lane leave in the order of their commits, whichever instance made them.
    """

    def __init__(
        self, database: Database, schema: Schema, context: StoresContext, vault: Vault
    ) -> None:
        self._database = database
        self._codec: Codec = context.codec
        self._vault = vault
        self._clock = context.clock
        self._app = context.app
        self._owner = uuid4().hex
        self._sql = OutboxStatements(schema, database.product)
        self._unreadable: dict[int, _Unreadable] = {}
        self._handover = Handover(context.clock)
        self._behind = False

    @property
    def behind(self) -> bool:
        """Whether ``take`` should be called soon: it may have rows that this process waits for."""
        return self._behind or self._handover.holds_back

    def steps(self, rows: Sequence[OutboxRow], seal: Seal | None) -> list[Step]:
        """Return what keeps rows; the step yields the position of each that is this instance's."""
        if not rows:
            return []
        kept = [self._values(row) for row in rows]
        if seal is not None:
            for each in kept:
                OUTGOING.seal(seal, each)
        return [Step(self._sql.append(len(rows)), numbered(kept) | {"owner": self._owner})]

    async def commit(
        self, rows: Sequence[OutboxRow], write: Callable[[], Awaitable[Sequence[int | None]]]
    ) -> Sequence[OutboxRow]:
        """Commit rows; return those that may leave at once.

        Args:
            rows: What ``steps`` was called with.
            write: Commits those steps among others; returns what they yield.
        """
        with self._handover.commit():
            positions = await write()
            own = [
                Placed(position, row)
                for row, position in zip(rows, positions, strict=True)
                if position is not None
            ]
            if len(own) < len(rows):
                self._behind = True
            return self._handover.give(own)

    def _values(self, row: OutboxRow) -> dict[str, Any]:
        envelope = row.envelope
        return {
            "app": self._app,
            "entity": row.stream.entity,
            "stream_key": key_text(row.stream.key),
            "kind": row.destination.kind,
            "destination": row.destination.name,
            "source": envelope.source,
            "message_id": envelope.id,
            "type": envelope.type_name,
            "body": row.body or self._codec.encode(envelope),
            "created": self._clock.now(),
        }

    async def unsent(self) -> Sequence[OutboxRow]:
        """Return the rows of this App that wait, in the order of their commits."""
        found = await self._database.read(self._sql.unsent, {"app": self._app})
        bodies = await self._vault.opened(OUTGOING, READ, found, app=self._app)
        return [
            self._read(each, in_clear(body)).row for each, body in zip(found, bodies, strict=True)
        ]

    async def depth(self) -> int:
        """Return how many rows of this App wait."""
        ((count, _),) = await self._database.read(self._sql.depth, {"app": self._app})
        return int(count)

    async def oldest(self) -> datetime | None:
        """Return when the oldest row of this App that waits was written; None without any."""
        ((_, oldest),) = await self._database.read(self._sql.depth, {"app": self._app})
        written: datetime | None = oldest
        return written

    async def probe(self) -> None:
        """See that the database would take a write.

        Raises:
            DependencyError: It would not.
        """
        await self._database.probe(self._sql.write_nothing)

    async def sent(self, rows: Sequence[OutboxRow]) -> None:
        """Forget rows that have arrived: such as ``commit`` or ``take`` gave out."""
        positions = self._handover.positions(rows)
        if positions:
            await self._database.write(self._sql.forget, {"positions": positions})
        self._handover.sent(rows, positions)

    async def take(self) -> Sequence[OutboxRow]:
        """Give a sign of life, and take over rows that nobody alive owns.

        Returns:
            Rows to be sent; with them such of this instance's own as ``commit`` held back.
        """
        return await self._handover.take(self._take)

    async def _take(self, every: bool) -> Sequence[Placed]:
        now = self._clock.now()
        values: dict[str, Any] = {
            "owner": self._owner,
            "app": self._app,
            "now": now,
            "until": now + ALIVE,
        }
        await self._look_at_unreadable(values)
        values["unreadable"] = list(self._unreadable)
        while True:
            try:
                return await self._take_over(values, every=every)
            except KeysMissing as missing:
                await self._vault.fetch(missing)

    async def _take_over(self, values: Mapping[str, Any], *, every: bool) -> Sequence[Placed]:
        """Take rows over in one transaction.

        Raises:
            KeysMissing: Keys are needed that are not at hand; nothing is taken over.
            DependencyError: The database does not answer, or a row of this instance cannot be read
                for want of its key; nothing is taken over.
        """
        async with self._database.transaction() as session:
            if self._sql.lock is not None:
                await session.read(self._sql.lock, {"app": self._app})
            await session.write(self._sql.live, values)
            found = await session.write(self._sql.own, values) if every else []
            taken = await session.write(self._sql.take, values)
            own = self._at_hand(found)
            for _, body in own:
                if isinstance(body, DependencyError):  # later ones of its lane are not to pass it
                    raise body
            placed = self._readable([*own, *self._at_hand(taken)])
            kept = {each.position for each in placed}
            unread = [each[0] for each in taken if each[0] not in kept]
            if unread:
                await session.write(self._sql.free, {"positions": unread})
            waiting = await session.read(self._sql.behind, values)
        self._behind = bool(waiting) or len(taken) == BATCH
        return placed

    def _at_hand(self, rows: Sequence[Sequence[Any]]) -> list[tuple[Sequence[Any], Record]]:
        """Return rows with their bodies in clear, with keys that are at hand."""
        bodies = self._vault.opened_at_hand(OUTGOING, READ, rows, app=self._app)
        return list(zip(rows, bodies, strict=True))

    async def _look_at_unreadable(self, values: Mapping[str, Any]) -> None:
        """Forget what a newer instance has taken; park what nobody came for."""
        self._unreadable = {
            position: each
            for position, each in self._unreadable.items()
            if each.until is None or each.until > values["now"]
        }
        if not self._unreadable:
            return
        values = {**values, "unreadable": list(self._unreadable)}
        found = await self._database.read(self._sql.still_unreadable, values)
        left = {position for (position,) in found}
        self._unreadable = {
            position: each for position, each in self._unreadable.items() if position in left
        }
        for reason in {each.reason for each in self._unreadable.values() if each.until is None}:
            await self._park(reason, values)

    async def _park(self, reason: str, values: Mapping[str, Any]) -> None:
        positions = [at for at, each in self._unreadable.items() if each.reason == reason]
        before = values["now"] - PATIENCE
        parked = await self._database.write(
            self._sql.park, {**values, "positions": positions, "before": before, "reason": reason}
        )
        for (position,) in parked:
            del self._unreadable[position]
            log.error(
                "the outbox row %s is parked (%s): nobody could read it for a day", position, reason
            )

    def _readable(self, found: Sequence[tuple[Sequence[Any], Record]]) -> list[Placed]:
        """Return what this instance can send; a row that it can't read holds up its lane."""
        rows: list[Placed] = []
        lanes = {each.lane for each in self._unreadable.values()}
        for each, body in sorted(found, key=lambda pair: int(pair[0][0])):
            position, lane = each[0], tuple(each[1:5])
            if lane in lanes:
                continue
            try:
                rows.append(self._read(each, in_clear(body)))
            except (MessageError, DependencyError) as error:
                log.warning("the outbox row %s cannot be read: %s", position, error)
                self._unreadable[position] = self._unread(lane, error)
                lanes.add(lane)
        return rows

    def _unread(self, lane: tuple[str, ...], error: Exception) -> _Unreadable:
        """Return how a row is remembered that cannot be read; want of a key passes."""
        if isinstance(error, DependencyError):
            return _Unreadable(lane, "", self._clock.now() + KEY_PAUSE)
        reason = "UnknownType" if isinstance(error, UnknownTypeError) else "Malformed"
        return _Unreadable(lane, reason, None)

    def _read(self, found: Sequence[Any], body: bytes) -> Placed:
        """Return a row as it was written.

        Raises:
            MessageError: Its message cannot be read.
        """
        position, entity, key, kind, name, type_name, *_ = found
        envelope = self._codec.decode(body, type_hint=type_name)
        destination = Destination(kind, name)
        stream = stream_of(entity, key, envelope) or Stream(entity, key)
        if destination.is_local:
            return Placed(position, OutboxRow(envelope, destination, stream, None))
        if envelope.type_name != type_name:  # it travels under its name of today, in body and all
            body = self._codec.encode(envelope)
        return Placed(position, OutboxRow(envelope, destination, stream, body))

    async def parked(self, *, limit: int = 100, after: int = 0) -> Sequence[Parked]:
        """Return what was set aside because nobody could read it, oldest first."""
        values = {"app": self._app, "limit": limit, "after": after}
        return [
            Parked(position, type_name, message_id, Destination(kind, name), reason, created)
            for position, type_name, message_id, kind, name, reason, created in (
                await self._database.read(self._sql.parked, values)
            )
        ]

    async def unpark(self, positions: Sequence[int]) -> int:
        """Let parked rows wait for a sender again, for another day; return how many."""
        values = {"app": self._app, "positions": positions, "now": self._clock.now()}
        return len(await self._database.write(self._sql.unpark, values))

    async def leave(self) -> None:
        """Give this instance's rows up for others to take."""
        await self._database.write(self._sql.leave, {"owner": self._owner})


class _Unreadable(NamedTuple):
    """A row that this instance cannot send, and all of its lane behind it.

    Attributes:
        lane: Its lane.
        reason: What it is parked for after a day.
        until: When it is tried again; None never, and then it is parked in the end.
    """

    lane: tuple[str, ...]
    reason: str
    until: datetime | None
