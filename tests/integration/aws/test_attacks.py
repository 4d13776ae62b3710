"""Messages made to do harm: each is a dead letter or is ignored, and the next message is handled."""

from __future__ import annotations

import json
import secrets
import sys

import pytest

from letter_watch import LetterWatch
from sourceflow.stores.memory import MemoryStores
from sourceflow.stores.sql import SqlStores
from sums import Add, Sum, SumRow, sums

DANGEROUS = {
    "compile",
    "exec",
    "import",
    "marshal.loads",
    "os.exec",
    "os.system",
    "pickle.find_class",
}
DANGEROUS |= {"os.posix_spawn", "os.spawn", "subprocess.Popen", "ctypes.dlopen"}


@pytest.fixture
def watch():
    return LetterWatch()


@pytest.fixture(params=["memory", "sqlite"])
def stores(request, tmp_path):
    if request.param == "memory":
        return MemoryStores()
    return SqlStores(f"sqlite:///{tmp_path / 'sums.db'}")


@pytest.fixture
async def app(cloud, watch, stores):
    async with sums(cloud, watch, stores) as app:
        yield app


class Audit:
    """What the interpreter was asked to import, compile or run while it is on."""

    def __init__(self):
        self.seen: list[str] | None = None
        sys.addaudithook(self._hook)  # it can't be taken off again: it only looks when asked to

    def _hook(self, event, arguments):
        if self.seen is not None and event in DANGEROUS:
            self.seen.append(f"{event} {arguments[:1]}")


AUDIT = Audit()


@pytest.fixture
def audit():
    AUDIT.seen = []
    yield AUDIT.seen
    AUDIT.seen = None


def document(**changes):
    whole = {
        "specversion": "1.0",
        "id": "m-1",
        "source": "/elsewhere",
        "type": "Add",
        "subject": "1",
        "time": "2026-01-01T00:00:00Z",
        "datacontenttype": "application/json",
        "data": {"id": "1", "amount": 5},
        "kind": "command",
        "dataversion": 1,
        "correlationid": "m-1",
        "depth": 0,
        **changes,
    }
    return json.dumps({name: value for name, value in whole.items() if value is not ...})


def with_data(text):
    """Return a document with data that is no JSON of Python's."""
    return document(data="@").replace('"@"', text)


async def put(cloud, queue, body, *, group="g", deduplication=None, **attributes):
    fifo = {
        "MessageGroupId": group,
        "MessageDeduplicationId": deduplication or secrets.token_hex(8),
    }
    await cloud.plane.sqs(
        "send_message",
        QueueUrl=await cloud.url(queue),
        MessageBody=body,
        MessageAttributes={
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
        },
        **(fifo if queue.endswith(".fifo") else {}),
    )


def notification(topic, message):
    return json.dumps(
        {
            "Type": "Notification",
            "TopicArn": topic,
            "Message": message,
            "MessageAttributes": {"type": {"Type": "String", "Value": "Added"}},
        }
    )


OURS = "arn:aws:sns:us-east-1:000000000000:sum-events"
DEEP = "[" * 10_000 + "]" * 10_000

ATTACKS = {
    "a function of a module": (document(type="os.system"), "os.system", "UnknownType"),
    "a module": (document(type="antigravity"), "antigravity", "UnknownType"),
    "a class by its path": (document(type="sourceflow.App"), None, "UnknownType"),
    "a dunder": (document(type="__class__"), "__class__", "UnknownType"),
    "a pickle's opcodes": ("cos\nsystem\n(S'id'\ntR.", "Add", "Malformed"),
    "a YAML tag": ("!!python/object/apply:os.system ['id']", "Add", "Malformed"),
    "nested 10,000 deep": (with_data(f'{{"id":"1","note":{DEEP}}}'), "Add", "Malformed"),
    "nested in a header": (document()[:-1] + f',"tenant":{DEEP}}}', "Add", "Malformed"),
    "1e999999": (with_data('{"id":"1","amount":1e999999}'), "Add", "Malformed"),
    "5,000 digits": (with_data('{"id":"1","amount":' + "9" * 5000 + "}"), "Add", "Malformed"),
    "5,000 digits anywhere": (
        with_data('{"id":"1","note":1' + "9" * 5000 + "e99999}"), "Add", "Malformed",
    ),
    "1 MB of brackets": ("[" * 1_000_000, "Add", "Malformed"),
    "1 MB of nested objects": (with_data('{"id":"1","note":' + '{"a":' * 199_000), "Add", "Malformed"),
    "U+FFFE": (with_data('{"id":"1","note":"\\ufffe"}'), "Add", "Malformed"),
    "a surrogate": (with_data('{"id":"1","note":"\\ud800"}'), "Add", "Malformed"),
    "a source with NUL": (document(source="/a\0"), "Add", "Malformed"),
    "a header of two lines": (document(tenant="a\r\nhost: b"), "Add", "Malformed"),
    "a name that no header has": (document(Dataschema="b"), "Add", "Malformed"),
    "a reserved name that is no text": (document(dataschema=1), "Add", "Malformed"),
    "another type beside it": (document(), "Added", "Malformed"),
    "an endless chain of causes": (document(depth=2**62), "Add", "Rejected"),
    "an envelope of SNS": (notification(OURS, document()), None, "Malformed"),
    "an event": (document(kind="event", type="Added"), "Added", "WrongKind"),
}  # fmt: skip


