from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

import sourceflow

FROZEN = {
    "sourceflow": (
        "API_KEY",
        "CARD",
        "CUSTOM",
        "DELETE",
        "EMAIL",
        "IP_ADDRESS",
        "NAME",
        "PASSWORD",
        "PHONE",
        "SSN",
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
        "HealthApp",
        "HealthEntry",
        "HealthOptions",
        "HealthReport",
        "HealthStatus",
        "Idempotency",
        "Key",
        "Masked",
        "Middleware",
        "Next",
        "Observer",
        "Reject",
        "Retry",
        "Saga",
        "Sensitive",
        "SensitiveKind",
        "View",
        "ViewModel",
        "command",
        "event",
        "field",
        "handles",
        "masked",
        "projects",
        "redacted",
        "subscribes",
        "upcasts",
    ),
    "sourceflow.bus.ports": (
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
    ),
    "sourceflow.clock": ("Clock", "SystemClock"),
    "sourceflow.domain": (
        "DELETE",
        "Aggregate",
        "Condition",
        "Connection",
        "Context",
        "Delete",
        "Entity",
        "Saga",
        "View",
        "ViewModel",
        "field",
        "handles",
        "projects",
        "subscribes",
    ),
    "sourceflow.errors": (
        "AlreadyExistsError",
        "AwsCiphertextError",
        "AwsConfigurationError",
        "AwsCredentialsError",
        "AwsError",
        "AwsKeyError",
        "AwsLeaseLostError",
        "AwsRequestError",
        "AwsThrottledError",
        "AwsTransientError",
        "CircuitOpenError",
        "ConflictError",
        "ConstraintError",
        "DecryptionFailedError",
        "DependencyError",
        "DepthExceededError",
        "Discard",
        "DuplicateError",
        "HandlerEndedError",
        "HandlingError",
        "InvalidMessageError",
        "KeyUnavailableError",
        "MalformedError",
        "MessageError",
        "MessageTooLargeError",
        "MissingExtraError",
        "NoConnectionError",
        "NoHandlerError",
        "NotFoundError",
        "NotRunningError",
        "PlaintextRefusedError",
        "Reject",
        "RejectedError",
        "ReplayError",
        "Retry",
        "SendManyError",
        "SettingsError",
        "Settlement",
        "SourceflowError",
        "StatementError",
        "StoreConfigurationError",
        "UnknownTypeError",
        "UseSelfSendError",
        "WiringError",
        "WrongKindError",
    ),
    "sourceflow.messages": (
        "API_KEY",
        "CARD",
        "CUSTOM",
        "EMAIL",
        "IP_ADDRESS",
        "NAME",
        "PASSWORD",
        "PHONE",
        "SSN",
        "Codec",
        "Command",
        "Envelope",
        "Event",
        "Index",
        "IndexKind",
        "Key",
        "KeyType",
        "Kind",
        "Masked",
        "Registry",
        "Sensitive",
        "SensitiveKind",
        "SourceflowMeta",
        "StateInfo",
        "TraceContext",
        "TypeInfo",
        "check_headers",
        "check_message_id",
        "command",
        "event",
        "is_message",
        "is_possible_key",
        "is_upcaster",
        "key_of_state",
        "key_text",
        "masked",
        "masked_repr",
        "masked_rich_repr",
        "new_message_id",
        "parse_key",
        "redacted",
        "state_info",
        "type_info",
        "upcasts",
        "validate",
    ),
    "sourceflow.settings": ("Settings",),
    "sourceflow.stores.memory": ("InMemoryIdempotency", "MemoryStores"),
    "sourceflow.stores.sql": ("SqlIdempotency", "SqlStores"),
    "sourceflow.telemetry.otel": ("Telemetry",),
    "sourceflow.testing": (
        "Given",
        "LocalAws",
        "ManualClock",
        "Outcome",
        "When",
        "absent",
        "dead_lettered",
        "given",
        "handled",
        "like",
        "under_test",
    ),
    "sourceflow.testing.conformance": (
        "IdempotencyConformance",
        "KeyProviderConformance",
        "StoresConformance",
    ),
    "sourceflow.resilience": (
        "Backoff",
        "CircuitBreaker",
        "CircuitChange",
        "CircuitOptions",
        "CircuitState",
        "CircuitStatistics",
        "TokenBucket",
    ),
    "sourceflow.transports.aws": (
        "AlertHook",
        "AwsOptions",
        "AwsTransport",
        "CheckedKeyProvider",
        "DeadLetterAlert",
        "DeadLetterMonitor",
        "GeneratedKey",
        "KeyProvider",
        "ListenerState",
        "ListenerStatus",
        "LocalKeyProvider",
        "Permissions",
        "QueuedLetter",
        "RedriveResult",
        "SnsAlert",
    ),
}
"""What a program may import: taking a name away breaks it, adding one is a promise."""


def modules():
    walked = pkgutil.walk_packages(sourceflow.__path__, "sourceflow.")
    return ["sourceflow", *(module.name for module in walked)]


def order(name):
    """Constants, then classes, then functions, each by name: the order that ruff keeps too."""
    rank = 0 if name.isupper() else 1 if name.lstrip("_")[0].isupper() else 2
    return (rank, name)


@pytest.mark.parametrize("name", FROZEN)
def test_a_public_package_exports_exactly_these_names(name):
    assert importlib.import_module(name).__all__ == FROZEN[name]


@pytest.mark.parametrize("name", modules())
def test_the_names_of_a_module_are_sorted_and_unique(name):
    exported = getattr(importlib.import_module(name), "__all__", ())

    assert isinstance(exported, tuple)
    assert list(exported) == sorted(set(exported), key=order)


@pytest.mark.parametrize("name", modules())
def test_every_exported_name_exists(name):
    module = importlib.import_module(name)

    assert [each for each in getattr(module, "__all__", ()) if not hasattr(module, each)] == []


@pytest.mark.parametrize("name", FROZEN)
def test_every_public_class_and_function_is_described(name):
    module = importlib.import_module(name)
    exported = [getattr(module, each) for each in module.__all__]

    described = [each for each in exported if inspect.isclass(each) or inspect.isfunction(each)]
    assert [each.__qualname__ for each in described if not each.__doc__] == []
