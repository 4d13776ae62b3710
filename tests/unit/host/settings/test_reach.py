"""Every option of a transport and of stores can be set by a file and by the environment."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Literal, get_args, get_origin, get_type_hints

import pytest
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from sourceflow import Command, Event, HealthOptions, Key
from sourceflow.clock import Clock
from sourceflow.host.settings.schema import SECTIONS, options_of
from sourceflow.resilience import CircuitOptions
from sourceflow.settings import Settings
from sourceflow.stores.memory import InMemoryIdempotency
from sourceflow.stores.sql import SqlIdempotency, SqlStores
from sourceflow.telemetry.otel import Telemetry
from sourceflow.transports.aws import AlertHook, AwsOptions, DeadLetterMonitor, SnsAlert
from sourceflow.transports.aws.bus import Listen, Raise, Send, Subscribe, configure_bus

#: What only code can say: a function to be called.
FUNCTIONS = {"on_change"}

#: What stands for objects that no file can hold.
OBJECTS = {"clock", "tracer_provider", "meter_provider"}

LOCALS = {
    "Callable": Callable,
    "AlertHook": AlertHook,
    "Clock": Clock,
    "MeterProvider": MeterProvider,
    "TracerProvider": TracerProvider,
}


class Go(Command):
    id: Key[str]


class Gone(Event):
    id: Key[str]


def another(hint, default):
    """Return a value that is not the default, as a file holds it and as the option has it."""
    if get_origin(hint) is Literal:
        value = next(each for each in get_args(hint) if each != default)
        return value, value
    for kind in get_args(hint) or (hint,):
        if kind is bool:
            return not default, not default
        if kind is int:
            value = default - 1 if default and default > 1 else 2
            return value, value
        if kind is timedelta:
            value = (timedelta(seconds=2) if default is None else default) + timedelta(
                milliseconds=1
            )
            return f"{value // timedelta(milliseconds=1)} ms", value
        if kind is str:
            return "x-9", "x-9"
    raise AssertionError(f"no value for {hint}")


def value_for(name, hint, default):
    match name:
        case "region":
            return "eu-west-1", "eu-west-1"
        case "endpoint_url":
            return "http://127.0.0.1:9", "http://127.0.0.1:9"
        case "wait_time" | "data_key_lifetime":
            return "7 s", timedelta(seconds=7)
        case "decrypt_key_ids":
            return ["a", "b"], ("a", "b")
        case "alerts":
            return ["ops", "more"], (SnsAlert("ops"), SnsAlert("more"))
        case "prefix" | "schema":
            return "p_", "p_"
        case "url":
            return "postgresql://h/d", "postgresql://h/d"
        case "queue" | "topic":
            return "go", "go"
    return another(hint, default)


def fields(owner):
    hints = get_type_hints(owner, localns=LOCALS)
    return [
        (each.name, hints[each.name], each.default)
        for each in dataclasses.fields(owner)
        if each.name not in FUNCTIONS
    ]


GROUPS = {"circuit_breaker": CircuitOptions, "dead_letter_monitor": DeadLetterMonitor}
PLAIN = [each for each in fields(AwsOptions) if each[0] not in GROUPS]
INNER = [(group, *each) for group, owner in GROUPS.items() for each in fields(owner)]


def both(tmp_path, section, path, value):
    """Return settings that a file, and that the environment says, each with one value."""
    *tables, name = (section, *path)
    file = tmp_path / "settings.toml"
    file.write_text(f"[{'.'.join(tables)}]\n{name} = {json.dumps(value)}\n")
    text = value if isinstance(value, str) else json.dumps(value)
    variable = "_".join(("SOURCEFLOW", section, *path)).upper()
    base = Settings.from_env(environment={"SOURCEFLOW_AWS_REGION": "us-east-1"})
    return [
        base | Settings.from_toml(file),
        base | Settings.from_env(environment={variable: text}),
    ]


@pytest.mark.parametrize(("name", "hint", "default"), PLAIN, ids=[each[0] for each in PLAIN])
def test_every_option_of_the_transport_is_reached(name, hint, default, tmp_path):
    written, value = value_for(name, hint, default)
    assert value != default

    for settings in both(tmp_path, "aws", (name,), written):
        assert getattr(settings.aws, name) == value


@pytest.mark.parametrize(
    ("group", "name", "hint", "default"), INNER, ids=[f"{each[0]}-{each[1]}" for each in INNER]
)
def test_every_option_within_an_option_is_reached(group, name, hint, default, tmp_path):
    written, value = value_for(name, hint, default)

    for settings in both(tmp_path, "aws", (group, name), written):
        assert getattr(getattr(settings.aws, group), name) == value


#: What is made of a section, how, and what else must be said for it to be.
MADE = {
    SqlStores: ("stores", Settings.stores, {"SOURCEFLOW_STORES_URL": "postgresql://h/x"}),
    SqlIdempotency: (
        "idempotency",
        Settings.idempotency,
        {"SOURCEFLOW_IDEMPOTENCY_URL": "postgresql://h/x"},
    ),
    InMemoryIdempotency: (
        "idempotency",
        Settings.idempotency,
        {"SOURCEFLOW_IDEMPOTENCY_URL": "memory"},
    ),
    HealthOptions: ("health", lambda settings: settings.health, {}),
    Telemetry: ("telemetry", Settings.telemetry, {}),
}
ARGUMENTS = [
    (owner, name)
    for owner in MADE
    for name in inspect.signature(owner).parameters
    if name not in OBJECTS
]


@pytest.mark.parametrize(
    ("owner", "name"), ARGUMENTS, ids=[f"{owner.__name__}-{name}" for owner, name in ARGUMENTS]
)
def test_every_argument_of_what_is_made_is_reached(owner, name, tmp_path, monkeypatch):
    seen = {}
    original = owner.__init__
    hints = get_type_hints(original, localns=LOCALS)

    @functools.wraps(original)
    def spy(self, *args, **options):
        seen.update(options)
        original(self, *args, **options)

    default = inspect.signature(owner).parameters[name].default
    section, make, needed = MADE[owner]
    monkeypatch.setattr(owner, "__init__", spy)
    written, value = value_for(name, hints[name], default)
    base = Settings.from_env(environment=needed)

    for settings in both(tmp_path, section, (name,), written):
        seen.clear()
        make(base | settings)
        assert seen[name] == value != default


@pytest.mark.parametrize(
    ("table", "method", "key"),
    [
        ("commands", Send.command, "Go"),
        ("events", Raise.event, "Gone"),
        ("command_queues", Listen.command_queue, "go.fifo"),
        ("topics", Subscribe.topic, "gone"),
    ],
)
def test_every_argument_of_the_fluent_configuration_is_reached(table, method, key, tmp_path):
    hints = get_type_hints(method)
    keywords = [
        name
        for name, each in inspect.signature(method).parameters.items()
        if each.kind is each.KEYWORD_ONLY
    ]
    defaults = inspect.signature(method).parameters
    told = {name: value_for(name, hints[name], defaults[name].default) for name in keywords}
    assert told

    written = {key: {name: value for name, (value, _) in told.items()}}
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in written[key].items())
    file = tmp_path / "bus.toml"
    file.write_text(f'[bus.{table}."{key}"]\n{lines}')
    variable = f"SOURCEFLOW_BUS_{table.upper()}"
    for settings in (
        Settings.from_toml(file),
        Settings.from_env(environment={variable: json.dumps(written)}),
    ):
        bus = configure_bus(settings.bus([Go, Gone]))
        match table:
            case "commands":
                assert bus.commands == {Go: "go"}
                assert list(bus.encrypts.values()) == [told["encrypt"][1]]
            case "events":
                assert bus.events == {Gone: "go"}
                assert list(bus.encrypts.values()) == [told["encrypt"][1]]
            case _:
                (entry,) = getattr(bus, table)
                assert entry.name == key
                assert {name: getattr(entry, name) for name in told} == {
                    name: value for name, (_, value) in told.items()
                }


def test_names_in_the_environment_are_of_one_option_each():
    options = [each for section in SECTIONS for each in options_of(section).values()]

    assert len({each.variable("P_") for each in options}) == len(options)


def test_what_takes_a_function_is_left_to_code():
    assert not any(FUNCTIONS & set(path) for path in options_of("aws"))
