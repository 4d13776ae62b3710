"""SQL stores that get a key of their own, without a transport that brings one; and a key service."""

from __future__ import annotations

from contextlib import AsyncExitStack

from sourceflow.errors import KeyUnavailableError
from sourceflow.stores.sql import SqlStores
from sourceflow.transports.aws import AwsOptions, AwsTransport, LocalKeyProvider


class WatchedKeys(LocalKeyProvider):
    """A key service that counts its calls, and that can refuse.

    Attributes:
        calls: How often it was asked.
        is_away: Whether it refuses everything.
        disabled: Encrypted data keys that it does not decrypt for now.
        made: The encrypted data keys that it made.
        on_call: Is called each time.
    """

    def __init__(self, key=bytes(range(32))):
        super().__init__(key)
        self.calls = 0
        self.is_away = False
        self.disabled = set()
        self.made = []
        self.on_call = lambda: None

    async def generate(self, context):
        self._pass()
        made = await super().generate(context)
        self.made.append(made.encrypted)
        return made

    async def decrypt(self, key_id, encrypted, context):
        self._pass()
        if encrypted in self.disabled:
            raise KeyUnavailableError("the key is disabled")
        return await super().decrypt(key_id, encrypted, context)

    def _pass(self):
        self.calls += 1
        self.on_call()
        if self.is_away:
            raise KeyUnavailableError("the key is disabled")


class EncryptedStores(SqlStores):
    """Stores that encrypt what they keep, whatever they are told when they open."""

    def __init__(self, url, keys, *, encrypt=True, **options):
        super().__init__(url, **options)
        self._keys = AwsTransport(
            AwsOptions(region="us-east-1", encrypt_at_rest=encrypt), lambda bus: bus, keys=keys
        )
        self._exit = AsyncExitStack()

    async def open(self, context):
        opened = self._keys.record_cipher(app=context.app, clock=context.clock)
        cipher = await self._exit.enter_async_context(opened)
        await super().open(context._replace(cipher=cipher))

    async def aclose(self):
        async with self._exit:
            await super().aclose()
