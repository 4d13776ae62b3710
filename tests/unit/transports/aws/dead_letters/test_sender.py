from __future__ import annotations

import json

import pytest

from sourceflow.bus.observer import Observer
from sourceflow.bus.ports import DeadLetterFilter
from sourceflow.errors import AwsConfigurationError, AwsError, DependencyError
from sourceflow.stores.memory import MemoryStores
from sourceflow.transports.aws.client import AttributeValue, DeleteEntry, SendEntry
from sourceflow.transports.aws.dead_letters import DeadLetterSender
from sourceflow.transports.aws.dead_letters.note import MAX_NOTE

BODY = '{"id":"m-1","data":{}}'


class Watcher(Observer):
    def __init__(self):
        self.letters = []

    def dead_lettered(self, letter):
        self.letters.append(letter)


@pytest.fixture
def watcher():
    return Watcher()


@pytest.fixture
def records():
    return MemoryStores().dead_letters


@pytest.fixture
def make_sender(sqs, clock, records, watcher):
    def make(dead_letter_url, *, queue="orders.fifo"):
        return DeadLetterSender(
            sqs=sqs,
            queue=queue,
            dead_letter_url=dead_letter_url,
            is_fifo=queue.endswith(".fifo"),
            records=records,
            observer=watcher,
            clock=clock,
        )

    return make


@pytest.fixture
def arrive(sqs, make_queue, receive_all):
    """Let a message arrive in a queue; return it as it was received."""

    async def arrive(body=BODY, *, queue="orders.fifo", attributes=None, deduplication_id="m-1"):
        url = await make_queue(queue)
        fifo = queue.endswith(".fifo")
        entry = SendEntry(
            id="0",
            body=body,
            attributes={"type": "Pay"} if attributes is None else attributes,
            group_id="o-1" if fifo else None,
            deduplication_id=deduplication_id if fifo else None,
        )
        result = await sqs.send_message_batch(url, [entry])
        assert not result.failed
        [message] = await receive_all(url)
        await sqs.delete_message_batch(url, [DeleteEntry("0", message.receipt_handle)])
        return message

    return arrive


def give_up(sender, message, *, error=None, subscribers=(), reason="RetriesExhausted"):
    return sender.send(
        message,
        reason=reason,
        error=error or ValueError("no such account"),
        handled=None,
        attempts=5,
        subscribers=subscribers,
    )


async def test_a_dead_letter_is_what_arrived_with_a_note(
    make_sender, make_queue, arrive, receive_all, clock
):
    message = await arrive(attributes={"type": "Pay", "traceparent": "00-1"})
    dead = await make_queue("orders-dlq.fifo")

    await give_up(make_sender(dead), message, subscribers=("Views.paid",))
    [letter] = await receive_all(dead)
    assert letter.body == BODY
    assert letter.system.message_group_id == "o-1"
    note = json.loads(letter.attributes.pop("sourceflow-dead-letter").string_value)
    assert letter.attributes == message.attributes
    assert note == {
        "reason": "RetriesExhausted",
        "error": "ValueError: no such account",
        "subscribers": ["Views.paid"],
        "source": "orders.fifo",
        "attempts": 5,
        "received": 1,
        "copy": message.message_id,
        "time": clock.now().isoformat().replace("+00:00", "Z"),
    }


async def test_it_is_recorded_and_told(make_sender, make_queue, arrive, records, watcher):
    message = await arrive()
    await give_up(make_sender(await make_queue("orders-dlq.fifo")), message)

    [record] = await records.query(DeadLetterFilter())
    assert (record.source, record.message_id, record.type_name) == ("orders.fifo", "m-1", "Pay")
    assert (record.reason, record.attempts) == ("RetriesExhausted", 5)
    assert (record.body, record.attributes) == (BODY.encode(), {"type": "Pay"})
    assert watcher.letters == [record]


async def test_a_message_that_dies_twice_within_five_minutes_is_kept_twice(
    make_sender, make_queue, arrive, receive_all
):
    """With the old deduplication id SQS would swallow the second (five minutes, fixed)."""
    dead = await make_queue("orders-dlq.fifo")
    sender = make_sender(dead)
    await give_up(sender, await arrive())
    await give_up(sender, await arrive(deduplication_id="m-1.sent-again"))

    letters = await receive_all(dead)
    assert len(letters) == 2
    assert all(letter.system.message_deduplication_id.startswith("m-1.") for letter in letters)


@pytest.mark.parametrize("foreign", ["x" * 500, "with spaces", "ünïcode"])
async def test_an_id_that_sqs_would_not_take_does_not_hold_up_a_dead_letter(
    make_sender, make_queue, arrive, receive_all, foreign
):
    message = await arrive(json.dumps({"id": foreign}))
    dead = await make_queue("orders-dlq.fifo")

    await give_up(make_sender(dead), message)
    assert len(await receive_all(dead)) == 1


async def test_a_message_that_is_no_document_goes_under_the_id_of_sqs(
    make_sender, make_queue, arrive, records, receive_all
):
    message = await arrive("no json", attributes={})
    dead = await make_queue("orders-dlq.fifo")

    await give_up(make_sender(dead), message, reason="Malformed")
    [record] = await records.query(DeadLetterFilter())
    assert (record.message_id, record.type_name) == (message.message_id, "")
    assert len(await receive_all(dead)) == 1


