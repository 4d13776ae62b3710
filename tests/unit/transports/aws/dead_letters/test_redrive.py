from __future__ import annotations

import asyncio
import json
import random
from datetime import timedelta

import pytest

from sourceflow.bus.ports import DeadLetterFilter
from sourceflow.errors import AwsConfigurationError, AwsTransientError, DependencyError
from sourceflow.transports.aws.client import AttributeValue
from sourceflow.transports.aws.dead_letters import RedriveResult, visit

ALL = DeadLetterFilter()


def data_of(messages):
    return [json.loads(message.body)["data"] for message in messages]


def amounts(messages, order=None):
    return [each["amount"] for each in data_of(messages) if order in {None, each["order"]}]


def ids(messages):
    return [json.loads(message.body)["id"] for message in messages]


async def dead(post, queues, *amounts_, order="o-1", **how):
    sent = [await post.send(queues, order, amount=amount) for amount in amounts_]
    assert await post.give_up(queues, **how) == len(sent)
    return sent


async def test_letters_go_back_as_they_were_in_order(make_queues, post, operate, run, records):
    queues = await make_queues()
    sent = await dead(post, queues, 1, 2, 3, subscribers=("Views.paid",))

    result = await run(operate(queues).redrive("orders.fifo"))
    assert result == RedriveResult(moved=3)
    back = await post.take(queues.url)
    assert ids(back) == sent
    assert {message.system.message_group_id for message in back} == {"o-1"}
    assert {message.attributes["type"].string_value for message in back} == {"Pay"}
    note = json.loads(back[0].attributes["sourceflow-dead-letter"].string_value)
    assert note["subscribers"] == ["Views.paid"]
    assert await post.take(queues.dead_url) == []
    assert await records.count(DeadLetterFilter(replayed=True)) == 3


async def test_what_dies_again_within_five_minutes_is_redriven_again(
    make_queues, post, operate, run, records
):
    """SQS remembers a deduplication id for five minutes: each copy has its own."""
    queues = await make_queues()
    [sent] = await dead(post, queues, 1)
    operator = operate(queues)
    for _ in range(3):
        assert (await run(operator.redrive("orders.fifo"))).moved == 1
        assert await records.count(DeadLetterFilter(replayed=True)) == 1
        assert await post.give_up(queues) == 1
        assert await records.count(DeadLetterFilter(replayed=True)) == 0

    [letter] = await post.take(queues.dead_url)
    assert ids([letter]) == [sent]


async def test_letters_of_many_groups_keep_the_order_of_each(make_queues, post, operate, run):
    queues = await make_queues()
    for amount in range(30):
        await post.send(queues, f"o-{amount % 3}", amount=amount)
    await post.give_up(queues)

    assert (await run(operate(queues).redrive("orders.fifo"))).moved == 30
    back = await post.take(queues.url)
    for order in range(3):
        assert amounts(back, f"o-{order}") == list(range(order, 30, 3))


async def test_a_standard_queue_is_emptied_too(make_queues, post, operate, run):
    queues = await make_queues("mails")
    await dead(post, queues, *range(25))

    assert (await run(operate(queues).redrive("mails"))).moved == 25
    assert sorted(amounts(await post.take(queues.url))) == list(range(25))
    assert await post.take(queues.dead_url) == []


async def test_what_sqs_itself_gave_up_goes_back(
    make_queues, post, operate, run, sqs, records, clock
):
    queues = await make_queues()
    await post.send(queues, amount=7)
    for _ in range(4):
        await sqs.receive_message(queues.url, visibility_timeout=timedelta(seconds=1))
        await clock.advance(timedelta(seconds=1))

    assert (await run(operate(queues).redrive("orders.fifo"))).moved == 1
    assert amounts(await post.take(queues.url)) == [7]
    assert await records.count(ALL) == 0


async def test_a_redrive_of_nothing_moves_nothing(make_queues, operate, run):
    assert await run(operate(await make_queues()).redrive("orders.fifo")) == RedriveResult()


async def test_a_limit_is_kept_and_the_first_go_first(make_queues, post, operate, run):
    queues = await make_queues()
    await dead(post, queues, *range(30))
    operator = operate(queues)

    assert (await run(operator.redrive("orders.fifo", limit=12))).moved == 12
    assert amounts(await post.take(queues.url)) == list(range(12))
    assert amounts(await post.take(queues.dead_url)) == list(range(12, 30))


