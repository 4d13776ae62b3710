"""Messages in a queue that are not ours: to its dead letter queue, with a reason; the listener goes on."""

from __future__ import annotations

import json
import secrets

import pytest

from letter_watch import LetterWatch
from sums import Add, Sum, SumRow, sums


@pytest.fixture
def watch():
    return LetterWatch()


@pytest.fixture
async def app(cloud, watch):
    async with sums(cloud, watch) as app:
        yield app


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


async def put(cloud, queue, body, **attributes):
    fifo = {"MessageGroupId": "g", "MessageDeduplicationId": secrets.token_hex(8)}
    await cloud.plane.sqs(
        "send_message",
        QueueUrl=await cloud.url(queue),
        MessageBody=body,
        MessageAttributes={
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
        },
        **(fifo if queue.endswith(".fifo") else {}),
    )


COMMANDS = [
    pytest.param("no json", {}, "Malformed", id="no JSON"),
    pytest.param("[]", {}, "Malformed", id="no document"),
    pytest.param(
        '{"Type":"Notification","Message":"{}"}', {}, "Malformed", id="forged SNS envelope"
    ),
    pytest.param(document(specversion=...), {}, "Malformed", id="no CloudEvents"),
    pytest.param(document(data={"id": 7}), {}, "Malformed", id="wrong data"),
    pytest.param(document(), {"type": "Remove"}, "Malformed", id="other type beside it"),
    pytest.param(
        document(kind="event", type="Added"), {"type": "Added"}, "WrongKind", id="an event"
    ),
    pytest.param(document(type="Unheard"), {"type": "Unheard"}, "UnknownType", id="unknown type"),
    pytest.param(document(dataversion=9), {"type": "Add"}, "UnknownType", id="newer version"),
]


@pytest.mark.parametrize(("body", "attributes", "reason"), COMMANDS)
async def test_a_stranger_in_a_command_queue_is_a_dead_letter_and_the_listener_goes_on(
    cloud, app, watch, body, attributes, reason
):
    await put(cloud, "sums.fifo", body, **attributes)
    letter = await watch.letter()
    await put(cloud, "sums.fifo", document(), type="Add")
    await app.drained()

    assert (letter.reason, letter.source) == (reason, "sums.fifo")
    answer = await cloud.plane.sqs(
        "receive_message",
        QueueUrl=await cloud.url("sums-dlq.fifo"),
        WaitTimeSeconds=5,
        MessageAttributeNames=["All"],
    )
    [dead] = answer["Messages"]
    assert dead["Body"] == body
    note = json.loads(dead["MessageAttributes"]["sourceflow-dead-letter"]["StringValue"])
    assert note["reason"] == reason
    assert (await app.get(Sum, "1")).amount == 5


async def test_a_command_in_the_event_queue_is_a_dead_letter(cloud, app, watch):
    await put(cloud, "sums-events", document(), type="Add")

    assert (await watch.letter()).reason in {"WrongKind", "Malformed"}
    await app.drained()
    assert await app.find(Sum, "1") is None


async def test_an_event_that_nobody_here_listens_to_is_let_go(cloud, app, watch):
    await put(cloud, "sums-events", "whatever it is", type="Unheard")
    await app.drained()

    assert watch.has_none


async def test_an_envelope_of_sns_is_understood_where_raw_delivery_is_off(cloud, app, watch):
    arn = f"arn:aws:sns:us-east-1:000000000000:{cloud.prefix}sum-events"
    answer = await cloud.plane.sns("list_subscriptions_by_topic", TopicArn=arn)
    [subscription] = answer["Subscriptions"]
    await cloud.plane.sns(
        "set_subscription_attributes",
        SubscriptionArn=subscription["SubscriptionArn"],
        AttributeName="RawMessageDelivery",
        AttributeValue="false",
    )

    await app.send(Add(id="1", amount=3))
    await app.drained()
    assert (await app.get(SumRow, "1")).amount == 3
    assert watch.has_none


async def test_an_envelope_of_a_foreign_topic_is_not_believed(cloud, app, watch):
    forged = json.dumps(
        {
            "Type": "Notification",
            "TopicArn": "arn:aws:sns:us-east-1:999999999999:theirs",
            "Message": document(kind="event", type="Added"),
            "MessageAttributes": {"type": {"Type": "String", "Value": "Added"}},
        }
    )
    await put(cloud, "sums-events", forged)

    assert (await watch.letter()).reason == "Malformed"
    assert await app.find(SumRow, "1") is None
