"""Tables and lists of the documents equal what the code says."""

from __future__ import annotations

import dataclasses
import inspect
import json
import logging
import re
import runpy
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from sourceflow import (
    Aggregate,
    App,
    Command,
    Context,
    Entity,
    Event,
    HealthApp,
    HealthOptions,
    Idempotency,
    Key,
    Middleware,
    Observer,
    Saga,
    View,
    ViewModel,
    errors,
    handles,
    projects,
    subscribes,
    upcasts,
)
from sourceflow.bus.outcome import DeadLetterReason
from sourceflow.demo.order_file import read_orders
from sourceflow.demo.program import Summary
from sourceflow.host.cli.codes import CAME_OUT_WRONG, INTERRUPTED, WRONG_INPUT
from sourceflow.messages import codec
from sourceflow.messages.sensitive import MASKS, SensitiveKind, mask
from sourceflow.resilience import CircuitOptions
from sourceflow.settings import Settings
from sourceflow.stores.memory import InMemoryIdempotency
from sourceflow.stores.sql import SqlIdempotency, SqlStores, vault
from sourceflow.stores.sql.schema import build_schema
from sourceflow.telemetry.lines import FIELDS, LINES
from sourceflow.telemetry.otel import Telemetry
from sourceflow.testing import LocalAws, ManualClock
from sourceflow.transports.aws import (
    AwsOptions,
    AwsTransport,
    DeadLetterMonitor,
    LocalKeyProvider,
    SnsAlert,
)
from sourceflow.transports.aws.bus import Listen, ListenedQueue, Raise, Send, Subscribe
from sourceflow.transports.aws.permissions import PolicyMode, Role

#: Other words for our things, which no document uses.
OTHER_WORDS = (
    "command handler",
    "event handler",
    "event listener",
    "read side model",
    "producer",
    "consumer",
    "DLQ",
    "microservice",
)


def names(rows):
    """Return every `name` in the first cells of a table's rows."""
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row[0])]


def shown(default):
    if default is dataclasses.MISSING:
        return "required"
    if isinstance(default, timedelta):
        return f"`timedelta(seconds={default.total_seconds():.0f})`"
    if isinstance(default, CircuitOptions):
        return "`CircuitOptions()`" if default == CircuitOptions() else f"`{default!r}`"
    return f"`{default}`" if isinstance(default, datetime) else f"`{default!r}`"


#: What the rows of the table of options are of, each with what takes the options.
OPTIONS_OF = {
    "`App`": App,
    "`HealthOptions`": HealthOptions,
    "`HealthApp`": HealthApp,
    "`Command`, `Event`": Command.__init_subclass__,
    "`Entity`": Entity.__init_subclass__,
    "`ViewModel`": ViewModel.__init_subclass__,
    "`View`": View.__init_subclass__,
    "`@handles`": handles,
    "`@subscribes`": subscribes,
    "`@projects`": projects,
    "`@upcasts`": upcasts,
    "`AwsTransport`": AwsTransport,
    "`AwsOptions`": AwsOptions,
    "`.send.command`": Send.command,
    "`.raise_.event`": Raise.event,
    "`.command_queue`": Listen.command_queue,
    "`.topic`": Subscribe.topic,
    "`CircuitOptions`": CircuitOptions,
    "`DeadLetterMonitor`": DeadLetterMonitor,
    "`SnsAlert`": SnsAlert,
    "`SqlStores`": SqlStores,
    "`SqlIdempotency`": SqlIdempotency,
    "`InMemoryIdempotency`": InMemoryIdempotency,
    "`LocalKeyProvider`": LocalKeyProvider,
    "`LocalAws`": LocalAws,
    "`ManualClock`": ManualClock,
    "`Telemetry`": Telemetry,
}
#: Parameters of functions that are no options: what they are called on or for.
SUBJECTS = {"self", "method", "command", "event"}


def test_every_option_is_in_the_table(documents):
    rows = documents["docs/reference/options.md"].table("of", "option", "default", "effect")

    assert [row[:3] for row in rows] == [
        (owner, name, default)
        for owner, taker in OPTIONS_OF.items()
        for name, default in parameters(taker)
    ]
    assert all(effect for *_, effect in rows)


@pytest.mark.parametrize(
    ("owner", "guide"),
    [
        ("`DeadLetterMonitor`", "docs/guide/dead-letters.md"),
        ("`HealthOptions`", "docs/guide/health.md"),
        ("`SqlStores`", "docs/guide/databases.md"),
        ("`SqlIdempotency`", "docs/guide/idempotency.md"),
        ("`Telemetry`", "docs/guide/telemetry.md"),
    ],
)
def test_a_guide_says_of_an_option_what_the_table_says(owner, guide, documents):
    rows = documents["docs/reference/options.md"].table("of", "option", "default", "effect")
    told = documents[guide].table("option", "default", "effect")

    assert [row[1:] for row in rows if row[0] == owner] == told