async def test_a_rate_is_kept(make_queues, post, operate, run, clock):
    queues = await make_queues()
    for amount in range(20):
        await post.send(queues, f"o-{amount}", amount=amount)
    await post.give_up(queues)
    begin = clock.monotonic()

    await run(operate(queues).redrive("orders.fifo", rate=0.5))
    assert 19 / 0.5 <= clock.monotonic() - begin <= 19 / 0.5 + 5


async def test_letters_wait_for_a_slow_rate_without_being_lost_to_others(
    make_queues, post, operate, run, clock
):
    """Leases are renewed: 20 letters at 20 a minute take longer than a letter is hidden for."""
    queues = await make_queues()
    for amount in range(20):
        await post.send(queues, f"o-{amount}", amount=amount)
    await post.give_up(queues)
    begin = clock.monotonic()

    assert (await run(operate(queues).redrive("orders.fifo", rate=1 / 20))).moved == 20
    assert clock.monotonic() - begin > visit.HIDDEN.total_seconds()
    assert len(await post.take(queues.url)) == 20


@pytest.mark.parametrize(
    ("name", "groups", "calls"), [("mails", 1, 0.35), ("orders.fifo", 20, 0.35)]
)
async def test_calls_are_made_for_ten_letters_at_a_time(
    make_queues, post, operate, run, wire, name, groups, calls
):
    """Also on a FIFO queue, whose answers often have one group, and of which a send takes one letter."""
    queues = await make_queues(name)
    count = 400
    for at in range(count):
        await post.send_body(queues.dead_url, f'{{"id":"m-{at}"}}', group=f"o-{at % groups}")
    wire.calls.clear()

    assert (await run(operate(queues).redrive(name))).moved == count
    assert len(wire.calls) <= calls * count


async def test_large_letters_go_in_batches_that_fit(make_queues, post, operate, run, wire):
    queues = await make_queues()
    for at in range(5):
        body = json.dumps({"id": f"m-{at}", "data": "x" * 400_000})
        binary = AttributeValue("Binary", binary_value=bytes(100_000))
        await post.send_body(queues.dead_url, body, group=f"o-{at}", attributes={"raw": binary})
    wire.calls.clear()

    assert (await run(operate(queues).redrive("orders.fifo"))).moved == 5
    sizes = [len(request["Entries"]) for request in wire.requests("SendMessageBatch")]
    assert sum(sizes) == 5
    assert max(sizes) == 2
    back = await post.take(queues.url)
    assert {message.attributes["raw"].binary_value for message in back} == {bytes(100_000)}


