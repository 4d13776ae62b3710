"""Everything that telemetry is called: tracers, meters, spans, metrics and their attributes.

The table of the guide is made from it, dashboards and alert rules are checked against it, and a test
makes sure that each name is emitted. Names that begin with ``messaging.``, ``aws.`` and
``error.`` are those of the OpenTelemetry semantic conventions (messaging, AWS SQS and SNS).
"""

from __future__ import annotations

from typing import Final

from sourceflow.telemetry.kinds import (
    Attribute,
    Metric,
    Scope,
    Span,
    counter,
    detail,
    gauge,
    seconds,
    sizes,
)

__all__ = ("ATTRIBUTES", "AWS", "CORE", "METRICS", "SPANS")

CORE: Final[Scope] = "SourceFlow"
"""The tracer and meter of what happens inside a process."""

AWS: Final[Scope] = "SourceFlow.Cloud.AWS"
"""The tracer and meter of what goes over SQS and SNS."""

# --- Attributes of the OpenTelemetry conventions --------------------------------------------------

SYSTEM: Final = Attribute("messaging.system", "The service.", ("aws_sqs", "aws.sns"))
DESTINATION: Final = Attribute(
    "messaging.destination.name", "The queue or topic, as routes name it."
)
OPERATION_NAME: Final = Attribute(
    "messaging.operation.name", "What is done.", ("send", "publish", "receive", "process")
)
OPERATION_TYPE: Final = Attribute(
    "messaging.operation.type", "The kind of that.", ("send", "receive", "process")
)
MESSAGE_ID: Final = Attribute(
    "messaging.message.id", "The message's id: the same over all hops, unlike SQS's own."
)
CONVERSATION_ID: Final = Attribute("messaging.message.conversation_id", "The correlation id.")
BATCH_COUNT: Final = Attribute("messaging.batch.message_count", "Messages of one receive.")
ERROR_TYPE: Final = Attribute("error.type", "The class of the error; only where there was one.")
QUEUE_URL: Final = Attribute("aws.sqs.queue.url", "The queue's URL.")
TOPIC_ARN: Final = Attribute("aws.sns.topic.arn", "The topic's ARN.")

# --- Attributes of our own ------------------------------------------------------------------------

APP: Final = Attribute("sourceflow.app", "The App's name.")
UNKNOWN: Final = "unknown"
"""Stands for the type of a message that the App does not know: strangers choose such names."""

MESSAGE_TYPE: Final = Attribute(
    "sourceflow.message.type",
    f"The wire name of the message's type; ``{UNKNOWN}`` where the App does not know it.",
)
MESSAGE_KIND: Final = Attribute("sourceflow.message.kind", "What it is.", ("command", "event"))
ATTEMPT: Final = Attribute("sourceflow.message.attempt", "1 for the first handling, then more.")
OUTCOME: Final = Attribute(
    "sourceflow.outcome",
    "How the handling ended.",
    (
        "done", "duplicate", "ignored", "discarded",
        "retry", "rejected", "paused", "in_progress", "cancelled",
    ),
)  # fmt: skip
HANDLER: Final = Attribute("sourceflow.handler", "The saga's method or the subscriber.")
ENTITY_TYPE: Final = Attribute("sourceflow.entity.type", "The entity's class.")
SEQUENCE: Final = Attribute("sourceflow.entity.sequence", "The command's number in its stream.")
VIEW_MODEL_TYPE: Final = Attribute("sourceflow.view_model.type", "The view model's class.")
COUNT: Final = Attribute("sourceflow.count", "How many commands or events were read.")
OPERATION: Final = Attribute(
    "sourceflow.operation",
    "What was done.",
    ("command", "subscriber", "load", "commit", "query", "history", "replay", "rebuild",
     "encode", "decode"),
)  # fmt: skip
REASON: Final = Attribute("sourceflow.dead_letter.reason", "Why the message was given up.")
QUEUE_STATE: Final = Attribute(
    "sourceflow.queue.state", "Where its messages are.", ("visible", "in_flight", "delayed")
)
CACHE_USE: Final = Attribute("sourceflow.cache.use", "Which cache.", ("encrypt", "decrypt"))

ATTRIBUTES: Final = tuple(each for each in vars().copy().values() if isinstance(each, Attribute))
"""Every attribute."""

