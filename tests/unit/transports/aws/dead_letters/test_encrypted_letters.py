"""Dead letters that are encrypted: they keep what they received, and are read by who has the key."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sourceflow.bus.ports import DeadLetterFilter
from sourceflow.errors import DecryptionFailedError, KeyUnavailableError
from sourceflow.messages import new_message_id
from sourceflow.transports.aws.dead_letters import move_task
from sourceflow.transports.aws.encryption import CONTENT_TYPE, Cipher, LocalKeyProvider, is_sealed


class Keys(LocalKeyProvider):
    """A key service that can be switched off."""

    is_away = False

    async def generate(self, context):
        self._check()
        return await super().generate(context)

    async def decrypt(self, key_id, encrypted, context):
        self._check()
        return await super().decrypt(key_id, encrypted, context)

    def _check(self):
        if self.is_away:
            raise KeyUnavailableError("the key is disabled")


@pytest.fixture
def keys():
    return Keys()


@pytest.fixture
def cipher(keys, tasks, clock):
    return Cipher.of(keys, tasks=tasks, clock=clock, lifetime=timedelta(minutes=5))


@pytest.fixture
def send_dead(post, cipher):
    """Send an encrypted message, and give it up."""

    async def send(queues, amount, *, destination=None):
        message_id = new_message_id()
        pay = next(info.type for info in post.codec._registry if info.name == "Pay")
        document = post.body(pay(order="o-1", amount=amount), message_id).encode()
        body = await cipher.encrypt(
            document,
            message_id=message_id,
            type_name="Pay",
            source="/tests",
            destination=destination or queues.arn,
        )
        await post.send_body(
            queues.url,
            body,
            group="~hidden",
            deduplication_id=message_id,
            attributes={"type": "Pay", "content-type": CONTENT_TYPE},
        )
        await post.give_up(queues)
        return message_id, body

    return send


async def read(cipher, message, destination):
    body = message.body.encode()
    return await cipher.decrypt(body, destinations={destination}, type_hint="Pay")


async def test_a_letter_keeps_what_was_received_and_is_shown_in_clear(
    make_queues, send_dead, operate, run, cipher, records
):
    queues = await make_queues()
    message_id, body = await send_dead(queues, 7)

    [letter] = await run(operate(queues, cipher=cipher).peek("orders.fifo"))
    assert letter.message.amount == 7
    assert (letter.message_id, letter.body) == (message_id, body.encode())
    assert letter.attributes["content-type"] == CONTENT_TYPE
    [record] = await records.query(DeadLetterFilter())
    assert (record.message_id, record.body) == (message_id, body.encode())


async def test_without_a_key_a_letter_has_a_problem(make_queues, send_dead, operate, run):
    queues = await make_queues()
    message_id, _ = await send_dead(queues, 7)
    [letter] = await run(operate(queues).peek("orders.fifo"))
    assert (letter.message, letter.message_id) == (None, message_id)
    assert letter.problem.startswith("DecryptionFailedError: it is encrypted, and this App has no")


async def test_while_the_key_is_away_a_letter_has_a_problem(
    make_queues, send_dead, operate, run, cipher, keys
):
    queues = await make_queues()
    await send_dead(queues, 7)
    keys.is_away = True
    [letter] = await run(operate(queues, cipher=cipher).peek("orders.fifo"))
    assert letter.problem == "KeyUnavailableError: the key is disabled"


@pytest.mark.parametrize("has_keys", [True, False])
async def test_a_letter_goes_to_its_own_queue_as_it_is(
    make_queues, send_dead, operate, run, post, cipher, keys, has_keys
):
    queues = await make_queues()
    _, body = await send_dead(queues, 7)
    keys.is_away = True

    operator = operate(queues, cipher=cipher if has_keys else None)
    assert (await run(operator.redrive("orders.fifo"))).moved == 1
    [message] = await post.take(queues.url)
    assert message.body == body
    assert message.system.message_group_id == "~hidden"


async def test_for_another_queue_a_letter_is_encrypted_again(
    make_queues, send_dead, operate, run, post, cipher
):
    orders, payments = await make_queues(), await make_queues("payments.fifo")
    message_id, body = await send_dead(orders, 7)

    operator = operate(orders, payments, cipher=cipher)
    assert (await run(operator.redrive("orders.fifo", target="payments.fifo"))).moved == 1
    [message] = await post.take(payments.url)
    assert message.body != body
    document = await read(cipher, message, payments.arn)
    assert post.codec.decode(document).id == message_id
    with pytest.raises(DecryptionFailedError, match="another queue"):
        await read(cipher, message, orders.arn)
    assert (await post.take(orders.dead_url)) == []


async def test_a_letter_in_clear_is_not_encrypted_on_its_way(
    make_queues, operate, run, post, cipher
):
    """Whoever put it there had no key: it must not pass as one who has."""
    orders, payments = await make_queues(), await make_queues("payments.fifo")
    await post.send(orders, amount=7)
    await post.give_up(orders)

    operator = operate(orders, payments, cipher=cipher, encrypted={"payments.fifo"})
    await run(operator.redrive("orders.fifo", target="payments.fifo"))
    [message] = await post.take(payments.url)
    assert not is_sealed(message.body.encode())


async def test_a_letter_that_cannot_be_decrypted_stays(
    make_queues, send_dead, operate, run, cipher
):
    orders, payments = await make_queues("orders"), await make_queues("payments")
    await send_dead(orders, 7, destination="arn:aws:sqs:us-east-1:000000000000:elsewhere")
    await send_dead(orders, 8)

    operator = operate(orders, payments, cipher=cipher)
    result = await run(operator.redrive("orders", target="payments"))
    assert (result.moved, result.failed) == (1, 1)
    assert isinstance(result.error, DecryptionFailedError)
    assert len(await run(operator.peek("orders"))) == 1


async def test_without_a_key_an_encrypted_letter_goes_nowhere_else(
    make_queues, send_dead, operate, run
):
    orders, payments = await make_queues(), await make_queues("payments.fifo")
    await send_dead(orders, 7)
    result = await run(operate(orders, payments).redrive("orders.fifo", target="payments.fifo"))
    assert (result.moved, result.failed) == (0, 1)


async def test_a_key_that_is_away_ends_the_redrive_and_leaves_the_letters(
    make_queues, send_dead, operate, run, cipher, keys
):
    orders, payments = await make_queues(), await make_queues("payments.fifo")
    await send_dead(orders, 7)
    operator = operate(orders, payments, cipher=cipher)
    keys.is_away = True
    with pytest.raises(KeyUnavailableError, match="disabled"):
        await run(operator.redrive("orders.fifo", target="payments.fifo"))

    keys.is_away = False
    assert (await run(operator.redrive("orders.fifo", target="payments.fifo"))).moved == 1


@pytest.mark.parametrize(("has_keys", "moves"), [(True, 0), (False, 1)])
async def test_sqs_moves_no_letters_itself_that_may_have_to_be_encrypted_again(
    make_queues, post, operate, run, wire, monkeypatch, cipher, has_keys, moves
):
    monkeypatch.setattr(move_task, "LEAST", 1)
    orders, payments = await make_queues("orders"), await make_queues("payments")
    await post.send(orders)
    await post.give_up(orders)
    operator = operate(orders, payments, cipher=cipher if has_keys else None)
    await run(operator.redrive("orders", target="payments"))
    assert wire.count("StartMessageMoveTask") == moves
    assert len(await post.take(payments.url)) == 1


@pytest.mark.parametrize("as_body", [True, False])
async def test_an_edited_letter_is_encrypted_as_it_was(
    make_queues, send_dead, operate, run, post, cipher, as_body
):
    queues = await make_queues()
    await send_dead(queues, 7)
    operator = operate(queues, cipher=cipher)
    [letter] = await run(operator.peek("orders.fifo"))
    edited = type(letter.message)(order="o-1", amount=8)
    written = post.body(edited, letter.message_id)
    changed = {"body": written} if as_body else {"message": edited}

    new = await run(operator.resend(letter, **changed))
    [message] = await post.take(queues.url)
    document = await read(cipher, message, queues.arn)
    envelope = post.codec.decode(document)
    assert (envelope.id, envelope.message.amount) == (new, 8)
    assert message.attributes["content-type"].string_value == CONTENT_TYPE
    assert message.system.message_group_id.startswith("~")
    assert await post.take(queues.dead_url) == []


async def test_an_edited_letter_is_encrypted_where_its_queue_wants_that(
    make_queues, operate, run, post, cipher
):
    queues = await make_queues()
    await post.send(queues, amount=7)
    await post.give_up(queues)
    operator = operate(queues, cipher=cipher, encrypted={"orders.fifo"})
    [letter] = await run(operator.peek("orders.fifo"))
    await run(operator.resend(letter, message=letter.message))
    [message] = await post.take(queues.url)
    assert await read(cipher, message, queues.arn)


async def test_a_letter_that_cannot_be_decrypted_can_be_replaced(
    make_queues, send_dead, operate, run, post, cipher
):
    queues = await make_queues()
    await send_dead(queues, 7, destination="arn:aws:sqs:us-east-1:000000000000:elsewhere")
    operator = operate(queues, cipher=cipher)
    [letter] = await run(operator.peek("orders.fifo"))
    pay = next(info.type for info in post.codec._registry if info.name == "Pay")
    new = await run(operator.resend(letter, message=pay(order="o-1", amount=9)))
    [message] = await post.take(queues.url)
    assert post.codec.decode(await read(cipher, message, queues.arn)).id == new