def test_the_table_of_settings_is_the_one_that_is_made(documents, root):
    rows = documents["docs/guide/settings.md"].table("key", "variable", "takes", "default")

    assert rows == runpy.run_path(str(root / "tools" / "settings_table.py"))["rows"]()


def test_the_file_of_settings_that_is_shown_can_be_read(documents, tmp_path):
    (block,) = documents["docs/guide/settings.md"].blocks_of("toml")
    path = tmp_path / "orders.toml"
    path.write_text(block.code)

    settings = Settings.from_toml(path)
    assert settings.aws.dead_letter_monitor.topics == ("operations",)
    assert settings.snapshot()["bus"]["command_queues"]["payments.fifo"]["timeout"] == "10 s"


def test_the_table_of_the_idempotency_service_is_that_of_the_class(documents):
    document = documents["docs/guide/idempotency.md"]
    rows = document.table("option", "default", "effect")

    assert [row[:2] for row in rows] == parameters(SqlIdempotency)
    assert names(document.table("method", "meaning")) == [
        name for name in vars(Idempotency) if not name.startswith("_")
    ]


def test_the_options_of_stores_in_databases_are_those_of_the_class(documents):
    rows = documents["docs/guide/databases.md"].table("option", "default", "effect")

    assert [row[:2] for row in rows] == parameters(SqlStores)


def parameters(made):
    """Return what a class or function takes, as a table shows it."""
    return [
        (f"`{each.name}`", "required" if each.default is each.empty else shown(each.default))
        for each in inspect.signature(made).parameters.values()
        if each.kind is not each.VAR_KEYWORD
        and not (inspect.isfunction(made) and each.name in SUBJECTS)
    ]


def test_the_table_of_the_monitor_is_that_of_the_class(documents):
    rows = documents["docs/guide/dead-letters.md"].table("option", "default", "effect")

    assert [row[:2] for row in rows] == [
        (f"`{field.name}`", shown(field.default)) for field in dataclasses.fields(DeadLetterMonitor)
    ]


def test_the_overrides_of_a_queue_are_named(documents):
    overrides = {field.name for field in dataclasses.fields(ListenedQueue)} - {"name"}
    (sentence,) = re.findall(r"`command_queue` takes ([^.]*)", documents["docs/guide/aws.md"].prose)

    assert set(re.findall(r"`(\w+)`", sentence)) == overrides


def test_the_reasons_of_dead_letters_are_those_there_are(documents):
    rows = documents["docs/guide/aws.md"].table("reason", "when", "after")

    assert set(names(rows)) == set(get_args(DeadLetterReason))


def test_the_kinds_of_sensitive_values_are_masked_as_the_table_says(documents):
    rows = documents["docs/guide/privacy.md"].table("kind", "looks like", "shown", "anything else")
    told = [[cell.strip("`") for cell in row] for row in rows]

    assert [kind for kind, *_ in told] == list(get_args(SensitiveKind)) == list(MASKS)
    for kind, value, shown, hidden in told:
        assert mask(kind, value) == shown
        assert mask(kind, "") == MASKS[kind].hidden == hidden


def test_the_lines_of_the_log_are_those_of_the_catalogue(documents):
    document = documents["docs/guide/logging.md"]
    rows = document.table("line", "level", "when", "fields")

    assert rows == [
        (
            f"`{line.name}`",
            logging.getLevelName(line.level),
            line.description,
            ", ".join(f"`{field}`" for field in line.fields),
        )
        for line in LINES
    ]
    assert document.table("field", "meaning") == [
        (f"`{field}`", field.description) for field in FIELDS
    ]


def test_the_tree_of_errors_is_that_of_the_module(documents):
    tree = documents["docs/guide/errors.md"].blocks_of("text")[0].code

    lines = [line.strip() for line in errors.__doc__.splitlines()]
    for line in tree.splitlines():
        assert line.strip() in lines
    named = set(re.findall(r"(?<![(\w])\w+Error\b", tree))
    assert named == {name for name in errors.__all__ if name.endswith("Error")}


def test_every_error_is_told_with_what_to_do(documents):
    rows = documents["docs/guide/errors.md"].table("error", "when", "what to do")

    assert sorted(names(rows)) == [name for name in errors.__all__ if name.endswith("Error")]
    # Bases that nothing raises are there to be caught.
    assert [error for error, _, advice in rows if not advice] == ["`MessageError`", "`AwsError`"]