# --- Spans ----------------------------------------------------------------------------------------

_MESSAGE: Final = (
    SYSTEM, DESTINATION, OPERATION_NAME, OPERATION_TYPE, MESSAGE_ID, CONVERSATION_ID,
    MESSAGE_TYPE, ERROR_TYPE,
)  # fmt: skip

SEND: Final = Span(
    scope=AWS,
    name="send {queue}",
    kind="PRODUCER",
    description="A command goes to its queue: from the call until SQS has confirmed it.",
    attributes=(*_MESSAGE, QUEUE_URL),
)
PUBLISH: Final = Span(
    scope=AWS,
    name="publish {topic}",
    kind="PRODUCER",
    description="An event goes to its topic: from the call until SNS has confirmed it.",
    attributes=(*_MESSAGE, TOPIC_ARN),
)
RECEIVE: Final = Span(
    scope=AWS,
    name="receive {queue}",
    kind="CLIENT",
    description="A call that brought messages, linked to where they come from. Calls that bring "
    "none make no span.",
    attributes=(SYSTEM, DESTINATION, OPERATION_NAME, OPERATION_TYPE, BATCH_COUNT, QUEUE_URL),
    is_detail=True,
)
PROCESS: Final = Span(
    scope=AWS,
    name="process {queue}",
    kind="CONSUMER",
    description="A received message is handled: decoding, handlers, commit.",
    attributes=(*_MESSAGE, MESSAGE_KIND, ATTEMPT, OUTCOME, QUEUE_URL),
)


DISPATCH: Final = detail(
    CORE, "sourceflow.commandbus.dispatch",
    "A saga handles a command: waiting for its entity, reading, the handler, the commit.",
    MESSAGE_TYPE, MESSAGE_ID, CONVERSATION_ID, HANDLER, ENTITY_TYPE, SEQUENCE, ATTEMPT, ERROR_TYPE,
)  # fmt: skip
SUBSCRIBER: Final = detail(
    CORE, "sourceflow.eventdispatcher.dispatch",
    "One subscriber works on an event.",
    MESSAGE_TYPE, MESSAGE_ID, CONVERSATION_ID, HANDLER, ATTEMPT, ERROR_TYPE,
)  # fmt: skip
REPLAY: Final = detail(
    CORE, "sourceflow.commandbus.replay", "``app.replay``.",
    ENTITY_TYPE, COUNT, ERROR_TYPE,
)  # fmt: skip
REBUILD: Final = detail(
    CORE, "sourceflow.viewmodelstore.rebuild", "``app.rebuild``.",
    VIEW_MODEL_TYPE, COUNT, ERROR_TYPE,
)  # fmt: skip
LOAD: Final = detail(
    CORE, "sourceflow.entitystore.get",
    "The read before a handler: claim, number and entity.",
    ENTITY_TYPE, ERROR_TYPE,
)  # fmt: skip
FIND: Final = detail(
    CORE, "sourceflow.viewmodelstore.find",
    "A row of a view model is read, or several are queried.",
    VIEW_MODEL_TYPE, ERROR_TYPE,
)  # fmt: skip
HISTORY: Final = detail(
    CORE, "sourceflow.domain.command.load", "Logged commands are read.",
    ENTITY_TYPE, COUNT, ERROR_TYPE,
)  # fmt: skip
COMMIT: Final = detail(
    CORE, "sourceflow.unitofwork.commit",
    "The one transaction of a message: claims, log, entity, rows, outbox.",
    ENTITY_TYPE, ERROR_TYPE,
)  # fmt: skip

SPANS: Final = tuple(each for each in vars().copy().values() if isinstance(each, Span))
"""Every kind of span."""

# --- Metrics over AWS -----------------------------------------------------------------------------


_PLACE: Final = (SYSTEM, DESTINATION)
_TYPED: Final = (MESSAGE_TYPE, DESTINATION)
_SEMANTIC: Final = (SYSTEM, DESTINATION, OPERATION_NAME, OPERATION_TYPE, ERROR_TYPE)
_M: Final = "{message}"

