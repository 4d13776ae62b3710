from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from sourceflow import Command, Key
from sourceflow.bus.ports import DeadLetterFilter
from sourceflow.errors import (
    AwsError,
    AwsThrottledError,
    InvalidMessageError,
    MalformedError,
    WrongKindError,
)
from sourceflow.messages import type_info

REPLAYED = DeadLetterFilter(replayed=True)


class Ship(Command):
    order: Key[str]


async def dead(post, queues, *amounts, order="o-1", **how):
    sent = [await post.send(queues, order, amount=amount) for amount in amounts]
    assert await post.give_up(queues, **how) == len(sent)
    return sent


class TestPeek:
    async def test_a_letter_is_shown_with_all_that_is_known_and_decoded(
        self, make_queues, post, operate, run, clock
    ):
        queues = await make_queues()
        begin = clock.now()
        [sent] = await dead(post, queues, 7, subscribers=("Views.paid",))

        [letter] = await run(operate(queues).peek("orders.fifo"))
        assert (letter.queue, letter.source, letter.group) == ("orders.fifo", "orders.fifo", "o-1")
        assert (letter.message_id, letter.type_name) == (sent, "Pay")
        assert (letter.reason, letter.error) == (
            "RetriesExhausted",
            "ValueError: no such account",
        )
        assert (letter.attempts, letter.received) == (5, 1)
        assert letter.subscribers == ("Views.paid",)
        assert (letter.given_up_at, letter.sent_at) == (begin, begin)
        assert json.loads(letter.body)["data"] == {"order": "o-1", "amount": 7}
        assert letter.attributes["type"] == "Pay"
        assert (letter.message.amount, letter.problem) == (7, "")

    async def test_letters_are_shown_in_order_and_stay(self, make_queues, post, operate, run):
        queues = await make_queues()
        await dead(post, queues, *range(5))
        operator = operate(queues)

        for _ in range(3):
            letters = await run(operator.peek("orders.fifo"))
            assert [letter.message.amount for letter in letters] == list(range(5))
        assert len(await run(operator.peek("orders.fifo", limit=2))) == 2
        assert await operator.depth("orders.fifo") == 5
        assert len(await post.take(queues.dead_url)) == 5

    async def test_more_than_ten_are_shown_of_a_standard_queue(
        self, make_queues, post, operate, run
    ):
        queues = await make_queues("mails")
        await dead(post, queues, *range(25))

        letters = await run(operate(queues).peek("mails", limit=23))
        assert len({letter.sqs_message_id for letter in letters}) == 23

    async def test_of_every_group_all_are_shown_up_to_ten(self, make_queues, post, operate, run):
        """Also of one that an answer of SQS cuts off in the middle."""
        queues = await make_queues()
        for order in range(8):
            await dead(post, queues, *range(3), order=f"o-{order}")
        await dead(post, queues, *range(12), order="long")

        letters = await run(operate(queues).peek("orders.fifo", limit=100))
        groups = [letter.group for letter in letters]
        assert {group: groups.count(group) for group in groups} == {
            **{f"o-{order}": 3 for order in range(8)},
            "long": 10,
        }
        for group in set(groups):
            shown = [letter.message.amount for letter in letters if letter.group == group]
            assert shown == list(range(len(shown)))

    async def test_what_cannot_be_read_is_shown_with_the_problem(
        self, make_queues, post, operate, run
    ):
        queues = await make_queues()
        await post.send_body(queues.url, "no json")
        await post.give_up(queues, reason="Malformed")

        [letter] = await run(operate(queues).peek("orders.fifo"))
        assert letter.message is None
        assert letter.problem.startswith("MalformedError: ")
        assert (letter.body, letter.type_name) == (b"no json", "")

    async def test_a_type_that_is_not_known_is_a_problem_too(self, make_queues, post, operate, run):
        queues = await make_queues()
        body = post.body(Ship(order="o-1"), "m-1")
        await post.send_body(queues.url, body, attributes={"type": "Ship"})
        await post.give_up(queues, reason="UnknownType")

        [letter] = await run(operate(queues).peek("orders.fifo"))
        assert (letter.type_name, letter.message) == ("Ship", None)
        assert letter.problem.startswith("UnknownTypeError: ")

    async def test_what_sqs_moved_says_so(self, make_queues, post, operate, run, sqs, clock):
        queues = await make_queues()
        sent = await post.send(queues, amount=7)
        for _ in range(4):
            await sqs.receive_message(queues.url, visibility_timeout=timedelta(seconds=1))
            await clock.advance(timedelta(seconds=1))

        [letter] = await run(operate(queues).peek("orders.fifo"))
        assert (letter.reason, letter.error) == ("ReceivedTooOften", "")
        assert (letter.source, letter.message_id, letter.attempts) == ("orders.fifo", sent, 0)
        assert letter.message.amount == 7

    @pytest.mark.parametrize(
        "note", ["no json", "[]", '{"time": "2026-01-01T00:00:00"}', '{"subscribers": 5}']
    )
    async def test_a_note_of_others_is_none(self, make_queues, post, operate, run, note):
        queues = await make_queues()
        attributes = {"sourceflow-dead-letter": note}
        await post.send_body(queues.dead_url, "{}", attributes=attributes)

        [letter] = await run(operate(queues).peek("orders.fifo"))
        assert (letter.reason, letter.source) == ("Unexplained", "orders.fifo")
        assert letter.given_up_at >= datetime(2026, 1, 1, tzinfo=UTC)

    async def test_a_queue_that_cannot_be_read_is_an_error(self, make_queues, operate, sqs):
        queues = await make_queues()
        await sqs.delete_queue(queues.dead_url)
        with pytest.raises(AwsError):
            await operate(queues).peek("orders.fifo")

    async def test_a_limit_below_one_is_refused(self, make_queues, operate):
        with pytest.raises(ValueError, match="limit is at least 1"):
            await operate(await make_queues()).peek("orders.fifo", limit=0)