@pytest.mark.parametrize(("head", "owner"), [("hook", Middleware), ("method", Observer)])
def test_the_hooks_are_those_of_the_class(head, owner, documents):
    document = documents["docs/guide/middleware.md"]
    second = {"hook": ("runs around", "on replay"), "method": ("is told",)}[head]

    assert names(document.table(head, *second)) == [
        name for name in vars(owner) if not name.startswith("_")
    ]


def test_the_context_is_told_in_full(documents):
    rows = documents["docs/guide/sagas-and-entities.md"].table("member", "meaning")
    (told,) = [meaning for member, meaning in rows if member == "`self.context`"]

    assert re.findall(r"`(\w+)`", told) == [field.name for field in dataclasses.fields(Context)]


def test_the_attributes_of_the_document_are_those_of_the_codec(documents):
    rows = documents["docs/reference/wire-format.md"].table("attribute", "required", "meaning")

    told = {attribute.strip("`"): required == "yes" for attribute, required, _ in rows}
    fields = msgspec.structs.fields(codec._Document)
    assert told == {field.name: field.required for field in fields}


def test_the_tables_of_telemetry_are_those_of_the_catalogue(documents, root):
    """``python tools/telemetry_tables.py`` writes them."""
    tool = runpy.run_path(str(root / "tools/telemetry_tables.py"))
    text = documents["docs/guide/telemetry.md"].text

    assert text == tool["with_tables"](text)
    assert text.count("| `sourceflow.aws.") > 10  # it does write


def test_the_summary_of_the_demo_is_told_in_full(documents):
    rows = documents["docs/cli.md"].table("member", "meaning")

    assert names(rows) == list(Summary.__struct_fields__)


def test_the_exit_codes_are_those_of_the_command_line(documents):
    rows = documents["docs/cli.md"].table("exit code", "meaning")

    assert [int(code) for code, _ in rows] == [0, CAME_OUT_WRONG, WRONG_INPUT, INTERRUPTED]


def test_the_order_that_is_shown_is_one_the_demo_takes(documents, tmp_path):
    (block,) = documents["docs/cli.md"].blocks_of("json")
    path = tmp_path / "orders.jsonl"
    path.write_text(json.dumps(json.loads(block.code)) + "\n")

    (order,) = read_orders(path)
    assert order.order_id == 10248


def test_both_tables_of_words_are_one(documents):
    head = ("word", "meaning")

    assert documents["README.md"].table(*head) == documents["docs/concepts.md"].table(*head)


def test_documents_use_one_word_for_one_thing(document):
    assert re.findall("|".join(OTHER_WORDS), document.prose) == []


def test_the_demo_prints_what_the_readme_shows(documents):
    """But for the time it took, and where a narrow terminal wraps."""
    program = Path(sys.executable).parent / "sourceflow"
    done = subprocess.run([program, "demo"], capture_output=True, text=True, check=True)

    def told(text):
        return re.sub(r"in [\d.]+ s", "in … s", " ".join(text.split()))

    (shown_there, *_) = documents["README.md"].blocks_of("text")
    assert told(done.stdout) == told(shown_there.code)


class Stop(Command):
    id: Key[str]


class Stopped(Event):
    id: Key[str]


class Train(Entity):
    id: Key[str]


class TrainSaga(Saga[Train]):
    @handles
    def stop(self, command: Stop) -> Train:
        self.raise_event(Stopped(id=command.id))
        return Train(id=command.id)


class Trains(Aggregate[Train]):
    @subscribes
    def stopped(self, event: Stopped) -> None:
        """Nothing more happens."""


@pytest.mark.parametrize("mode", ["ensure", "verify", "off"])
async def test_no_operation_is_called_that_the_guide_does_not_tell_of(mode, documents):
    rows = documents["docs/guide/aws.md"].table("operation", "when")
    told = {
        name
        for operations, when in rows
        if "in the mode" not in when or f"`{mode}`" in when
        for name in re.findall(r"`(\w+)`", operations)
    }
    async with LocalAws() as aws:
        for each in ("ensure", mode):
            aws.calls.clear()
            transport = AwsTransport(
                AwsOptions(
                    region="us-east-1",
                    endpoint_url=aws.endpoint_url,
                    provisioning=each,
                    wait_time=timedelta(seconds=1),
                ),
                lambda bus: (
                    bus.send.command(Stop, queue="stop.fifo")
                    .raise_.event(Stopped, topic="trains")
                    .listen.to.command_queue("stop.fifo")
                    .subscribe.to.topic("trains")
                ),
                credentials=aws.static_credentials(),
            )
            async with App([TrainSaga, Trains], name="rail").use(transport) as app:
                await app.send(Stop(id="t-1"))
                await app.drained(timeout=10)

    assert set(aws.calls) <= told