COMMAND_DISPATCHED: Final = counter(
    AWS, "sourceflow.aws.command.dispatched", _M, "Commands that SQS has confirmed.", *_TYPED
)
COMMAND_DISPATCH_ERROR: Final = counter(
    AWS, "sourceflow.aws.command.dispatch_error", _M,
    "Tries to send a command that failed.", *_TYPED, ERROR_TYPE,
)  # fmt: skip
COMMAND_DISPATCH_DURATION: Final = seconds(
    AWS, "sourceflow.aws.command.dispatch_duration",
    "From the call until SQS has confirmed a command, or it failed.", *_TYPED, ERROR_TYPE,
)  # fmt: skip
EVENT_PUBLISHED: Final = counter(
    AWS, "sourceflow.aws.event.published", _M, "Events that SNS has confirmed.", *_TYPED
)
EVENT_PUBLISH_ERROR: Final = counter(
    AWS, "sourceflow.aws.event.publish_error", _M,
    "Tries to publish an event that failed.", *_TYPED, ERROR_TYPE,
)  # fmt: skip
EVENT_PUBLISH_DURATION: Final = seconds(
    AWS, "sourceflow.aws.event.publish_duration",
    "From the call until SNS has confirmed an event, or it failed.", *_TYPED, ERROR_TYPE,
)  # fmt: skip
MESSAGE_RECEIVED: Final = counter(
    AWS, "sourceflow.aws.message.received", _M, "Messages whose handling began.", *_TYPED
)
MESSAGE_PROCESSED: Final = counter(
    AWS, "sourceflow.aws.message.processed", _M,
    "Messages whose handling ended well: they are acknowledged.", *_TYPED, OUTCOME,
)  # fmt: skip
MESSAGE_PROCESSING_ERROR: Final = counter(
    AWS, "sourceflow.aws.message.processing_error", _M,
    "Handlings that failed: the message is tried again, handed back or given up.",
    *_TYPED, OUTCOME, ERROR_TYPE,
)  # fmt: skip
MESSAGE_PROCESSING_DURATION: Final = seconds(
    AWS, "sourceflow.aws.message.processing_duration", "The handling of one message.",
    *_TYPED, OUTCOME,
)  # fmt: skip
MESSAGE_SIZE: Final = sizes(
    AWS, "sourceflow.message.size",
    "The body of a message that was confirmed, as it was before it was encrypted; only with details.",
    *_TYPED,
)  # fmt: skip
OPERATION_DURATION: Final = seconds(
    AWS, "messaging.client.operation.duration", "One call of SQS or SNS.", *_SEMANTIC
)
SENT_MESSAGES: Final = counter(
    AWS, "messaging.client.sent.messages", _M, "Messages that were to be sent.", *_SEMANTIC
)
CONSUMED_MESSAGES: Final = counter(
    AWS, "messaging.client.consumed.messages", _M, "Messages that were received.", *_SEMANTIC
)
PROCESS_DURATION: Final = seconds(
    AWS, "messaging.process.duration", "The handling of one message.", *_SEMANTIC
)
QUEUE_DEPTH: Final = gauge(
    AWS, "sourceflow.aws.queue.depth", _M, "Messages in a queue that is listened to.",
    DESTINATION, QUEUE_STATE,
)  # fmt: skip
QUEUE_AGE: Final = gauge(
    AWS, "sourceflow.aws.queue.age", "s",
    "The longest that a message received here since the last sample had waited in its queue; 0 "
    "where none was received. SQS itself tells no age.", DESTINATION,
)  # fmt: skip
DEAD_LETTER_DEPTH: Final = gauge(
    AWS, "sourceflow.aws.dead_letter.depth", _M, "Messages in a dead letter queue.", DESTINATION
)
IN_FLIGHT: Final = gauge(
    AWS, "sourceflow.aws.message.in_flight", _M, "Messages that are handled here now.", DESTINATION,
    adds_up=True,
)  # fmt: skip
LISTENING: Final = gauge(
    AWS, "sourceflow.aws.listener.receiving", "{state}",
    "1 while a queue is received from, 0 while its listener is paused or cannot reach it.",
    DESTINATION,
)  # fmt: skip
CIRCUIT_STATE: Final = gauge(
    AWS, "sourceflow.aws.circuit.state", "{state}",
    "0: closed, 1: half open, 2: open, nothing is sent.", *_PLACE,
)  # fmt: skip
LEASES_LOST: Final = counter(
    AWS, "sourceflow.aws.lease.lost", "{lease}",
    "Messages that others may have seen while they were handled here.", DESTINATION,
)  # fmt: skip
KEY_CACHE_HITS: Final = counter(
    AWS, "sourceflow.aws.data_key.cache.hits", "{lookup}",
    "Messages encrypted or decrypted without asking KMS.", CACHE_USE,
)  # fmt: skip
KEY_CACHE_MISSES: Final = counter(
    AWS, "sourceflow.aws.data_key.cache.misses", "{lookup}", "Data keys that KMS was asked for.",
    CACHE_USE,
)  # fmt: skip

