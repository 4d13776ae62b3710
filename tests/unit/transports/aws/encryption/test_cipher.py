from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from datetime import timedelta

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fuzz import fuzzed
from hypothesis import given
from hypothesis import strategies as st

from sourceflow.errors import DecryptionFailedError
from sourceflow.resilience.task_scope import TaskScope
from sourceflow.testing import ManualClock
from sourceflow.transports.aws.encryption import Cipher, LocalKeyProvider

QUEUE = "arn:aws:sqs:us-east-1:000000000000:orders.fifo"
OTHER = "arn:aws:sqs:us-east-1:000000000000:payments.fifo"
DOCUMENT = b'{"id":"m-1","source":"/shop","type":"Pay","data":{"card":"4242"}}'


async def test_what_was_encrypted_is_decrypted_and_nothing_of_it_is_seen(seal, cipher):
    body = await seal(DOCUMENT)
    assert b"4242" not in body
    assert b"4242" not in b64decode(body)
    assert await cipher.decrypt(body, destinations={QUEUE}, type_hint="Pay") == DOCUMENT


async def test_any_other_program_decrypts_it_as_the_reference_says(tasks, clock):
    """All that stands before the nonce is authenticated, and each field of it on its own."""

    class KnownKey(LocalKeyProvider):
        async def generate(self, context):
            return (await super().generate(context))._replace(plaintext=b"k" * 32)

    cipher = Cipher.of(KnownKey(), tasks=tasks, clock=clock, lifetime=timedelta(minutes=5))
    body = await cipher.encrypt(
        DOCUMENT, message_id="m-1", type_name="Pay", source="/shop", destination=QUEUE
    )
    raw, size = b64decode(body), len(DOCUMENT) + 16
    header, nonce, sealed = raw[: -size - 12], raw[-size - 12 : -size], raw[-size:]

    aes = AESGCM(b"k" * 32)
    assert aes.decrypt(nonce, sealed, header) == DOCUMENT
    for field in (b"m-1", b"Pay", b"/shop", QUEUE.encode(), b"local"):
        with pytest.raises(InvalidTag):
            aes.decrypt(nonce, sealed, header.replace(field, field[::-1]))


async def test_two_encryptions_of_one_message_have_nothing_in_common(seal):
    first, second = [b64decode(await seal(DOCUMENT)) for _ in range(2)]
    size = len(DOCUMENT) + 16
    assert first[: -size - 12] == second[: -size - 12]
    assert first[-size - 12 : -size] != second[-size - 12 : -size]
    assert first[-size:] != second[-size:]


async def test_a_message_for_another_queue_is_refused_before_its_key_is_decrypted(
    seal, cipher, keys
):
    body = await seal(DOCUMENT, destination=OTHER)
    with pytest.raises(DecryptionFailedError, match="another queue"):
        await cipher.decrypt(body, destinations={QUEUE})
    assert keys.decrypted == []


async def test_a_header_that_names_another_queue_is_refused(seal, cipher):
    """A stranger moves a message, and writes its new place into it: same length, same key."""
    place = OTHER.replace("payments", "orders")
    assert place == QUEUE
    elsewhere = QUEUE.replace("orders", "others")
    raw = b64decode(await seal(DOCUMENT)).replace(b":orders.fifo", b":others.fifo")
    with pytest.raises(DecryptionFailedError):
        await cipher.decrypt(b64encode(raw), destinations={elsewhere})


async def test_a_message_beside_another_type_is_refused(seal, cipher):
    with pytest.raises(DecryptionFailedError, match="type beside it"):
        await cipher.decrypt(await seal(DOCUMENT), destinations={QUEUE}, type_hint="Refund")


@pytest.mark.parametrize(
    "field", [{"message_id": "m-2"}, {"type_name": "Refund"}, {"source": "/other"}]
)
async def test_a_document_that_is_not_what_stands_in_clear_is_refused(seal, cipher, field):
    body = await seal(DOCUMENT, **field)
    with pytest.raises(DecryptionFailedError, match="not what stands in clear"):
        await cipher.decrypt(body, destinations={QUEUE})


@pytest.mark.parametrize("document", [b"", b"no json", b"[]", b'{"id":1}', b"[" * 100_000])
async def test_what_is_inside_must_be_a_document(seal, cipher, document):
    body = await seal(document)
    with pytest.raises(DecryptionFailedError, match="not one of our documents"):
        await cipher.decrypt(body, destinations={QUEUE})


@fuzzed(5_000)
@given(at=st.integers(min_value=0), change=st.integers(min_value=1, max_value=255))
def test_no_byte_can_be_changed(at, change):
    async def decrypt_changed():
        async with TaskScope() as tasks:
            cipher = Cipher.of(
                LocalKeyProvider(), tasks=tasks, clock=ManualClock(), lifetime=timedelta(minutes=5)
            )
            body = await cipher.encrypt(
                DOCUMENT, message_id="m-1", type_name="Pay", source="/shop", destination=QUEUE
            )
            assert await cipher.decrypt(body.encode(), destinations={QUEUE}) == DOCUMENT
            raw = bytearray(b64decode(body))
            raw[at % len(raw)] ^= change
            with pytest.raises(DecryptionFailedError):
                await cipher.decrypt(b64encode(raw), destinations={QUEUE})

    asyncio.run(decrypt_changed())


@fuzzed(5_000)
@given(at=st.integers(min_value=0), letter=st.integers(min_value=0, max_value=255))
def test_no_character_of_the_text_can_be_changed(at, letter):
    async def decrypt_changed():
        async with TaskScope() as tasks:
            cipher = Cipher.of(
                LocalKeyProvider(), tasks=tasks, clock=ManualClock(), lifetime=timedelta(minutes=5)
            )
            body = await cipher.encrypt(
                DOCUMENT, message_id="m-1", type_name="Pay", source="/shop", destination=QUEUE
            )
            text = bytearray(body.encode())
            text[at % len(text)] = letter
            if bytes(text) == body.encode():
                return
            with pytest.raises(DecryptionFailedError):
                await cipher.decrypt(bytes(text), destinations={QUEUE})

    asyncio.run(decrypt_changed())


@fuzzed(5_000)
@given(cut=st.integers(min_value=1), more=st.binary(max_size=40))
def test_nothing_can_be_cut_off_or_added(cut, more):
    async def decrypt_changed():
        async with TaskScope() as tasks:
            cipher = Cipher.of(
                LocalKeyProvider(), tasks=tasks, clock=ManualClock(), lifetime=timedelta(minutes=5)
            )
            body = await cipher.encrypt(
                DOCUMENT, message_id="m-1", type_name="Pay", source="/shop", destination=QUEUE
            )
            raw = b64decode(body)
            changed = raw[: -(cut % len(raw) or 1)] + more
            if changed == raw:
                return
            with pytest.raises(DecryptionFailedError):
                await cipher.decrypt(b64encode(changed), destinations={QUEUE})

    asyncio.run(decrypt_changed())