class TestResend:
    async def test_an_edited_message_takes_the_place_of_the_letter_under_a_new_id(
        self, make_queues, post, operate, run, records
    ):
        queues = await make_queues()
        [sent] = await dead(post, queues, 7, subscribers=("Views.paid",))
        operator = operate(queues)
        [letter] = await run(operator.peek("orders.fifo"))
        pay = type(letter.message)

        new = await run(operator.resend(letter, message=pay(order="o-2", amount=8)))
        [message] = await post.take(queues.url)
        envelope = post.codec.decode(message.body.encode())
        assert new != sent
        assert (envelope.id, envelope.correlation_id) == (new, sent)
        assert envelope.message == pay(order="o-2", amount=8)
        assert message.system.message_group_id == "o-2"
        assert message.system.message_deduplication_id == new
        note = json.loads(message.attributes["sourceflow-dead-letter"].string_value)
        assert note["subscribers"] == ["Views.paid"]
        assert await post.take(queues.dead_url) == []
        [record] = await records.query(REPLAYED)
        assert record.message_id == sent

    async def test_an_edited_body_stays_as_it_is_written_but_for_its_id(
        self, make_queues, post, operate, run
    ):
        queues = await make_queues("mails")
        await dead(post, queues, 7)
        operator = operate(queues)
        [letter] = await run(operator.peek("mails"))
        edited = letter.body.replace(b'"amount":7', b'"amount":   8')

        new = await run(operator.resend(letter, body=edited))
        [message] = await post.take(queues.url)
        assert message.body == edited.decode().replace(letter.message_id, new, 1)
        assert message.attributes["type"].string_value == "Pay"

    async def test_one_letter_of_many_is_found(self, make_queues, post, operate, run):
        queues = await make_queues("mails")
        await dead(post, queues, *range(25))
        operator = operate(queues)
        letters = await run(operator.peek("mails", limit=25))
        letter = letters[20]

        await run(operator.resend(letter, message=letter.message))
        assert len(await post.take(queues.url)) == 1
        left = {message.message_id for message in await post.take(queues.dead_url)}
        assert left == {each.sqs_message_id for each in letters} - {letter.sqs_message_id}

    async def test_what_could_not_be_read_is_replaced(self, make_queues, post, operate, run):
        queues = await make_queues()
        await post.send_body(queues.url, "no json", group="o-9")
        await post.give_up(queues, reason="Malformed")
        operator = operate(queues)
        [letter] = await run(operator.peek("orders.fifo"))
        pay = next(info.type for info in post.codec._registry if info.name == "Pay")

        new = await run(operator.resend(letter, message=pay(order="o-9", amount=1)))
        [message] = await post.take(queues.url)
        envelope = post.codec.decode(message.body.encode(), type_hint="Pay")
        assert (envelope.id, envelope.source, envelope.correlation_id) == (new, "/shop", new)

    async def test_a_type_that_is_not_known_here_goes_to_the_group_of_its_letter(
        self, make_queues, post, operate, run
    ):
        queues = await make_queues()
        body = post.body(Ship(order="o-1"), "m-1")
        await post.send_body(queues.url, body, group="o-1", attributes={"type": "Ship"})
        await post.give_up(queues, reason="UnknownType")
        operator = operate(queues)
        [letter] = await run(operator.peek("orders.fifo"))

        await run(operator.resend(letter, body=letter.body.decode()))
        [message] = await post.take(queues.url)
        assert message.system.message_group_id == "o-1"
        assert message.attributes["type"].string_value == type_info(Ship).name

    async def test_it_may_go_to_another_queue(self, make_queues, post, operate, run):
        orders, others = await make_queues("orders.fifo"), await make_queues("others.fifo")
        await dead(post, orders, 7)
        operator = operate(orders, others)
        [letter] = await run(operator.peek("orders.fifo"))

        await run(operator.resend(letter, body=letter.body, target="others.fifo"))
        assert len(await post.take(others.url)) == 1

    @pytest.mark.parametrize(
        ("body", "error"),
        [
            (b"no json", MalformedError),
            (b"{}", MalformedError),
            (b"[1]", MalformedError),
            (b'{"type": 5}', MalformedError),
            (b'{"type": "Pay"}', MalformedError),
        ],
    )
    async def test_what_is_no_document_is_refused_and_the_letter_stays(
        self, make_queues, post, operate, run, body, error
    ):
        queues = await make_queues()
        await dead(post, queues, 7)
        operator = operate(queues)
        [letter] = await run(operator.peek("orders.fifo"))

        with pytest.raises(error):
            await run(operator.resend(letter, body=body))
        assert await post.take(queues.url) == []
        assert len(await post.take(queues.dead_url)) == 1

    async def test_what_is_not_for_the_queue_is_refused(self, make_queues, post, operate, run):
        queues = await make_queues()
        await dead(post, queues, 7)
        operator = operate(queues)
        [letter] = await run(operator.peek("orders.fifo"))
        paid = next(info.type for info in post.codec._registry if info.name == "Paid")

        with pytest.raises(WrongKindError):
            await run(operator.resend(letter, message=paid(order="o-1")))
        with pytest.raises(InvalidMessageError):
            await run(operator.resend(letter, message=type(letter.message)(order="\ud800")))
        assert await operator.depth("orders.fifo") == 1

    async def test_a_letter_that_is_gone_is_an_error(self, make_queues, post, operate, run):
        queues = await make_queues()
        await dead(post, queues, 7)
        operator = operate(queues)
        [letter] = await run(operator.peek("orders.fifo"))
        await post.take(queues.dead_url)

        with pytest.raises(LookupError, match="is not among the dead letters"):
            await run(operator.resend(letter, body=letter.body))
        assert await post.take(queues.url) == []

    async def test_a_send_that_fails_leaves_the_letter(
        self, make_queues, post, operate, run, sqs, records
    ):
        queues = await make_queues()
        await dead(post, queues, 7)
        operator = operate(queues)
        [letter] = await run(operator.peek("orders.fifo"))
        await sqs.delete_queue(queues.url)

        with pytest.raises(AwsError):
            await run(operator.resend(letter, body=letter.body))
        assert len(await post.take(queues.dead_url)) == 1
        assert await records.count(REPLAYED) == 0

    async def test_either_a_body_or_a_message_is_given(self, make_queues, post, operate, run):
        queues = await make_queues()
        await dead(post, queues, 7)
        operator = operate(queues)
        [letter] = await run(operator.peek("orders.fifo"))
        for both in ({}, {"body": letter.body, "message": letter.message}):
            with pytest.raises(ValueError, match="either the edited body or the edited message"):
                await operator.resend(letter, **both)


class TestPurge:
    async def test_all_letters_go_and_the_records_stay(
        self, make_queues, post, operate, run, records
    ):
        queues = await make_queues()
        await dead(post, queues, *range(3))
        operator = operate(queues)

        await operator.purge("orders.fifo")
        assert await operator.depth("orders.fifo") == 0
        assert await records.count(DeadLetterFilter()) == 3

    async def test_a_second_purge_within_a_minute_is_refused(self, make_queues, operate, clock):
        operator = operate(await make_queues())
        await operator.purge("orders.fifo")
        with pytest.raises(AwsThrottledError):
            await operator.purge("orders.fifo")
        await clock.advance(timedelta(seconds=61))
        await operator.purge("orders.fifo")
