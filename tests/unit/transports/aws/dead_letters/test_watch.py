from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from sourceflow.bus.ports import DeadLetterFilter
from sourceflow.errors import AwsTransientError, DependencyError
from sourceflow.transports.aws.dead_letters import (
    DeadLetterAlert,
    DeadLetterMonitor,
    DeadLetterWatch,
    Records,
    SnsAlert,
    watch,
)

MINUTE = timedelta(seconds=60)
ALL = DeadLetterFilter()


class Hook:
    def __init__(self):
        self.alerts = []
        self.fails = 0

    async def __call__(self, alert):
        if self.fails:
            self.fails -= 1
            raise ValueError("no line")
        self.alerts.append(alert)


@pytest.fixture
def hook():
    return Hook()


@pytest.fixture
async def begin(operate, sqs, records, clock):
    """Begin to watch queues; the test moves the clock from look to look."""
    tasks = []

    async def begin(*all_queues, hooks=(), **how):
        queues = tuple(operate(*all_queues)._queues.values())
        watch = DeadLetterWatch(
            queues,
            DeadLetterMonitor(**how),
            hooks,
            sqs=sqs,
            records=Records(records, clock),
            clock=clock,
            app="shop",
        )
        tasks.append(asyncio.ensure_future(watch.run()))
        await clock.advance(timedelta(seconds=10))

    yield begin
    for task in tasks:
        assert not task.done()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def crash(sqs, queues, clock):
    """Let SQS move what waits in a queue: it is received three times, and never handled."""
    for _ in range(4):
        await sqs.receive_message(queues.url, visibility_timeout=timedelta(seconds=1))
        await clock.advance(timedelta(seconds=1))


async def test_what_sqs_moved_is_recorded_once_over_several_looks(
    make_queues, post, begin, sqs, clock, records
):
    queues = await make_queues()
    sent = await post.send(queues, amount=7)
    await crash(sqs, queues, clock)
    await begin(queues)

    [record] = await records.query(ALL)
    assert (record.source, record.message_id) == ("orders.fifo", sent)
    assert (record.reason, record.type_name) == ("ReceivedTooOften", "Pay")
    assert json.loads(record.body)["data"]["amount"] == 7
    for _ in range(3):
        await clock.advance(MINUTE)
        assert await records.query(ALL) == [record]
    assert len(await post.take(queues.dead_url)) == 1


async def test_a_look_comes_each_interval(make_queues, post, begin, clock, records):
    queues = await make_queues()
    await begin(queues, interval=timedelta(minutes=5))
    await post.send_body(queues.dead_url, "{}")

    await clock.advance(timedelta(minutes=4))
    assert await records.count(ALL) == 0
    await clock.advance(timedelta(minutes=2))
    assert await records.count(ALL) == 1


async def test_the_record_that_its_sender_made_stays(make_queues, post, begin, records):
    queues = await make_queues()
    await post.send(queues, amount=7)
    await post.give_up(queues, subscribers=("Views.paid",))
    [before] = await records.query(ALL)
    tampered = await records.save(replace(before, error="as the sender has it"))
    await begin(queues)

    assert await records.query(ALL) == [tampered]


async def test_a_letter_that_its_sender_could_not_record_is_recorded_from_its_note(
    make_queues, post, begin, records
):
    queues = await make_queues()
    sent = await post.send(queues, amount=7)
    await post.give_up(queues, subscribers=("Views.paid",))
    [before] = await records.query(ALL)
    await records.delete(before.id)
    await begin(queues)

    [record] = await records.query(ALL)
    assert record.message_id == sent
    assert replace(record, id="") == replace(before, id="", attributes=record.attributes)


async def test_a_letter_that_was_redriven_and_came_back_is_not_replayed_any_more(
    make_queues, post, begin, operate, run, sqs, clock, records
):
    queues = await make_queues()
    await post.send(queues, amount=7)
    await post.give_up(queues)
    await run(operate(queues).redrive("orders.fifo"))
    assert await records.count(DeadLetterFilter(replayed=True)) == 1
    await crash(sqs, queues, clock)
    await begin(queues)

    [record] = await records.query(ALL)
    assert (record.replayed_at, record.reason) == (None, "RetriesExhausted")


@pytest.mark.parametrize("name", ["orders.fifo", "mails"])
async def test_all_letters_are_seen_not_only_the_first(
    make_queues, post, begin, clock, records, name, wire
):
    queues = await make_queues(name)
    for at in range(45):
        await post.send_body(queues.dead_url, json.dumps({"id": f"m-{at}"}), group=f"g-{at % 15}")
    await begin(queues, batch_size=4)

    assert await records.count(ALL) == 45
    asked = {request["MaxNumberOfMessages"] for request in wire.requests("ReceiveMessage")}
    assert asked == {4}
    left = await post.take(queues.dead_url)
    assert len(left) == 45