def statements_of_policies():
    """Return which roles have which statements, of an App that uses everything."""

    def uses_all(bus):
        return (
            bus.send.command(Stop, queue="stop")
            .raise_.event(Stopped, topic="trains")
            .listen.to.command_queue("stop")
            .subscribe.to.topic("trains")
        )

    monitor = DeadLetterMonitor(alerts=(SnsAlert("alerts"),))
    more = {
        "enable_encryption": True,
        "encrypt_at_rest": True,
        "kms_key_id": "k",
        "dead_letter_monitor": monitor,
    }
    found = {}
    for role in get_args(Role):
        for mode in get_args(PolicyMode):
            for configure in (uses_all, lambda bus: bus.raise_.event(Stopped, topic="trains")):
                transport = AwsTransport(AwsOptions(region="us-east-1", **more), configure)
                policy = transport.permissions(
                    "rail",
                    account="0" * 12,
                    role=role,
                    mode=mode,
                    sse_keys=("arn:aws:kms:us-east-1:000000000000:key/1",),
                )
                for statement in policy.statements:
                    found.setdefault(statement.sid, set()).add(role)
    return found


def test_every_statement_of_a_policy_is_told_with_its_roles(documents):
    rows = documents["docs/guide/iam.md"].table("statement", "role", "for")
    everybody = set(get_args(Role))
    told = {
        sid: everybody if roles.startswith("all,") else set(roles.split(", "))
        for sids, roles, _ in rows
        for sid in re.findall(r"`(\w+)`", sids)
        if sid != "ByAlias"
    }
    found = statements_of_policies()
    assert set(told) == set(found)
    assert {sid: roles for sid, roles in found.items() if not roles <= told[sid]} == {}
    assert {
        row[0] for row in documents["docs/guide/iam.md"].table("role", "does", "is given to")
    } == {f"`{role}`" for role in everybody}


@pytest.mark.parametrize("name", ["THREATS.md", "docs/guarantees.md"])
def test_every_promise_names_tests_that_exist(documents, root, name):
    document = documents[name]
    proofs = re.findall(
        r"^\| `(test_\w+)` \| `((?:tests|src)/[\w/]+\.py)` \|$", document.prose, re.MULTILINE
    )

    assert len(proofs) == document.prose.count("`test_")
    missing = [
        f"{path}::{test}"
        for test, path in proofs
        if not re.search(rf"^ *(?:async )?def {test}\(", (root / path).read_text(), re.MULTILINE)
    ]
    assert missing == []
    sections = document.prose.split("\n## ")
    assert [each for each in sections if each[0].isdigit() and "`test_" not in each] == []


#: What is encrypted of each table; the rows of a view model stand in tables of their own.
SEALED = {
    "streams": vault.ENTITY,
    "commands": vault.COMMAND,
    "events": vault.EVENT,
    "outbox": vault.OUTGOING,
    "schedule": vault.OUTGOING,
    "dead_letters": vault.LETTER,
    "view_…": vault.ROW,
}


def words(cell):
    return re.findall(r"`([^`]+)`", cell)


def test_the_tables_say_what_is_encrypted_at_rest(documents):
    rows = documents["docs/guide/encryption.md"].table("table", "encrypted", "in clear")
    *told, (others, nothing, _) = rows
    assert [words(row[0]) for row in told] == [[name] for name in SEALED]
    schema = build_schema()
    tables = {
        each.name.removeprefix(schema.prefix): set(each.columns.keys())
        for each in schema.metadata.sorted_tables
    }
    for name, encrypted, clear in told:
        (table,) = words(name)
        first, *within = words(encrypted)
        assert first == SEALED[table].column
        if table in tables:
            assert {first, *within, *words(clear)} == tables.pop(table)
            assert within == (["error", "attributes"] if table == "dead_letters" else [])
    assert (set(words(others)), nothing) == (set(tables), "nothing")


def test_the_reference_says_what_binds_a_record_to_its_place(documents):
    rows = documents["docs/reference/encrypted-form.md"].table("table", "kind", "columns")
    told = {
        table: (words(kind), words(columns))
        for name, kind, columns in rows
        for table in words(name)
    }
    view = told.pop("view_…")
    assert view == (["row"], ["key"])
    assert vault.ROW.place == ("view", "key")
    assert told == {
        table: ([sealed.kind], list(sealed.place))
        for table, sealed in SEALED.items()
        if table != "view_…"
    }
