"""No option is forgotten: settings reach it, or it is written down here why only code can say it."""

from __future__ import annotations

import enum
import importlib
import inspect
import runpy
from pathlib import Path

import pytest

from sourceflow import App, HealthApp, HealthOptions
from sourceflow.host.settings.schema import SECTIONS, options_of
from sourceflow.host.settings.tables import Table, entry_options
from sourceflow.resilience import CircuitOptions
from sourceflow.settings import Settings
from sourceflow.stores.memory import InMemoryIdempotency
from sourceflow.stores.sql import SqlIdempotency, SqlStores
from sourceflow.telemetry.otel import Telemetry
from sourceflow.testing import LocalAws, ManualClock
from sourceflow.transports.aws import (
    AwsOptions,
    AwsTransport,
    DeadLetterMonitor,
    LocalKeyProvider,
    SnsAlert,
)
from sourceflow.transports.aws.bus import Listen, Raise, Send, Subscribe

FROZEN = runpy.run_path(str(Path(__file__).parents[2] / "test_public_names.py"))["FROZEN"]

#: What takes options, and the table of a file that has them.
TABLES = {
    AwsOptions: ("aws",),
    CircuitOptions: ("aws", "circuit_breaker"),
    DeadLetterMonitor: ("aws", "dead_letter_monitor"),
    SqlStores: ("stores",),
    SqlIdempotency: ("idempotency",),
    InMemoryIdempotency: ("idempotency",),
    HealthOptions: ("health",),
    Telemetry: ("telemetry",),
}

#: Methods of the fluent configuration, and the table of ``bus`` whose entries say what they take.
ENTRIES = {
    Send.command: "commands",
    Raise.event: "events",
    Listen.command_queue: "command_queues",
    Subscribe.topic: "topics",
}

#: What an argument of an App or its transport is made by.
MADE_BY = {
    (App, "name"): "name",
    (App, "stores"): "stores",
    (App, "idempotency"): "idempotency",
    (App, "health"): "health",
    (App, "telemetry"): "telemetry",
    (AwsTransport, "options"): "aws",
    (AwsTransport, "configure"): "bus",
}

#: What no text can be, and why.
FOR_CODE = {
    (App, "components"): "classes: a file that named them could run any code",
    (App, "services"): "objects of the program's own classes",
    (App, "middleware"): "objects of the program's own classes",
    (App, "observer"): "an object of the program's own class",
    (App, "clock"): "an object; another than the machine's is for tests",
    (AwsTransport, "credentials"): "an object; secrets come by the chain of botocore",
    (AwsTransport, "keys"): "an object, which may hold a secret",
    (CircuitOptions, "on_change"): "a function",
    (SqlIdempotency, "clock"): "an object; another than the machine's is for tests",
    (InMemoryIdempotency, "clock"): "an object; another than the machine's is for tests",
    (Telemetry, "tracer_provider"): "an object of OpenTelemetry's SDK, which has variables itself",
    (Telemetry, "meter_provider"): "an object of OpenTelemetry's SDK, which has variables itself",
}

#: What is no part of an App that is configured from outside, and why.
APART = {
    HealthApp: "made where the web application is put together, which says who may see details",
    LocalKeyProvider: "its key is a secret, and it is for tests",
    LocalAws: "for tests; sourceflow local takes options of its own",
    ManualClock: "for tests",
    SnsAlert: "one argument, which the list of alerts names",
}

#: Records that are handed to the program, or that it asks with, and parts of the scenarios of tests.
RECORDS = {
    "sourceflow": {"Envelope", "Sensitive"},
    "sourceflow.bus.ports": {
        "DeadLetter",
        "DeadLetterFilter",
        "Delivery",
        "KeyClaim",
        "StoresContext",
        "TransportContext",
    },
    "sourceflow.messages": {"Envelope", "Index", "Registry", "Sensitive", "TraceContext"},
    "sourceflow.resilience": {"Backoff", "CircuitBreaker", "CircuitStatistics", "TokenBucket"},
    "sourceflow.testing": {"Outcome", "When"},
    "sourceflow.transports.aws": {"Permissions", "RedriveResult"},
}


def arguments(owner):
    return [name for name in inspect.signature(owner).parameters if name != "self"]


def has_options(found):
    """Whether a public name is a class whose maker may leave something out."""
    if not inspect.isclass(found) or issubclass(found, (enum.Enum, BaseException, type)):
        return False
    parameters = inspect.signature(found).parameters.values()
    return any(each.default is not each.empty for each in parameters)


@pytest.mark.parametrize("package", FROZEN)
def test_every_public_class_with_options_is_reached_or_said_to_be_for_code(package):
    module = importlib.import_module(package)
    found = {name for name in module.__all__ if has_options(getattr(module, name))}

    known = {*TABLES, *APART, App, AwsTransport}
    missing = {name for name in found if getattr(module, name) not in known}
    assert missing == RECORDS.get(package, set())


@pytest.mark.parametrize("owner", TABLES, ids=lambda owner: owner.__name__)
def test_every_argument_is_an_option_or_said_to_be_for_code(owner):
    section, *above = TABLES[owner]
    reached = {path[-1] for path in options_of(section) if [*path[:-1]] == above}
    taken = {name for name in arguments(owner) if (owner, name) not in FOR_CODE}

    assert taken <= reached
    assert not {name for name in arguments(owner) if (owner, name) in FOR_CODE} & reached


@pytest.mark.parametrize("owner", [App, AwsTransport])
def test_every_argument_of_an_app_is_made_by_settings_or_said_to_be_for_code(owner):
    for name in arguments(owner):
        assert ((owner, name) in MADE_BY) != ((owner, name) in FOR_CODE), name
        if made_by := MADE_BY.get((owner, name)):
            assert hasattr(Settings, made_by)


@pytest.mark.parametrize("method", ENTRIES, ids=lambda method: method.__qualname__)
def test_every_argument_of_the_fluent_configuration_is_in_a_table(method):

    *_, subject = (
        name
        for name, each in inspect.signature(method).parameters.items()
        if each.kind is not each.KEYWORD_ONLY
    )
    taken = {name for name in arguments(method) if name != subject}
    assert taken == set(entry_options(Table(ENTRIES[method])))


def test_every_option_of_a_section_is_one_of_something():
    """So that an option does not outlive what took it."""
    taken = {(*TABLES[owner], name) for owner in TABLES for name in arguments(owner)} | {
        table for table in TABLES.values() if len(table) > 1
    }
    taken |= {("app", "name")} | {("bus", table) for table in ENTRIES.values()}

    for section in SECTIONS:
        assert {(section, *path) for path in options_of(section)} <= taken