async def test_a_look_ends_though_there_are_more(
    make_queues, post, begin, clock, records, monkeypatch
):
    monkeypatch.setattr(watch, "MAX_LOOKED_AT", 20)
    queues = await make_queues("mails")
    for at in range(45):
        await post.send_body(queues.dead_url, json.dumps({"id": f"m-{at}"}))
    await begin(queues)

    assert await records.count(ALL) == 20


async def test_nothing_is_recorded_where_that_is_not_asked_for(
    make_queues, post, begin, records, wire
):
    queues = await make_queues()
    await post.send_body(queues.dead_url, "{}")
    await begin(queues, store_records=False)

    assert await records.count(ALL) == 0
    assert wire.count("ReceiveMessage") == 0


async def test_what_is_recorded_is_deleted_where_that_is_asked_for(
    make_queues, post, begin, records
):
    queues = await make_queues()
    for at in range(15):
        await post.send_body(queues.dead_url, json.dumps({"id": f"m-{at}"}))
    await begin(queues, delete_after=True)

    assert await records.count(ALL) == 15
    assert await post.take(queues.dead_url) == []


class TestWithoutRecords:
    @pytest.fixture
    def records(self):
        return AwayRecords()

    async def test_what_cannot_be_recorded_is_not_deleted_and_the_watch_goes_on(
        self, make_queues, post, begin, records, clock, caplog
    ):
        queues = await make_queues()
        await post.send_body(queues.dead_url, '{"id": "m-1"}')
        await begin(queues, delete_after=True)
        assert "dead letter m-1 is not recorded: the database does not answer" in caplog.text
        await clock.advance(MINUTE)

        assert records.asked == 2
        assert len(await post.take(queues.dead_url)) == 1


class AwayRecords:
    def __init__(self):
        self.asked = 0

    async def query(self, where, *, limit):
        self.asked += 1
        raise DependencyError("the database does not answer")


class TestAlerts:
    async def test_an_alert_is_given_once_until_there_are_fewer_again(
        self, make_queues, post, begin, clock, hook, caplog
    ):
        queues = await make_queues()
        for at in range(3):
            await post.send_body(queues.dead_url, json.dumps({"id": f"m-{at}"}))
        await begin(queues, alert_threshold=3, hooks=(hook,))

        [alert] = hook.alerts
        assert alert == DeadLetterAlert(
            app="shop", queue="orders.fifo", depth=3, threshold=3, time=alert.time
        )
        for _ in range(3):
            await clock.advance(MINUTE)
        assert len(hook.alerts) == 1
        assert caplog.text.count("orders.fifo has 3 dead letters") == 1

        await post.take(queues.dead_url)
        await clock.advance(MINUTE)
        for at in range(4):
            await post.send_body(queues.dead_url, json.dumps({"id": f"n-{at}"}))
        await clock.advance(MINUTE)
        assert [each.depth for each in hook.alerts] == [3, 4]

    async def test_below_the_threshold_nobody_is_called(self, make_queues, post, begin, hook):
        queues = await make_queues()
        for at in range(2):
            await post.send_body(queues.dead_url, json.dumps({"id": f"m-{at}"}))
        await begin(queues, alert_threshold=3, hooks=(hook,))
        assert hook.alerts == []

    async def test_each_queue_has_its_own_alert(self, make_queues, post, begin, hook):
        orders, mails = await make_queues("orders.fifo"), await make_queues("mails")
        for queues in (orders, mails):
            await post.send_body(queues.dead_url, "{}")
        await begin(orders, mails, alert_threshold=1, hooks=(hook,))
        assert [alert.queue for alert in hook.alerts] == ["orders.fifo", "mails"]

    async def test_a_hook_that_fails_is_logged_and_called_again_and_others_are_not(
        self, make_queues, post, begin, clock, hook, caplog
    ):
        broken = Hook()
        broken.fails = 2
        queues = await make_queues()
        await post.send_body(queues.dead_url, "{}")
        await begin(queues, alert_threshold=1, hooks=(broken, hook))
        assert "an alert about the dead letters of orders.fifo was not passed on" in caplog.text
        assert (broken.alerts, len(hook.alerts)) == ([], 1)

        for _ in range(3):
            await clock.advance(MINUTE)
        assert (len(broken.alerts), len(hook.alerts)) == (1, 1)

    async def test_an_alert_is_published_to_a_topic(self, make_queues, post, begin, sns, aws, sqs):
        queues = await make_queues()
        mails = await make_queues("mails")
        arn = aws._sns.call("CreateTopic", {"Name": "alerts"}, 0.0)
        arn = "arn:aws:sns:us-east-1:000000000000:alerts" if arn is not None else ""
        aws._sns.call(
            "Subscribe",
            {
                "TopicArn": arn,
                "Protocol": "sqs",
                "Endpoint": mails.arn,
                "Attributes.entry.1.key": "RawMessageDelivery",
                "Attributes.entry.1.value": "true",
            },
            0.0,
        )
        await sqs.set_queue_attributes(
            mails.url,
            {
                "Policy": json.dumps(
                    {
                        "Version": "2012-10-17",
                        "Statement": [
                            {
                                "Effect": "Allow",
                                "Principal": {"Service": "sns.amazonaws.com"},
                                "Action": "sqs:SendMessage",
                                "Resource": mails.arn,
                                "Condition": {"ArnEquals": {"aws:SourceArn": arn}},
                            }
                        ],
                    }
                )
            },
        )
        await post.send_body(queues.dead_url, "{}")
        await begin(queues, alert_threshold=1, hooks=(SnsAlert("alerts").to(sns, arn),))

        [message] = await post.take(mails.url)
        told = json.loads(message.body)
        assert told.pop("time").startswith("2026-01-01T00:00")
        assert told == {"app": "shop", "queue": "orders.fifo", "depth": 1, "threshold": 1}

    async def test_a_topic_that_is_gone_is_tried_again_at_the_next_look(
        self, make_queues, post, begin, sns, wire, clock, caplog
    ):
        queues = await make_queues()
        await post.send_body(queues.dead_url, "{}")
        arn = "arn:aws:sns:us-east-1:000000000000:nowhere"
        await begin(queues, alert_threshold=1, hooks=(SnsAlert("nowhere").to(sns, arn),))
        await clock.advance(MINUTE)
        assert wire.count("PublishBatch") == 2
        assert "was not passed on" in caplog.text


