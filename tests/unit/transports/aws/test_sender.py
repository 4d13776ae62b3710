from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from sourceflow import Command, Event, Key
from sourceflow.bus.changes import Destination
from sourceflow.errors import (
    AwsConfigurationError,
    AwsRequestError,
    AwsThrottledError,
    AwsTransientError,
    CircuitOpenError,
    KeyUnavailableError,
    MessageTooLargeError,
)
from sourceflow.resilience import Backoff
from sourceflow.testing.clock import settle
from sourceflow.transports.aws.encryption import CONTENT_TYPE, Cipher, LocalKeyProvider, is_sealed
from sourceflow.transports.aws.packing import Target
from sourceflow.transports.aws.sender import ENTRY_TRIES, Sender
from sourceflow.transports.aws.wire import group_of


class Pay(Command):
    id: Key[str]
    note: str = ""


class Paid(Event):
    id: Key[str]


@pytest.fixture
async def url(make_queue):
    return await make_queue("payments.fifo")


@pytest.fixture
def make_sender(sqs, sns, tasks, clock):
    def make(
        url, *, name="payments.fifo", max_bytes=1_048_576, is_topic=False, encrypts=False, **more
    ):
        target = Target(
            name=name,
            address=url,
            is_topic=is_topic,
            is_fifo=name.endswith(".fifo"),
            max_bytes=max_bytes,
            arn=f"arn:{name}",
            encrypts=encrypts,
        )
        return Sender(
            sqs=sqs,
            sns=sns,
            targets={Destination("topic" if is_topic else "queue", name): target},
            tasks=tasks,
            clock=clock,
            backoff=Backoff(random=lambda: 1.0),
            **more,
        )

    return make


async def test_a_command_enters_its_fifo_queue_under_its_key_and_its_own_id(
    make_sender, url, outgoing_of, receive_all
):
    sent = outgoing_of(Pay(id="o-1"), "payments.fifo")

    assert await make_sender(url).send([sent]) == [None]
    [message] = await receive_all(url)
    assert message.body.encode() == sent.body
    assert message.system.message_group_id == "o-1"
    assert message.system.message_deduplication_id == sent.envelope.id
    assert message.attributes["type"].string_value == "Pay"


async def test_two_equal_commands_are_two_commands(make_sender, url, outgoing_of, receive_all):
    sender = make_sender(url)

    await sender.send([outgoing_of(Pay(id="o-1"), "payments.fifo") for _ in range(2)])
    assert len(await receive_all(url)) == 2


async def test_a_standard_queue_gets_neither_group_nor_deduplication_id(
    make_sender, make_queue, outgoing_of, wire
):
    url = await make_queue("payments")

    await make_sender(url, name="payments").send([outgoing_of(Pay(id="o-1"), "payments")])
    [entry] = wire.requests("SendMessageBatch")[0]["Entries"]
    assert set(entry) == {"Id", "MessageBody", "MessageAttributes"}


async def test_many_senders_share_calls(make_sender, make_queue, outgoing_of, wire):
    url = await make_queue("payments")
    sender = make_sender(url, name="payments")

    await asyncio.gather(
        *(sender.send([outgoing_of(Pay(id=str(n)), "payments")]) for n in range(100))
    )
    assert wire.count("SendMessageBatch") == 10


async def test_the_order_of_a_key_is_the_order_of_sending(
    make_sender, url, outgoing_of, wire, clock
):
    sender = make_sender(url)
    wire.next("SendMessageBatch", AwsTransientError("reset", code="ConnectionFailed"))
    sending = asyncio.create_task(
        sender.send([outgoing_of(Pay(id="o-1", note=str(n)), "payments.fifo") for n in range(5)])
    )
    while not sending.done():
        await clock.advance(timedelta(seconds=1))

    assert await sending == [None] * 5
    notes = [
        request["Entries"][0]["MessageBody"].partition('"note":"')[2][0]
        for request in wire.requests("SendMessageBatch")
    ]
    assert notes == ["0", "0", "1", "2", "3", "4"]


