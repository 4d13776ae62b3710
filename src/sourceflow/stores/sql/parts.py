"""What SQL stores are made of once they are open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from sourceflow.stores.sql.command_log import SqlCommandLog
from sourceflow.stores.sql.event_log import SqlEventLog
from sourceflow.stores.sql.inbox import SqlInbox
from sourceflow.stores.sql.outbox import SqlOutbox
from sourceflow.stores.sql.own_statements import OwnStatements
from sourceflow.stores.sql.schedule import SqlSchedule
from sourceflow.stores.sql.streams import Streams
from sourceflow.stores.sql.vault import Vault
from sourceflow.stores.sql.view_models import ViewModels

if TYPE_CHECKING:
    from sourceflow.bus.ports import StoresContext
    from sourceflow.messages import Codec
    from sourceflow.stores.sql.database import Database
    from sourceflow.stores.sql.schema import Schema

__all__ = ("Parts",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything that works on one database for one App.

    Attributes:
        database: Where it is kept.
        codec: Reads and writes messages and state.
        vault: Encrypts and decrypts rows.
        streams: Heads and entities.
        commands: The command log.
        events: The event log.
        inbox: Claims.
        outbox: What is on its way out.
        schedule: Commands that wait until they are due.
        view_models: Rows of view models.
        own: Statements that users write themselves.
    """

    database: Database
    codec: Codec
    vault: Vault
    streams: Streams
    commands: SqlCommandLog
    events: SqlEventLog
    inbox: SqlInbox
    outbox: SqlOutbox
    schedule: SqlSchedule
    view_models: ViewModels
    own: OwnStatements

    @classmethod
    def of(cls, database: Database, schema: Schema, context: StoresContext) -> Self:
        """Put them together."""
        codec, vault = context.codec, Vault(context.cipher)
        outbox = SqlOutbox(database, schema, context, vault)
        return cls(
            database=database,
            codec=codec,
            vault=vault,
            streams=Streams(database, schema, codec, vault),
            commands=SqlCommandLog(database, schema, context, vault),
            events=SqlEventLog(database, schema, codec, vault),
            inbox=SqlInbox(database, schema, context.clock),
            outbox=outbox,
            schedule=SqlSchedule(database, schema, context, outbox, vault),
            view_models=ViewModels(database, schema, codec, vault),
            own=OwnStatements(database.product),
        )