class TestWithAFilter:
    async def test_only_what_it_matches_is_moved_and_each_letter_looked_at_once(
        self, make_queues, post, operate, run
    ):
        queues = await make_queues("mails")
        await dead(post, queues, *range(15))
        await dead(post, queues, *range(100, 115), reason="Rejected")

        result = await run(
            operate(queues).redrive("mails", filter=DeadLetterFilter(reason="Rejected"))
        )
        assert result == RedriveResult(moved=15, left=15)
        assert sorted(amounts(await post.take(queues.url))) == list(range(100, 115))
        letters = await post.take(queues.dead_url)
        assert sorted(amounts(letters)) == list(range(15))
        assert {letter.system.approximate_receive_count for letter in letters} == {2}

    async def test_what_stands_behind_a_letter_that_is_left_is_reached(
        self, make_queues, post, operate, run
    ):
        queues = await make_queues()
        reasons = ["Rejected", *["RetriesExhausted"] * 20, "Rejected", "RetriesExhausted"]
        for amount, reason in enumerate(reasons):
            await dead(post, queues, amount, reason=reason)

        result = await run(
            operate(queues).redrive("orders.fifo", filter=DeadLetterFilter(reason="Exhausted"))
        )
        assert result == RedriveResult(moved=21, left=2)
        assert amounts(await post.take(queues.url)) == [*range(1, 21), 22]
        assert amounts(await post.take(queues.dead_url)) == [0, 21]

    async def test_groups_do_not_hide_each_other(self, make_queues, post, operate, run):
        queues = await make_queues()
        for amount in range(40):
            reason = "Rejected" if amount % 5 == 0 else "RetriesExhausted"
            await dead(post, queues, amount, order=f"o-{amount % 4}", reason=reason)

        result = await run(
            operate(queues).redrive("orders.fifo", filter=DeadLetterFilter(reason="Exhausted"))
        )
        assert result == RedriveResult(moved=32, left=8)
        back = await post.take(queues.url)
        for order in range(4):
            wanted = [amount for amount in range(order, 40, 4) if amount % 5]
            assert amounts(back, f"o-{order}") == wanted
        assert amounts(await post.take(queues.dead_url), "o-0") == [0, 20]

    async def test_ten_letters_that_are_left_hide_their_group_and_no_other(
        self, make_queues, post, operate, run
    ):
        """SQS hands out ten of a group: the limit that the docstring tells of."""
        queues = await make_queues()
        await dead(post, queues, *range(10), order="a", reason="Rejected")
        await dead(post, queues, 10, order="a")
        await dead(post, queues, 20, order="b")

        result = await run(
            operate(queues).redrive("orders.fifo", filter=DeadLetterFilter(reason="Exhausted"))
        )
        assert result == RedriveResult(moved=1, left=10)
        assert amounts(await post.take(queues.url)) == [20]
        assert amounts(await post.take(queues.dead_url)) == list(range(11))

    async def test_with_a_limit_as_many_as_that_match_are_moved(
        self, make_queues, post, operate, run
    ):
        queues = await make_queues()
        await dead(post, queues, 0, reason="Rejected")
        await dead(post, queues, *range(1, 30))

        result = await run(
            operate(queues).redrive(
                "orders.fifo", filter=DeadLetterFilter(reason="Exhausted"), limit=12
            )
        )
        assert (result.moved, result.left) == (12, 1)
        assert amounts(await post.take(queues.url)) == list(range(1, 13))
        assert amounts(await post.take(queues.dead_url)) == [0, *range(13, 30)]

    async def test_a_filter_reads_type_and_time(self, make_queues, post, operate, run, clock):
        queues = await make_queues("mails")
        await dead(post, queues, 1)
        await clock.advance(timedelta(minutes=1))
        noon = clock.now()
        await dead(post, queues, 2)
        operator = operate(queues)

        assert (
            await run(operator.redrive("mails", filter=DeadLetterFilter(type_name="Pay2")))
        ) == (RedriveResult(left=2))
        assert (await run(operator.redrive("mails", filter=DeadLetterFilter(since=noon)))) == (
            RedriveResult(moved=1, left=1)
        )
        assert amounts(await post.take(queues.url)) == [2]

    async def test_it_ends_when_it_can_hold_no_more(
        self, make_queues, post, operate, run, monkeypatch, caplog
    ):
        monkeypatch.setattr(visit, "MAX_HELD", 20)
        queues = await make_queues("mails")
        await dead(post, queues, *range(100))

        result = await run(operate(queues).redrive("mails", filter=DeadLetterFilter(reason="none")))
        assert result.moved == 0
        assert 20 <= result.left <= 50
        assert "can hold no more" in caplog.text
        assert len(await post.take(queues.dead_url)) == 100


async def test_what_comes_back_while_it_runs_stays(make_queues, post, operate, run, wire):
    """Otherwise a redrive of letters that fail at once would go on for ever."""
    for name in ("orders.fifo", "mails"):
        queues = await make_queues(name)
        sent = await dead(post, queues, *range(5))
        original = wire._pass

        async def fail_at_once(operation, *rest, queues=queues, original=original):
            answer = await original(operation, *rest)
            if operation == "SendMessageBatch" and json.loads(rest[2])["QueueUrl"] == queues.url:
                wire._pass = original
                await post.give_up(queues)
                wire._pass = fail_at_once
            return answer

        wire._pass = fail_at_once
        result = await run(operate(queues).redrive(name))
        wire._pass = original
        assert result == RedriveResult(moved=5, left=5)
        assert sorted(ids(await post.take(queues.dead_url))) == sorted(sent)


async def test_letters_of_another_queue_that_shares_the_dead_letter_queue_are_left(
    make_queues, post, operate, run
):
    orders, mails = await make_queues("orders.fifo"), await make_queues("mails.fifo")
    mails.dead_url = orders.dead_url
    await dead(post, orders, 1)
    await dead(post, mails, 2)
    operator = operate(orders, mails)

    assert await run(operator.redrive("orders.fifo")) == RedriveResult(moved=1, left=1)
    assert amounts(await post.take(orders.url)) == [1]
    assert await run(operator.redrive("orders.fifo", target="mails.fifo")) == RedriveResult(moved=1)
    assert amounts(await post.take(mails.url)) == [2]


@pytest.mark.parametrize(
    ("queue", "more", "told"),
    [
        ("nobody", {}, "no queue with dead letters"),
        ("orders.fifo", {"target": "nobody"}, "no queue of this App"),
        ("orders.fifo", {"target": "mails"}, "one of them is a FIFO queue"),
        ("orders.fifo", {"limit": 0}, "limit is at least 1"),
        ("orders.fifo", {"rate": 0}, "rate is more than 0"),
        ("orders.fifo", {"rate": float("nan")}, "rate is more than 0"),
    ],
)
async def test_what_makes_no_sense_is_refused(make_queues, operate, queue, more, told):
    operator = operate(await make_queues("orders.fifo"), await make_queues("mails"))
    with pytest.raises(ValueError, match=told):
        await operator.redrive(queue, **more)