async def test_an_answer_that_got_lost_sends_a_command_once(
    make_sender, url, outgoing_of, wire, lost, clock, receive_all
):
    wire.next("SendMessageBatch", lost(AwsTransientError("reset", code="ConnectionFailed")))
    sending = asyncio.create_task(
        make_sender(url).send([outgoing_of(Pay(id="1"), "payments.fifo")])
    )
    while not sending.done():
        await clock.advance(timedelta(seconds=1))

    assert await sending == [None]
    assert wire.count("SendMessageBatch") == 2
    assert len(await receive_all(url)) == 1


async def test_somebody_who_gives_up_takes_nobody_along(make_sender, url, outgoing_of, receive_all):
    sender = make_sender(url)
    impatient, patient = (
        asyncio.create_task(sender.send([outgoing_of(Pay(id="o-1", note=note), "payments.fifo")]))
        for note in ("impatient", "patient")
    )
    await asyncio.sleep(0)
    impatient.cancel()

    assert await patient == [None]
    assert impatient.cancelled()
    assert len(await receive_all(url)) == 2


class TestCircuit:
    """Calls to a destination that cannot be reached are suspended; others go on."""

    @pytest.fixture
    async def sender(self, make_sender, make_queue):
        return make_sender(await make_queue("payments"), name="payments")

    @pytest.fixture
    def pay(self, sender, outgoing_of, clock):
        async def pay(key="1"):
            sending = asyncio.create_task(sender.send([outgoing_of(Pay(id=key), "payments")]))
            for _ in range(100):
                await settle()
                if sending.done():
                    break
                await clock.advance(timedelta(milliseconds=100))
            [error] = await sending
            return error

        return pay

    async def test_a_circuit_tells_when_it_changed_by_the_clock_of_the_app(self, sender, clock):
        await clock.advance(timedelta(days=400))
        (circuit,) = sender.circuits.values()
        circuit.trip()

        assert circuit.statistics.changed_at == clock.now()

    async def test_five_calls_that_fail_suspend_the_rest(self, pay, wire, clock, caplog):
        gone = (400, {"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "gone"})
        wire.next("SendMessageBatch", *[gone] * 5)
        for _ in range(5):
            assert isinstance(await pay(), AwsConfigurationError)
        before = wire.count("SendMessageBatch")
        error = await pay()

        assert isinstance(error, CircuitOpenError)
        assert error.destination == "payments"
        assert timedelta(seconds=50) < error.retry_after <= timedelta(seconds=60)
        assert wire.count("SendMessageBatch") == before
        assert "sends to payments: the circuit is open" in caplog.text
        await clock.advance(timedelta(seconds=61))
        assert [await pay(), await pay()] == [None, None]
        assert "sends to payments: the circuit is closed" in caplog.text

    async def test_faults_of_messages_do_not_count(self, pay, wire):
        fault = {"Id": "0", "Code": "InvalidMessageContents", "SenderFault": True, "Message": ""}
        wire.next("SendMessageBatch", *[(200, {"Failed": [fault], "Successful": []})] * 8)
        for _ in range(8):
            assert isinstance(await pay(), AwsRequestError)

        assert await pay() is None

    async def test_throttling_does_not_count(self, sender, pay, wire, outgoing_of, clock):
        slow = (403, {"__type": "com.amazonaws.sqs#RequestThrottled", "message": "slow"})
        for _ in range(6):
            wire.next("SendMessageBatch", *[slow] * 60)
            sending = asyncio.create_task(sender.send([outgoing_of(Pay(id="1"), "payments")]))
            while not sending.done():
                await clock.advance(timedelta(seconds=30))
            [error] = await sending
            assert isinstance(error, AwsThrottledError)
            wire.forget("SendMessageBatch")

        assert await pay() is None


def refusal(*entries):
    """An answer of SQS that takes nothing; names the entries with a code and whose fault it is."""
    return 200, {
        "Failed": [
            {"Id": at, "Code": code, "SenderFault": fault, "Message": "no"}
            for at, code, fault in entries
        ],
        "Successful": [],
    }


async def test_an_entry_that_can_never_be_sent_fails_alone(
    make_sender, make_queue, outgoing_of, wire, receive_all
):
    url = await make_queue("payments")
    sender = make_sender(url, name="payments")
    good, bad = (outgoing_of(Pay(id=key), "payments") for key in ("good", "bad"))
    bad = bad._replace(body=bad.body + b"\x00")  # nothing that SQS takes

    first, second = await sender.send([good, bad])
    assert first is None
    assert isinstance(second, AwsRequestError)
    assert wire.count("SendMessageBatch") == 1
    assert [message.body.encode() for message in await receive_all(url)] == [good.body]


async def test_an_entry_refused_for_a_passing_reason_is_sent_again_alone(
    make_sender, make_queue, outgoing_of, wire, clock, receive_all
):
    url = await make_queue("payments")
    sender = make_sender(url, name="payments")
    messages = [outgoing_of(Pay(id=str(n)), "payments") for n in range(3)]
    wire.next(
        "SendMessageBatch",
        (
            200,
            {
                "Successful": [{"Id": at, "MessageId": at} for at in "02"],
                "Failed": refusal(("1", "InternalError", False))[1]["Failed"],
            },
        ),
    )
    sending = asyncio.create_task(sender.send(messages))
    while not sending.done():
        await clock.advance(timedelta(seconds=1))

    assert await sending == [None, None, None]
    assert [len(request["Entries"]) for request in wire.requests("SendMessageBatch")] == [3, 1]
    assert [message.body.encode() for message in await receive_all(url)] == [messages[1].body]


async def test_an_entry_that_stays_refused_raises_for_its_sender_in_the_end(
    make_sender, make_queue, outgoing_of, wire, clock
):
    url = await make_queue("payments")
    wire.next("SendMessageBatch", *[refusal(("0", "InternalError", False))] * ENTRY_TRIES)
    sending = asyncio.create_task(
        make_sender(url, name="payments").send([outgoing_of(Pay(id="1"), "payments")])
    )
    while not sending.done():
        await clock.advance(timedelta(seconds=10))

    [error] = await sending
    assert isinstance(error, AwsTransientError)
    assert wire.count("SendMessageBatch") == ENTRY_TRIES


async def test_a_throttled_call_is_made_again(make_sender, url, outgoing_of, wire, clock):
    wire.next(
        "SendMessageBatch",
        (403, {"__type": "com.amazonaws.sqs#RequestThrottled", "message": "slow down"}),
    )
    sending = asyncio.create_task(
        make_sender(url).send([outgoing_of(Pay(id="1"), "payments.fifo")])
    )
    while not sending.done():
        await clock.advance(timedelta(seconds=1))

    assert await sending == [None]


THROTTLED = (403, {"__type": "com.amazonaws.sqs#RequestThrottled", "message": "slow down"})


class TestThrottling:
    """It slows the sender down; it fails nobody before the time is over."""

    @pytest.fixture
    def sending(self, make_sender, make_queue, outgoing_of):
        async def start(count=1, **more):
            sender = make_sender(await make_queue("payments"), name="payments", **more)
            messages = [outgoing_of(Pay(id=str(at)), "payments") for at in range(count)]
            return sender, asyncio.create_task(sender.send(messages))

        return start

    async def test_a_message_is_sent_however_often_it_is_throttled_before_its_deadline(
        self, sending, wire, clock
    ):
        wire.next("SendMessageBatch", *[THROTTLED] * 12)
        _, task = await sending(deadline=timedelta(minutes=5))
        while not task.done():
            await clock.advance(timedelta(seconds=1))

        assert await task == [None]
        assert wire.count("SendMessageBatch") == 13

    async def test_at_its_deadline_it_fails(self, sending, wire, clock):
        wire.next("SendMessageBatch", *[THROTTLED] * 500)
        _, task = await sending(deadline=timedelta(seconds=20))
        while not task.done():
            await clock.advance(timedelta(milliseconds=500))

        [error] = await task
        assert isinstance(error, AwsThrottledError)
        assert 20 <= clock.monotonic() < 30

    async def test_throttled_entries_are_sent_again_alone(self, sending, wire, clock):
        wire.next(
            "SendMessageBatch",
            *[
                (
                    200,
                    {
                        "Successful": [{"Id": "0", "MessageId": "0"}],
                        "Failed": refusal(("1", "RequestThrottled", False))[1]["Failed"],
                    },
                ),
                *[refusal(("1", "RequestThrottled", False))] * (ENTRY_TRIES + 2),
            ],
        )
        _, task = await sending(2)
        while not task.done():
            await clock.advance(timedelta(seconds=1))

        assert await task == [None, None]
        sizes = [len(request["Entries"]) for request in wire.requests("SendMessageBatch")]
        assert sizes == [2] + [1] * (ENTRY_TRIES + 3)

    async def test_fewer_batches_are_under_way_at_once(self, sending, wire, clock):
        wire.next("SendMessageBatch", *[THROTTLED] * 60)
        sender, task = await sending(80)
        [batcher] = [route.batcher for route in sender._routes.values()]
        narrowest = batcher.flights
        while not task.done():
            await clock.advance(timedelta(milliseconds=500))
            narrowest = min(narrowest, batcher.flights)

        assert await task == [None] * 80
        assert narrowest == 1

    async def test_when_there_is_no_more_time_it_fails_at_once(self, sending, wire, clock):
        wire.next("SendMessageBatch", *[THROTTLED] * 500)
        sender, task = await sending(deadline=timedelta(hours=1))
        await clock.advance(timedelta(minutes=1))
        assert not task.done()
        sender.hurry()
        while not task.done():
            await clock.advance(timedelta(seconds=1))

        assert isinstance((await task)[0], AwsThrottledError)


async def test_a_batch_waits_for_more_while_it_lingers(make_sender, make_queue, outgoing_of, wire):
    url = await make_queue("payments")
    sender = make_sender(url, name="payments", linger=timedelta(milliseconds=5))
    first = asyncio.create_task(sender.send([outgoing_of(Pay(id="1"), "payments")]))
    await settle(50)
    second = asyncio.create_task(sender.send([outgoing_of(Pay(id="2"), "payments")]))

    assert [*await first, *await second] == [None, None]
    assert wire.count("SendMessageBatch") == 1


async def test_what_can_never_fit_is_refused_with_size_and_limit(make_sender, url, outgoing_of):
    sender = make_sender(url, max_bytes=500)
    sender.admit(outgoing_of(Pay(id="1"), "payments.fifo"))

    with pytest.raises(MessageTooLargeError) as caught:
        sender.admit(outgoing_of(Pay(id="1", note="x" * 500), "payments.fifo"))
    assert caught.value.limit == 500
    assert 500 < caught.value.size < 1000
    assert "payments.fifo" in str(caught.value)


async def test_a_batch_stays_below_the_byte_limit(make_sender, make_queue, outgoing_of, wire):
    url = await make_queue("payments")
    sender = make_sender(url, name="payments", max_bytes=1200)

    results = await sender.send(
        [outgoing_of(Pay(id=str(n), note="x" * 200), "payments") for n in range(4)]
    )
    assert results == [None] * 4
    assert [len(request["Entries"]) for request in wire.requests("SendMessageBatch")] == [2, 2]


async def test_an_event_is_published_with_its_type_beside_it(
    make_sender, outgoing_of, aws, wire, clock
):
    arn = await _make_topic(aws, wire, "order-events")
    sender = make_sender(arn, name="order-events", is_topic=True)

    assert (
        await sender.send([outgoing_of(Paid(id=str(n)), "order-events") for n in range(3)])
        == [None] * 3
    )
    [request] = wire.requests("PublishBatch")
    entry = "PublishBatchRequestEntries.member.1"
    assert request[f"{entry}.MessageAttributes.entry.1.Name"] == "type"
    assert request[f"{entry}.MessageAttributes.entry.1.Value.StringValue"] == "Paid"
    assert f"{entry}.MessageGroupId" not in request


async def test_an_event_of_a_fifo_topic_has_group_and_deduplication_id(
    make_sender, outgoing_of, aws, wire
):
    arn = await _make_topic(aws, wire, "order-events.fifo", FifoTopic="true")
    sender = make_sender(arn, name="order-events.fifo", is_topic=True)
    sent = outgoing_of(Paid(id="o-1"), "order-events.fifo")
    sent = sent._replace(destination=Destination("topic", "order-events.fifo"))

    assert await sender.send([sent]) == [None]
    [request] = wire.requests("PublishBatch")
    entry = "PublishBatchRequestEntries.member.1"
    assert request[f"{entry}.MessageGroupId"] == "o-1"
    assert request[f"{entry}.MessageDeduplicationId"] == sent.envelope.id


async def _make_topic(aws, wire, name, **attributes):
    form = {"Name": name}
    for at, (key, value) in enumerate(attributes.items(), 1):
        form[f"Attributes.entry.{at}.key"] = key
        form[f"Attributes.entry.{at}.value"] = value
    answer = aws._sns.call("CreateTopic", form, aws._now())
    return next(each.text for each in answer.iter() if each.tag.endswith("TopicArn"))


class Keys(LocalKeyProvider):
    is_away = False

    async def generate(self, context):
        if self.is_away:
            raise KeyUnavailableError("the key is disabled")
        return await super().generate(context)


@pytest.fixture
def keys():
    return Keys()


@pytest.fixture
def cipher(keys, tasks, clock):
    return Cipher.of(keys, tasks=tasks, clock=clock, lifetime=timedelta(minutes=5))


async def test_an_encrypted_command_shows_neither_its_document_nor_its_key(
    make_sender, url, outgoing_of, receive_all, cipher
):
    sent = outgoing_of(Pay(id="secret", note="4242"), "payments.fifo")

    assert await make_sender(url, encrypts=True, cipher=cipher).send([sent]) == [None]
    [message] = await receive_all(url)
    body = message.body.encode()
    assert is_sealed(body)
    assert message.attributes["content-type"].string_value == CONTENT_TYPE
    assert message.system.message_group_id == group_of(sent.envelope, hidden=True)
    assert message.system.message_deduplication_id == sent.envelope.id
    assert await cipher.decrypt(body, destinations={"arn:payments.fifo"}) == sent.body


async def test_an_encrypted_message_to_a_standard_queue_has_no_group(
    make_sender, make_queue, outgoing_of, wire, cipher
):
    url = await make_queue("payments")
    sender = make_sender(url, name="payments", encrypts=True, cipher=cipher)

    await sender.send([outgoing_of(Pay(id="o-1"), "payments")])
    [entry] = wire.requests("SendMessageBatch")[0]["Entries"]
    assert set(entry) == {"Id", "MessageBody", "MessageAttributes"}


async def test_without_a_key_nothing_is_sent_and_the_circuit_stays_closed(
    make_sender, url, outgoing_of, wire, keys, cipher, clock
):
    sender = make_sender(url, encrypts=True, cipher=cipher)
    keys.is_away = True
    messages = [outgoing_of(Pay(id=str(n)), "payments.fifo") for n in range(20)]

    results = await sender.send(messages)
    assert {type(error) for error in results} == {KeyUnavailableError}
    assert wire.count("SendMessageBatch") == 0

    keys.is_away = False
    await clock.advance(timedelta(seconds=1))
    assert await sender.send(messages) == [None] * 20


async def test_what_could_be_too_large_encrypted_is_refused_before_there_is_a_key(
    make_sender, url, outgoing_of, keys, cipher
):
    message = outgoing_of(Pay(id="1", note="x" * 500), "payments.fifo")
    make_sender(url, max_bytes=1000).admit(message)
    keys.is_away = True
    sender = make_sender(url, max_bytes=1000, encrypts=True, cipher=cipher)
    with pytest.raises(MessageTooLargeError):
        sender.admit(message)


async def test_what_was_admitted_fits_when_it_is_encrypted(
    make_sender, url, outgoing_of, receive_all, cipher
):
    sender = make_sender(url, max_bytes=4000, encrypts=True, cipher=cipher)
    message = outgoing_of(Pay(id="1", note="x" * 1000), "payments.fifo")
    sender.admit(message)
    assert await sender.send([message]) == [None]
    [received] = await receive_all(url)
    assert len(received.body) < 4000