def test_the_audit_sees_what_code_runs(audit):
    exec("0")  # what no message may reach
    with pytest.raises(ModuleNotFoundError):
        __import__("no_module_of_this_name")

    assert {each.split()[0] for each in audit} >= {"compile", "exec", "import"}


@pytest.mark.parametrize(("body", "hint", "reason"), ATTACKS.values(), ids=ATTACKS)
async def test_an_attack_on_a_command_queue_is_a_dead_letter_and_runs_nothing(
    cloud, app, watch, body, hint, reason, audit
):
    await app.send(Add(id="warm", amount=1))
    await app.drained()
    await put(cloud, "sums.fifo", document(type="Never", id="warm"), type="Never")
    await watch.letter()
    audit.clear()

    await put(cloud, "sums.fifo", body, **({} if hint is None else {"type": hint}))
    letter = await watch.letter()
    await put(cloud, "sums.fifo", document(), type="Add")
    await app.drained()

    assert letter.reason == reason
    assert audit == []
    assert (await app.get(Sum, "1")).amount == 5
    answer = await cloud.plane.sqs(
        "receive_message",
        QueueUrl=await cloud.url("sums-dlq.fifo"),
        MaxNumberOfMessages=10,
        AttributeNames=["All"],
    )
    assert body in [each["Body"] for each in answer["Messages"]]


FORGED = {
    "a command": (document(), "Add", "WrongKind"),
    "a command inside, an event outside": (document(type="Add"), "Added", "Malformed"),
    "an event that says it is a command": (document(type="Added"), "Added", "WrongKind"),
    "an envelope of a topic not subscribed": (
        notification(OURS + "-of-others", document(type="Added", kind="event")), None, "Malformed",
    ),
    "an envelope inside of an envelope": (
        notification(OURS, notification(OURS, document(type="Added", kind="event"))),
        None,
        "Malformed",
    ),
    "nested 10,000 deep": (DEEP, "Added", "Malformed"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "hint", "reason"), FORGED.values(), ids=FORGED)
async def test_an_attack_on_the_event_queue_is_a_dead_letter(cloud, app, watch, body, hint, reason):
    await put(cloud, "sums-events", body, **({} if hint is None else {"type": hint}))
    letter = await watch.letter()
    await put(cloud, "sums-events", document(type="Added", kind="event"), type="Added")
    await app.drained()

    assert letter.reason == reason
    assert (await app.get(SumRow, "1")).amount == 5
    assert await app.find(Sum, "1") is None


async def test_a_replayed_command_has_no_second_effect(cloud, app, watch):
    for _ in range(3):
        await put(cloud, "sums.fifo", document(), type="Add")
        await app.drained()

    assert (await app.get(Sum, "1")).amount == 5
    assert watch.has_none


async def test_a_replayed_event_has_no_second_effect(cloud, app, watch):
    for _ in range(3):
        await put(cloud, "sums-events", document(type="Added", kind="event"), type="Added")
        await app.drained()

    assert (await app.get(SumRow, "1")).amount == 5
    assert watch.has_none


async def test_a_foreign_source_that_uses_our_ids_suppresses_nothing_of_ours(cloud, app, watch):
    await put(cloud, "sums.fifo", document(id="ours"), type="Add")
    await put(cloud, "sums-events", document(id="ours", type="Added", kind="event"), type="Added")
    await app.drained()

    await app.send(Add(id="1", amount=2), message_id="ours")
    await app.drained()

    assert (await app.get(Sum, "1")).amount == 7
    assert (await app.get(SumRow, "1")).amount == 12
    assert watch.has_none


async def test_a_reserved_attribute_of_other_writers_is_no_fault(cloud, app, watch):
    """CloudEvents lets anybody say where a schema of the data is."""
    await put(cloud, "sums.fifo", document(dataschema="urn:x"), type="Add")
    event = document(dataschema="urn:x", type="Added", kind="event")
    await put(cloud, "sums-events", event, type="Added")
    await app.drained()

    assert (await app.get(Sum, "1")).amount == 5
    assert (await app.get(SumRow, "1")).amount == 10
    assert watch.has_none


async def test_a_key_that_is_given_twice_counts_as_the_last_one(cloud, app, watch):
    body = with_data('{"id":"1","amount":1,"amount":3}')
    await put(cloud, "sums.fifo", body, type="Add")
    await put(cloud, "sums.fifo", body.replace("m-1", "m-2")[:-1] + ',"tenant":"a"}', type="Add")
    await put(cloud, "sums.fifo", body.replace("m-1", "m-3"))
    await app.drained()

    assert (await app.get(Sum, "1")).amount == 9
    assert watch.has_none
