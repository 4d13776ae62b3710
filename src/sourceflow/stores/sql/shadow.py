"""Rows of a view model that are built beside those that count, in a database."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from sourceflow.bus.changes import Claim
from sourceflow.errors import ConflictError
from sourceflow.messages import key_of_state
from sourceflow.stores.sql.database import Step, Unfulfilled
from sourceflow.stores.sql.vault import ROW, KeysMissing, in_clear
from sourceflow.stores.sql.view_queries import FOUND

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sourceflow.bus.ports import Logged, Project, Seal
    from sourceflow.messages import Codec, KeyType
    from sourceflow.stores.sql.database import Database, Session
    from sourceflow.stores.sql.event_log import SqlEventLog
    from sourceflow.stores.sql.inbox import SqlInbox
    from sourceflow.stores.sql.shadow_statements import ShadowStatements
    from sourceflow.stores.sql.vault import Vault

__all__ = ("SqlShadow",)

LAST: Final = 200
"""Events that are projected while writers wait, at most."""


class SqlShadow:
    """See ``sourceflow.bus.ports.Shadow``: a generation of rows that does not count yet."""

    def __init__(
        self,
        *,
        database: Database,
        sql: ShadowStatements,
        codec: Codec,
        vault: Vault,
        events: SqlEventLog,
        inbox: SqlInbox,
        row_type: type[Any],
    ) -> None:
        self._database = database
        self._sql = sql
        self._codec = codec
        self._vault = vault
        self._events = events
        self._inbox = inbox
        self._row_type = row_type
        self._builder = uuid4().hex
        self._generation = 0
        self._session: Session | None = None
        self.position = 0

    async def begin(self, *, resume: bool) -> None:
        """Take a generation of its own, or the one that an earlier shadow has left."""
        who = {"view": self._sql.view.name, "builder": self._builder}
        found = await self._database.write(self._sql.resume, who) if resume else []
        if not found:
            found = await self._database.write(self._sql.begin, who)
        ((self._generation, self.position),) = found
        await self._clean()

    async def _clean(self) -> None:
        """Remove generations that nobody needs, some rows at a time."""
        while await self._database.write(self._sql.clean, {"view": self._sql.view.name}):
            pass

    async def load(self, keys: Collection[KeyType]) -> Mapping[KeyType, Any]:
        """Return those of its rows that are there.

        Raises:
            KeysMissing: While it is swapped, keys are needed that are not at hand.
        """
        if not keys:
            return {}
        values = {"generation": self._generation, "keys": list(keys)}
        view = self._sql.view.name
        if self._session is None:
            found = await self._database.read(self._sql.load, values)
            documents = await self._vault.opened(ROW, FOUND, found, view=view)
        else:
            found = await self._session.read(self._sql.load, values)
            documents = self._vault.opened_at_hand(ROW, FOUND, found, view=view)
        rows = [self._codec.decode_state(self._row_type, in_clear(each)) for each in documents]
        return {key_of_state(row): row for row in rows}

    async def save(self, rows: Mapping[KeyType, Any | None], *, position: int) -> None:
        """Keep rows."""
        mark = Step(self._sql.mark, self._own(position=position), rows=1)
        seal = await self._vault.sealing()
        try:
            await self._database.commit([mark, *self._steps(rows, seal)])
        except Unfulfilled as error:
            raise self._superseded() from error
        self.position = position

    def _own(self, **values: Any) -> dict[str, Any]:
        own = {
            "view": self._sql.view.name,
            "builder": self._builder,
            "generation": self._generation,
        }
        return own | values

    def _superseded(self) -> ConflictError:
        return ConflictError(f"another rebuild of {self._row_type.__name__} was begun")

    def _steps(self, rows: Mapping[KeyType, Any | None], seal: Seal | None) -> list[Step]:
        return [self._step(key, row, seal) for key, row in rows.items()]

    def _step(self, key: KeyType, row: Any | None, seal: Seal | None) -> Step:
        view = self._sql.view.name
        values: dict[str, Any] = {"generation": self._generation, "view": view, "key": key}
        if row is None:
            return Step(self._sql.remove, values)
        values |= {"version": 1 + secrets.randbits(60), "document": self._codec.encode_state(row)}
        if seal is not None:
            ROW.seal(seal, values)
        return Step(self._sql.put, values | self._sql.view.values(row))

    async def swap(
        self, project: Project, *, types: Collection[str], claims: Collection[tuple[str, str]]
    ) -> int | None:
        """Let its rows count from the commit of one transaction on."""
        seal = await self._vault.sealing()
        while True:
            try:
                rows = await self._try_to_swap(project, types, claims, seal)
            except KeysMissing as missing:
                await self._vault.fetch(missing)
            else:
                break
        if rows is not None:
            await self._clean()
        return rows

    async def _try_to_swap(
        self,
        project: Project,
        types: Collection[str],
        claims: Collection[tuple[str, str]],
        seal: Seal | None,
    ) -> int | None:
        """Swap it in one transaction.

        Raises:
            KeysMissing: Keys are needed that are not at hand; nothing is changed.
        """
        async with self._database.transaction() as session:
            self._session = session
            try:
                rows = await self._swap(session, project, types, claims, seal)
            finally:
                self._session = None
            if rows is None:
                await session.undo()
        return rows

    async def _swap(
        self,
        session: Session,
        project: Project,
        types: Collection[str],
        claims: Collection[tuple[str, str]],
        seal: Seal | None,
    ) -> int | None:
        if self._sql.lock is not None:
            await session.write(self._sql.lock, {})
        limit = LAST if self._database.reads_beside_transactions else 0
        left = await self._events.left(session, after=self.position, types=types, limit=limit + 1)
        if len(left) > limit:
            return None
        await session.run(self._steps(await project(left), seal))
        if not await session.write(self._sql.flip, self._own()):
            raise self._superseded()
        await self._take(session, left, claims)
        ((rows,),) = await session.read(self._sql.count, {"generation": self._generation})
        return int(rows)

    async def _take(
        self, session: Session, left: Sequence[Logged], claims: Collection[tuple[str, str]]
    ) -> None:
        """Take the claims of what it takes in: nothing of it may be projected once more."""
        for name, subscriber in claims:
            await self._inbox.take_logged(session, name, subscriber, up_to=self.position)
        late = [
            Claim(logged.envelope.source, logged.envelope.id, subscriber)
            for logged in left
            for name, subscriber in claims
            if name == logged.envelope.type_name
        ]
        await session.run(self._inbox.steps(late, anew=False))