async def test_a_standard_queue_works_without_groups(make_sender, make_queue, arrive, receive_all):
    message = await arrive(queue="events")
    dead = await make_queue("events-dlq")

    await give_up(make_sender(dead, queue="events"), message)
    assert [letter.body for letter in await receive_all(dead)] == [BODY]


async def test_the_note_would_be_the_eleventh_attribute_and_is_left_out(
    make_sender, make_queue, arrive, receive_all, records
):
    attributes = {f"a{at}": str(at) for at in range(10)}
    message = await arrive(attributes=attributes)
    dead = await make_queue("orders-dlq.fifo")

    await give_up(make_sender(dead), message)
    [letter] = await receive_all(dead)
    assert set(letter.attributes) == set(attributes)
    assert await records.count(DeadLetterFilter()) == 1


async def test_an_old_note_makes_room_for_the_new_one(make_sender, make_queue, arrive, receive_all):
    attributes = {f"a{at}": str(at) for at in range(9)} | {"sourceflow-dead-letter": "{}"}
    message = await arrive(attributes=attributes)
    dead = await make_queue("orders-dlq.fifo")

    await give_up(make_sender(dead), message)
    [letter] = await receive_all(dead)
    assert "RetriesExhausted" in letter.attributes["sourceflow-dead-letter"].string_value


async def test_binary_attributes_stay(make_sender, make_queue, arrive, receive_all):
    binary = AttributeValue("Binary", binary_value=b"\x00\x01")
    message = await arrive(attributes={"raw": binary})
    dead = await make_queue("orders-dlq.fifo")

    await give_up(make_sender(dead), message)
    [letter] = await receive_all(dead)
    assert letter.attributes["raw"] == binary


@pytest.mark.parametrize("text", ["x" * 10_000, "ü" * 5_000, '\x01\x02"' * 3_000, "\ud800" * 10])
async def test_a_note_is_short_whatever_the_error_says(
    make_sender, make_queue, arrive, receive_all, text
):
    message = await arrive()
    dead = await make_queue("orders-dlq.fifo")

    await give_up(
        make_sender(dead),
        message,
        error=ValueError(text),
        subscribers=tuple("s" * 200 + str(at) for at in range(50)),
    )
    [letter] = await receive_all(dead)
    note = letter.attributes["sourceflow-dead-letter"].string_value
    assert len(note.encode()) <= MAX_NOTE
    assert json.loads(note)["reason"] == "RetriesExhausted"
    assert json.loads(note)["error"].startswith("ValueError: ")
    assert json.loads(note)["subscribers"] == []


async def test_subscribers_that_fit_are_all_named_however_long_the_error_is(
    make_sender, make_queue, arrive, receive_all
):
    message = await arrive()
    dead = await make_queue("orders-dlq.fifo")
    names = tuple(f"Views.{'x' * 100}{at}" for at in range(10))

    await give_up(make_sender(dead), message, error=ValueError("x" * 10_000), subscribers=names)
    [letter] = await receive_all(dead)
    assert json.loads(letter.attributes["sourceflow-dead-letter"].string_value)[
        "subscribers"
    ] == list(names)


async def test_a_message_that_fills_its_queue_goes_without_a_note(
    make_sender, make_queue, arrive, receive_all
):
    body = json.dumps({"id": "m-1", "data": "x" * 1_048_500})
    message = await arrive(body, attributes={})
    dead = await make_queue("orders-dlq.fifo")

    await give_up(make_sender(dead), message)
    [letter] = await receive_all(dead)
    assert letter.body == body
    assert letter.attributes == {}


async def test_without_a_dead_letter_queue_a_message_is_not_given_up(
    make_sender, arrive, records, watcher
):
    message = await arrive()

    with pytest.raises(AwsConfigurationError, match=r"orders\.fifo has no dead letter queue"):
        await give_up(make_sender(None), message)
    assert await records.count(DeadLetterFilter()) == 0
    assert watcher.letters == []


async def test_a_dead_letter_queue_that_refuses_is_an_error_and_nothing_is_recorded(
    make_sender, make_queue, arrive, wire, records
):
    message = await arrive()
    dead = await make_queue("orders-dlq.fifo")
    wire.next(
        "SendMessageBatch",
        (
            200,
            {"Failed": [{"Id": "0", "Code": "InvalidParameterValue", "SenderFault": True}]},
        ),
    )

    with pytest.raises(AwsError):
        await give_up(make_sender(dead), message)
    assert await records.count(DeadLetterFilter()) == 0


class AwayRecords:
    async def save(self, letter):
        raise DependencyError("the database does not answer")


class TestWithoutRecords:
    @pytest.fixture
    def records(self):
        return AwayRecords()

    async def test_a_store_that_is_away_does_not_hold_up_a_dead_letter(
        self, make_sender, make_queue, arrive, receive_all, watcher, caplog
    ):
        message = await arrive()
        dead = await make_queue("orders-dlq.fifo")
        await give_up(make_sender(dead), message)

        assert len(await receive_all(dead)) == 1
        assert [letter.message_id for letter in watcher.letters] == ["m-1"]
        assert "dead letter m-1 is not recorded: the database does not answer" in caplog.text