class TestUnderFaults:
    async def test_a_refused_letter_stays_with_those_behind_it_and_others_go(
        self, make_queues, post, operate, run, wire
    ):
        queues = await make_queues()
        await dead(post, queues, 0, 1, 2, order="a")
        await dead(post, queues, 10, 11, order="b")
        refuse(wire, lambda entry: '"amount":1}' in entry["MessageBody"])

        result = await run(operate(queues).redrive("orders.fifo"))
        assert (result.moved, result.failed, result.left) == (3, 1, 1)
        assert result.error.code == "InvalidMessageContents"
        back = await post.take(queues.url)
        assert (amounts(back, "a"), amounts(back, "b")) == ([0], [10, 11])
        assert amounts(await post.take(queues.dead_url)) == [1, 2]

    async def test_a_queue_that_cannot_be_sent_to_ends_it_and_nothing_is_lost(
        self, make_queues, post, operate, run, sqs, records
    ):
        queues = await make_queues()
        await dead(post, queues, *range(5))
        await sqs.delete_queue(queues.url)

        with pytest.raises(AwsConfigurationError) as raised:
            await run(operate(queues).redrive("orders.fifo"))
        assert raised.value.__notes__ == ["0 letter(s) were moved before"]
        assert amounts(await post.take(queues.dead_url)) == list(range(5))
        assert await records.count(DeadLetterFilter(replayed=True)) == 0

    async def test_a_send_whose_answer_is_lost_moves_its_letters_once(
        self, make_queues, post, operate, run, wire, lost
    ):
        queues = await make_queues()
        await dead(post, queues, *range(5))
        wire.next("SendMessageBatch", lost(AwsTransientError("gone", code="ConnectionLost")))

        assert (await run(operate(queues).redrive("orders.fifo"))).moved == 5
        assert amounts(await post.take(queues.url)) == list(range(5))

    async def test_a_letter_that_cannot_be_deleted_is_not_moved_twice_within_five_minutes(
        self, make_queues, post, operate, run, wire, caplog
    ):
        queues = await make_queues()
        await dead(post, queues, *range(3))
        gone = AwsTransientError("gone", code="ConnectionLost")
        wire.next("DeleteMessageBatch", *[gone] * 30)
        operator = operate(queues)

        assert (await run(operator.redrive("orders.fifo"))).moved == 3
        assert "was not deleted, it may come twice" in caplog.text
        wire.forget("DeleteMessageBatch")
        assert (await run(operator.redrive("orders.fifo"))).moved == 3
        assert amounts(await post.take(queues.url)) == [0, 1, 2]
        assert await post.take(queues.dead_url) == []

    async def test_a_cancelled_redrive_shows_again_what_it_holds(
        self, make_queues, post, operate, clock
    ):
        queues = await make_queues()
        await dead(post, queues, *range(10))
        task = asyncio.ensure_future(operate(queues).redrive("orders.fifo", rate=0.1))
        await clock.advance(timedelta(seconds=25))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        moved = amounts(await post.take(queues.url))
        left = amounts(await post.take(queues.dead_url))
        assert moved == [0, 1, 2]
        assert left == list(range(10))[-len(left) :]
        assert set(moved) | set(left) == set(range(10))

    async def test_two_at_once_move_each_letter_once_and_in_order(
        self, make_queues, post, operate, run
    ):
        queues = await make_queues()
        for amount in range(200):
            await post.send(queues, f"o-{amount % 7}", amount=amount)
        await post.give_up(queues)

        results = await run(
            asyncio.gather(*(operate(queues).redrive("orders.fifo") for _ in range(2)))
        )
        assert sum(result.moved for result in results) == 200
        back = await post.take(queues.url)
        assert len(back) == 200
        for order in range(7):
            assert amounts(back, f"o-{order}") == list(range(order, 200, 7))

    @pytest.mark.parametrize("share", [0.05, 0.3])
    async def test_a_thousand_letters_keep_the_order_of_their_groups_and_none_is_lost(
        self, make_queues, post, operate, run, wire, share
    ):
        queues = await make_queues()
        for amount in range(1_000):
            await post.send(queues, f"o-{amount % 13}", amount=amount)
        await post.give_up(queues)
        operator = operate(queues)
        faults = Faults(wire, share)

        moved = 0
        while await faults.spare(operator.depth("orders.fifo")):
            try:
                moved += (await run(operator.redrive("orders.fifo"))).moved
            except AwsTransientError:
                continue  # a queue could not be used for so long: whoever redrives tries again
        faults.end()
        assert faults.count > 1_000 * share / 10
        assert moved <= 1_000
        back = await post.take(queues.url)
        for order in range(13):
            found = amounts(back, f"o-{order}")
            first = list(dict.fromkeys(found))  # what was sent and not deleted may come twice
            assert first == list(range(order, 1_000, 13))

    async def test_a_letter_that_others_may_have_by_now_is_not_sent_until_it_is_received_again(
        self, make_queues, post, operate, run, wire, clock, caplog
    ):
        queues = await make_queues()
        await dead(post, queues, *range(4))
        gone = AwsTransientError("gone", code="ConnectionLost")
        wire.next("ChangeMessageVisibilityBatch", *[gone] * 300)

        result = await run(operate(queues).redrive("orders.fifo", rate=1 / 100))
        assert result == RedriveResult(moved=4)
        assert "is lost" in caplog.text
        assert amounts(await post.take(queues.url)) == list(range(4))

    async def test_records_that_are_away_hold_nothing_up(
        self, make_queues, post, operate, run, records, monkeypatch, caplog
    ):
        queues = await make_queues()
        await dead(post, queues, 1)

        async def away(*_, **__):
            raise DependencyError("the database does not answer")

        monkeypatch.setattr(type(records), "query", away)
        assert (await run(operate(queues).redrive("orders.fifo"))).moved == 1
        assert "is not marked as replayed" in caplog.text


