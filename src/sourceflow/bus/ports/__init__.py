"""What the bus asks of stores and transports: small contracts that one suite tests on each of them."""

from sourceflow.bus.dead_letter import DeadLetter, DeadLetterFilter
from sourceflow.bus.ports.boxes import Inbox, Outbox, Parked
from sourceflow.bus.ports.dead_letters import DeadLetters
from sourceflow.bus.ports.expiring import Expiring
from sourceflow.bus.ports.health import (
    Finding,
    HealthCheck,
    HealthChecked,
    HealthOptions,
    HealthStatus,
    InspectedIdempotency,
    InspectedStores,
    InspectedTransport,
)
from sourceflow.bus.ports.idempotency import (
    ClaimState,
    Idempotency,
    IdempotencyStatistics,
    KeyClaim,
)
from sourceflow.bus.ports.logs import CommandLog, EventLog, Logged, LoggedCommand
from sourceflow.bus.ports.record_cipher import (
    EncryptsAtRest,
    RecordCipher,
    RecordPlace,
    Seal,
    is_sealed_record,
)
from sourceflow.bus.ports.schedule import Fired, Schedule, ScheduledCommand
from sourceflow.bus.ports.shadow import Project, Shadow
from sourceflow.bus.ports.stores import Reads, Stores, StoresContext
from sourceflow.bus.ports.transport import (
    Delivery,
    Depth,
    Outgoing,
    Receive,
    Transport,
    TransportContext,
)
from sourceflow.bus.ports.unit_of_work import Head, Row, UnitOfWork
from sourceflow.bus.query import Place, Query

__all__ = (
    "ClaimState",
    "CommandLog",
    "DeadLetter",
    "DeadLetterFilter",
    "DeadLetters",
    "Delivery",
    "Depth",
    "EncryptsAtRest",
    "EventLog",
    "Expiring",
    "Finding",
    "Fired",
    "Head",
    "HealthCheck",
    "HealthChecked",
    "HealthOptions",
    "HealthStatus",
    "Idempotency",
    "IdempotencyStatistics",
    "Inbox",
    "InspectedIdempotency",
    "InspectedStores",
    "InspectedTransport",
    "KeyClaim",
    "Logged",
    "LoggedCommand",
    "Outbox",
    "Outgoing",
    "Parked",
    "Place",
    "Project",
    "Query",
    "Reads",
    "Receive",
    "RecordCipher",
    "RecordPlace",
    "Row",
    "Schedule",
    "ScheduledCommand",
    "Seal",
    "Shadow",
    "Stores",
    "StoresContext",
    "Transport",
    "TransportContext",
    "UnitOfWork",
    "is_sealed_record",
)
