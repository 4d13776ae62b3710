"""CQRS with a per-entity command log, in one process or over Amazon SQS and SNS."""

from sourceflow.bus.middleware import Middleware, Next
from sourceflow.bus.observer import Observer
from sourceflow.bus.ports import ClaimState, Idempotency
from sourceflow.domain import (
    DELETE,
    Aggregate,
    Condition,
    Connection,
    Context,
    Delete,
    Entity,
    Saga,
    View,
    ViewModel,
    field,
    handles,
    projects,
    subscribes,
)
from sourceflow.errors import Discard, Reject, Retry
from sourceflow.host.app import App
from sourceflow.messages import Command, Envelope, Event, Key, command, event, upcasts

__all__ = (
    "DELETE",
    "Aggregate",
    "App",
    "ClaimState",
    "Command",
    "Condition",
    "Connection",
    "Context",
    "Delete",
    "Discard",
    "Entity",
    "Envelope",
    "Event",
    "Idempotency",
    "Key",
    "Middleware",
    "Next",
    "Observer",
    "Reject",
    "Retry",
    "Saga",
    "View",
    "ViewModel",
    "command",
    "event",
    "field",
    "handles",
    "projects",
    "subscribes",
    "upcasts",
)