# --- Metrics of the process -----------------------------------------------------------------------

COMMANDS_EXECUTED: Final = counter(
    CORE, "sourceflow.domain.commands.executed", "{command}", "Commands that took effect.",
    MESSAGE_TYPE,
)  # fmt: skip
SAGAS_EXECUTED: Final = counter(
    CORE, "sourceflow.domain.sagas.executed", "{run}", "Runs of sagas' methods that were committed.",
    HANDLER,
)  # fmt: skip
SUBSCRIBERS_EXECUTED: Final = counter(
    CORE, "sourceflow.domain.subscribers.executed", "{run}",
    "Runs of subscribers that were committed.", MESSAGE_TYPE, HANDLER,
)  # fmt: skip
ENTITIES_CREATED: Final = counter(
    CORE, "sourceflow.domain.entities.created", "{entity}", "Entities that came to be.", ENTITY_TYPE
)
HANDLERS_FAILED: Final = counter(
    CORE, "sourceflow.domain.handlers.failed", "{run}", "Runs of handlers that raised.",
    MESSAGE_TYPE, HANDLER, ERROR_TYPE,
)  # fmt: skip
DUPLICATES: Final = counter(
    CORE, "sourceflow.duplicates.detected", _M, "Messages that had been handled before.",
    MESSAGE_TYPE,
)  # fmt: skip
DEAD_LETTERS: Final = counter(
    CORE, "sourceflow.dead_letters.written", _M, "Messages that were given up.",
    MESSAGE_TYPE, REASON,
)  # fmt: skip
DOMAIN_DURATION: Final = seconds(
    CORE, "sourceflow.domain.operation.duration",
    "What a message costs inside the process; only with details.", OPERATION, ERROR_TYPE,
)  # fmt: skip
COMMANDS_APPENDED: Final = counter(
    CORE, "sourceflow.commands.appended", "{command}", "Entries of the command log that were written.",
    ENTITY_TYPE,
)  # fmt: skip
COMMANDS_LOADED: Final = counter(
    CORE, "sourceflow.commands.loaded", "{command}", "Entries of the command log that were read.",
    ENTITY_TYPE,
)  # fmt: skip
ENTITIES_PERSISTED: Final = counter(
    CORE, "sourceflow.entities.persisted", "{entity}", "Entities that were written or removed.",
    ENTITY_TYPE,
)  # fmt: skip
VIEW_MODELS_PERSISTED: Final = counter(
    CORE, "sourceflow.viewmodels.persisted", "{row}",
    "Rows that were written or removed with messages; those of a rebuild are left out.",
    VIEW_MODEL_TYPE,
)  # fmt: skip
SERIALIZATIONS: Final = counter(
    CORE, "sourceflow.domain.serialization.operations", "{operation}",
    "Messages and states that were encoded or decoded.", OPERATION,
)  # fmt: skip
SERIALIZATION_DURATION: Final = seconds(
    CORE, "sourceflow.domain.serialization.duration",
    "The encoding or decoding of a message or state; only with details.", OPERATION,
)  # fmt: skip
OUTBOX_DEPTH: Final = gauge(
    CORE, "sourceflow.outbox.depth", _M, "Messages of the App that wait in the outbox.", APP
)
OUTBOX_AGE: Final = gauge(
    CORE, "sourceflow.outbox.age", "s", "How long the oldest of them waits; 0 without any.", APP
)

METRICS: Final = tuple(each for each in vars().copy().values() if isinstance(each, Metric))
"""Every metric."""