async def test_faults_of_aws_do_not_end_it(make_queues, post, begin, wire, clock, records, caplog):
    queues = await make_queues()
    gone = AwsTransientError("gone", code="ConnectionLost")
    wire.next("GetQueueAttributes", *[gone] * 20)
    await begin(queues)
    await clock.advance(MINUTE)
    assert "the dead letters of orders.fifo cannot be watched" in caplog.text
    wire.forget("GetQueueAttributes")
    await post.send_body(queues.dead_url, "{}")

    await clock.advance(3 * MINUTE)
    assert await records.count(ALL) == 1


async def test_a_fault_of_ours_does_not_end_it_either(
    make_queues, post, begin, clock, records, monkeypatch, caplog
):
    queues = await make_queues()
    await post.send_body(queues.dead_url, "{}")
    keep = Records.keep
    faults = [ValueError("a store with a bug")]

    async def flawed(self, letter):
        if faults:
            raise faults.pop()
        return await keep(self, letter)

    monkeypatch.setattr(Records, "keep", flawed)
    await begin(queues)
    assert "a look at the dead letters of orders.fifo failed" in caplog.text
    await clock.advance(MINUTE)
    assert await records.count(ALL) == 1


async def test_a_redrive_in_the_same_process_waits_for_the_look(
    make_queues, post, operate, sqs, records, clock, run
):
    """Else it would find an empty queue, and move nothing."""
    queues = await make_queues()
    await post.send(queues, amount=7)
    await post.give_up(queues)
    operator = operate(queues)
    watch = DeadLetterWatch(
        tuple(operator._queues.values()),
        DeadLetterMonitor(),
        (),
        sqs=sqs,
        records=Records(records, clock),
        clock=clock,
        app="shop",
    )
    look = asyncio.ensure_future(watch.look(operator._queues["orders.fifo"]))
    await clock.advance(timedelta(milliseconds=1))
    assert not look.done()
    assert (await run(operator.redrive("orders.fifo"))).moved == 1
    await look


@pytest.mark.parametrize(
    ("how", "error", "told"),
    [
        ({"interval": 60}, TypeError, "interval is a timedelta, not int"),
        ({"interval": timedelta(0)}, ValueError, "interval is at least a second"),
        ({"batch_size": 0}, ValueError, "batch_size is from 1 to 10"),
        ({"batch_size": 11}, ValueError, "batch_size is from 1 to 10"),
        ({"alert_threshold": 0}, ValueError, "alert_threshold is at least 1"),
        ({"delete_after": True, "store_records": False}, ValueError, "delete_after needs"),
        ({"alerts": ("alerts",)}, TypeError, "an alert is an async function or an SnsAlert"),
    ],
)
def test_options_that_make_no_sense_are_refused(how, error, told):
    with pytest.raises(error, match=told):
        DeadLetterMonitor(**how)


@pytest.mark.parametrize("topic", ["", "a b", "arn:aws:sns:us-east-1:0:a", "alerts.fifo"])
def test_a_name_that_no_topic_for_alerts_has_is_refused(topic):
    with pytest.raises(ValueError, match=r"topic|standard"):
        SnsAlert(topic)