class Faults:
    """Lets a share of the hot calls fail: before or after they take effect, whole or in part."""

    HOT = (
        "ReceiveMessage",
        "SendMessageBatch",
        "DeleteMessageBatch",
        "ChangeMessageVisibilityBatch",
    )

    def __init__(self, wire, share):
        self._wire = wire
        self._share = share
        self._random = random.Random(7)
        self._original = wire._pass
        self._spared = False
        self.count = 0
        wire._pass = self._pass

    def end(self):
        self._wire._pass = self._original

    async def spare(self, work):
        """Do something without faults."""
        self.end()
        try:
            return await work
        finally:
            self._wire._pass = self._pass

    async def _pass(self, operation, url, headers, body, timeout):  # noqa: ASYNC109 - as HttpClient has it
        if operation not in self.HOT or self._random.random() >= self._share:
            return await self._original(operation, url, headers, body, timeout)
        self.count += 1
        how = self._random.choice(("before", "after", "status", "entries"))
        if how == "before":
            raise AwsTransientError("gone", code="ConnectionLost")
        if how == "status":
            return 503, {}, b""
        if how == "entries" and operation != "ReceiveMessage":
            return await self._half(operation, body)
        await self._original(operation, url, headers, body, timeout)
        raise AwsTransientError("gone", code="ConnectionLost")

    async def _half(self, operation, body):
        request = json.loads(body)
        fails = [entry for entry in request["Entries"] if self._random.random() < 0.5]
        request["Entries"] = [entry for entry in request["Entries"] if entry not in fails]
        answer = {"Successful": [], "Failed": []}
        if request["Entries"]:
            done = await self._wire.aws._call_json(
                "sqs", operation, json.dumps(request).encode(), None
            )
            answer |= json.loads(done)
        answer["Failed"] = [
            *answer.get("Failed", ()),
            *(
                {"Id": entry["Id"], "Code": "InternalError", "SenderFault": False}
                for entry in fails
            ),
        ]
        return 200, {}, json.dumps(answer).encode()


def refuse(wire, which):
    """Refuse entries of sends that a test points out, as SQS does."""
    original = wire._pass

    async def passing(operation, url, headers, body, timeout):  # noqa: ASYNC109 - as HttpClient has it
        if operation != "SendMessageBatch":
            return await original(operation, url, headers, body, timeout)
        request = json.loads(body)
        bad = [entry for entry in request["Entries"] if which(entry)]
        good = [entry for entry in request["Entries"] if not which(entry)]
        answer = {"Successful": [], "Failed": []}
        if good:
            request["Entries"] = good
            whole = json.dumps(request).encode()
            answer = json.loads(await wire.aws._call_json("sqs", operation, whole, None))
        answer.setdefault("Failed", []).extend(
            {"Id": entry["Id"], "Code": "InvalidMessageContents", "SenderFault": True}
            for entry in bad
        )
        return 200, {}, json.dumps(answer).encode()

    wire._pass = passing
