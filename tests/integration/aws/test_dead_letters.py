"""Dead letters come back: what an operator does with the queues of an App, over LocalAws and LocalStack."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from letter_watch import LetterWatch
from sourceflow import (
    Aggregate,
    App,
    Command,
    Entity,
    Event,
    Key,
    Reject,
    Saga,
    handles,
    subscribes,
)
from sourceflow.bus.ports import DeadLetterFilter
from sourceflow.errors import NotRunningError
from sourceflow.transports.aws import AwsTransport, DeadLetterMonitor, SnsAlert
from sourceflow.transports.aws.dead_letters import DeadLetterWatch, move_task

LONG = 60


class Pay(Command):
    account: Key[str]
    amount: int = 0


class Paid(Event):
    account: Key[str]
    amount: int = 0


class Account(Entity):
    account: Key[str]
    paid: tuple[int, ...] = ()


class Bank:
    """What handlers do, and did."""

    def __init__(self):
        self.refuses = True
        self.fails = set()
        self.handled = []
        self.mailed = []
        self.counted = []


class Payments(Saga[Account]):
    def __init__(self, bank: Bank):
        self._bank = bank

    @handles
    def pay(self, account: Account | None, command: Pay) -> Account:
        if self._bank.refuses:
            raise Reject("the bank is closed")
        self._bank.handled.append((command.account, command.amount))
        self.raise_event(Paid(account=command.account, amount=command.amount))
        before = account.paid if account else ()
        return Account(account=command.account, paid=(*before, command.amount))


class Mails(Aggregate[Account]):
    def __init__(self, bank: Bank):
        self._bank = bank

    @subscribes
    def paid(self, event: Paid) -> None:
        if "mails" in self._bank.fails:
            raise Reject("no mails on Sundays")
        self._bank.mailed.append(event.amount)


class Counts(Aggregate[Account]):
    def __init__(self, bank: Bank):
        self._bank = bank

    @subscribes
    def paid(self, event: Paid) -> None:
        self._bank.counted.append(event.amount)


@pytest.fixture
def watch():
    return LetterWatch()


@pytest.fixture
def bank():
    return Bank()


@pytest.fixture
def alerts():
    return asyncio.Queue()


@pytest.fixture
def monitor():
    return None


@pytest.fixture
def looks(monkeypatch):
    """Tells of every look that has ended."""
    looks = asyncio.Queue()
    original = DeadLetterWatch.look

    async def look(self, queue):
        await original(self, queue)
        looks.put_nowait(queue.source)

    monkeypatch.setattr(DeadLetterWatch, "look", look)
    return looks


@pytest.fixture
def transport(cloud, monitor):
    return AwsTransport(
        cloud.options(wait_time=timedelta(seconds=1), dead_letter_monitor=monitor),
        lambda bus: (
            bus.send.command(Pay, queue="pay.fifo")
            .raise_.event(Paid, topic="paid.fifo")
            .listen.to.command_queue("pay.fifo")
            .subscribe.to.topic("paid.fifo")
        ),
        credentials=cloud.credentials,
    )


@pytest.fixture
async def app(transport, bank, watch):
    app = App([Payments, Mails, Counts], name="bank", services=[bank], observer=watch).use(
        transport
    )
    async with app:
        yield app


async def test_a_letter_is_redriven_and_dies_and_is_redriven_again_within_five_minutes(
    app, transport, bank, watch
):
    message_id = await app.send(Pay(account="a", amount=5))
    [letter] = await watch.letters(1)
    assert (letter.reason, letter.message_id) == ("Rejected", message_id)

    for _ in range(2):
        assert (await transport.dead_letters.redrive("pay.fifo")).moved == 1
        [again] = await watch.letters(1)
        assert again.message_id == message_id

    bank.refuses = False
    assert (await transport.dead_letters.redrive("pay.fifo")).moved == 1
    await app.drained(timeout=LONG)
    assert bank.handled == [("a", 5)]
    [record] = await app.dead_letters.query(DeadLetterFilter())
    assert record.replayed_at is not None


async def test_a_redrive_runs_only_the_subscriber_that_failed(app, transport, bank, watch):
    bank.refuses = False
    bank.fails = {"mails"}
    await app.send(Pay(account="a", amount=5))
    [letter] = await watch.letters(1)
    assert letter.source == "bank-events.fifo"
    assert letter.subscribers == ("Mails.paid",)

    bank.fails = set()
    assert (await transport.dead_letters.redrive("bank-events.fifo")).moved == 1
    await app.drained(timeout=LONG)
    assert (bank.mailed, bank.counted) == ([5], [5])


async def test_letters_of_many_groups_come_back_in_the_order_of_each(app, transport, bank, watch):
    count = 60
    await app.send_many([Pay(account=f"a-{at % 3}", amount=at) for at in range(count)])
    await watch.letters(count)

    bank.refuses = False
    assert (await transport.dead_letters.redrive("pay.fifo")).moved == count
    await app.drained(timeout=LONG)
    for at in range(3):
        assert [amount for account, amount in bank.handled if account == f"a-{at}"] == list(
            range(at, count, 3)
        )


async def test_a_filter_and_a_limit_choose(app, transport, bank, watch):
    await app.send_many([Pay(account="a", amount=at) for at in range(4)])
    await watch.letters(4)
    operator = transport.dead_letters
    bank.refuses = False

    nothing = await operator.redrive("pay.fifo", filter=DeadLetterFilter(reason="Malformed"))
    assert (nothing.moved, nothing.left) == (0, 4)
    some = await operator.redrive("pay.fifo", filter=DeadLetterFilter(type_name="Pay"), limit=2)
    assert some.moved == 2
    await app.drained(timeout=LONG)
    assert bank.handled == [("a", 0), ("a", 1)]
    assert [letter.message for letter in await operator.peek("pay.fifo")] == [
        Pay(account="a", amount=2),
        Pay(account="a", amount=3),
    ]


async def test_an_edited_letter_is_handled_in_the_place_of_the_old_one(app, transport, bank, watch):
    old = await app.send(Pay(account="a", amount=-5))
    await watch.letters(1)
    bank.refuses = False
    operator = transport.dead_letters
    [letter] = await operator.peek("pay.fifo")

    new = await operator.resend(letter, message=Pay(account="a", amount=5))
    await app.drained(timeout=LONG)
    assert new != old
    assert bank.handled == [("a", 5)]
    assert await operator.peek("pay.fifo") == ()
    [record] = await app.dead_letters.query(DeadLetterFilter(message_id=old))
    assert record.replayed_at is not None


async def test_an_edited_event_runs_only_the_subscriber_that_failed(app, transport, bank, watch):
    bank.refuses = False
    bank.fails = {"mails"}
    await app.send(Pay(account="a", amount=5))
    await watch.letters(1)
    bank.fails = set()
    [letter] = await transport.dead_letters.peek("bank-events.fifo")

    await transport.dead_letters.resend(letter, message=Paid(account="a", amount=6))
    await app.drained(timeout=LONG)
    assert (bank.mailed, bank.counted) == ([6], [5])


async def test_a_purge_leaves_nothing(app, transport, watch):
    await app.send_many([Pay(account=f"a-{at}") for at in range(3)])
    await watch.letters(3)

    await transport.dead_letters.purge("pay.fifo")
    assert await transport.dead_letters.peek("pay.fifo") == ()
    assert await transport.dead_letters.depth("pay.fifo") == 0


class TestManyOfAStandardQueue:
    @pytest.fixture
    def transport(self, cloud, monkeypatch):
        monkeypatch.setattr(move_task, "LEAST", 20)
        return AwsTransport(
            cloud.options(wait_time=timedelta(seconds=1)),
            lambda bus: bus.send.command(Pay, queue="pay").listen.to.command_queue("pay"),
            credentials=cloud.credentials,
        )

    async def test_sqs_moves_them_itself(self, app, transport, bank, watch, cloud):
        count = 30
        await app.send_many([Pay(account=f"a-{at}", amount=at) for at in range(count)])
        await watch.letters(count)
        bank.refuses = False

        assert (await transport.dead_letters.redrive("pay")).moved == count
        await app.drained(timeout=LONG)
        assert sorted(amount for _, amount in bank.handled) == list(range(count))
        assert await app.dead_letters.count(DeadLetterFilter(replayed=True)) == count
        source = (await cloud.attributes("pay-dlq"))["QueueArn"]
        tasks = await cloud.plane.sqs("list_message_move_tasks", SourceArn=source)
        assert len(tasks["Results"]) == 1


class TestWatched:
    @pytest.fixture
    def monitor(self, alerts, looks):
        return DeadLetterMonitor(
            interval=timedelta(seconds=1),
            alert_threshold=2,
            alerts=(alerts.put, SnsAlert("alerts")),
        )

    async def test_letters_are_recorded_once_and_the_alert_is_given_once(
        self, app, alerts, looks, cloud
    ):
        for at in range(2):
            await cloud.plane.sqs(
                "send_message",
                QueueUrl=await cloud.url("pay-dlq.fifo"),
                MessageBody=f'{{"id":"m-{at}"}}',
                MessageGroupId="g",
                MessageDeduplicationId=f"m-{at}",
            )

        alert = await asyncio.wait_for(alerts.get(), LONG)
        assert (alert.app, alert.queue, alert.depth) == ("bank", "pay.fifo", 2)
        records = await self.records_after_looks(app, looks)
        assert {record.message_id for record in records} == {"m-0", "m-1"}
        assert {record.reason for record in records} == {"Unexplained"}
        assert await self.records_after_looks(app, looks) == records
        assert alerts.empty()
        topics = await cloud.plane.sns("list_topics")
        assert any(
            topic["TopicArn"].endswith(f":{cloud.prefix}alerts") for topic in topics["Topics"]
        )

    async def records_after_looks(self, app, looks):
        """Return what is recorded when the queue was looked into twice from now on."""
        while not looks.empty():
            looks.get_nowait()
        async with asyncio.timeout(LONG):
            for _ in range(2):
                while await looks.get() != "pay.fifo":
                    pass
        return await app.dead_letters.query(DeadLetterFilter())


async def test_the_operator_is_there_while_the_app_runs(transport):
    with pytest.raises(NotRunningError):
        transport.dead_letters  # noqa: B018 - it raises
