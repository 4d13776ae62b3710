"""A key service whose calls are counted, and which can be held up or switched off."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from sourceflow.errors import KeyUnavailableError
from sourceflow.transports.aws.encryption import Cipher, LocalKeyProvider

QUEUE = "arn:aws:sqs:us-east-1:000000000000:orders.fifo"
OTHER = "arn:aws:sqs:us-east-1:000000000000:payments.fifo"


class CountedKeys:
    """A local key service.

    Attributes:
        generated: The contexts that a key was made for.
        decrypted: The contexts that a key was decrypted for.
        fault: What every call raises; None lets it pass.
        open: Calls wait until it is set.
    """

    def __init__(self):
        self._keys = LocalKeyProvider()
        self.generated = []
        self.decrypted = []
        self.fault = None
        self.open = asyncio.Event()
        self.open.set()

    async def generate(self, context):
        self.generated.append(dict(context))
        await self._pass()
        return await self._keys.generate(context)

    async def decrypt(self, key_id, encrypted, context):
        self.decrypted.append(dict(context))
        await self._pass()
        return await self._keys.decrypt(key_id, encrypted, context)

    async def _pass(self):
        await self.open.wait()
        if self.fault is not None:
            raise self.fault

    def switch_off(self):
        self.fault = KeyUnavailableError("the key is disabled")


@pytest.fixture
def keys():
    return CountedKeys()


@pytest.fixture
def cipher(keys, tasks, clock):
    return Cipher.of(keys, tasks=tasks, clock=clock, lifetime=timedelta(minutes=5))


@pytest.fixture
def seal(cipher):
    """Encrypt a document."""

    async def seal(
        document=b'{"id":"m-1","source":"/shop","type":"Pay","data":{}}',
        *,
        destination=QUEUE,
        **more,
    ):
        fields = {"message_id": "m-1", "type_name": "Pay", "source": "/shop", **more}
        sealed = await cipher.encrypt(document, destination=destination, **fields)
        return sealed.encode()

    return seal
