"""Data keys from AWS KMS."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from sourceflow.errors import (
    AwsKeyError,
    AwsRequestError,
    DecryptionFailedError,
    KeyUnavailableError,
)
from sourceflow.transports.aws.encryption.key_provider import GeneratedKey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from sourceflow.clock import Clock
    from sourceflow.transports.aws.client import KmsClient

__all__ = ("KmsKeyProvider",)

log = logging.getLogger(__name__)

LOOK: Final = 60.0
"""Seconds for which a key that no alias leads to counts as a stranger's."""

MOST_LOOKS: Final = 10
"""Looks in that time at where aliases lead: a stranger's messages could name many keys."""


class KmsKeyProvider:
    """Makes and decrypts data keys by AWS KMS.

    A message names the ARN of the KMS key that encrypted its data key. It is decrypted with that
    key and no other, and only if the key is one of those configured here, or one that their aliases
    lead to or led to while this process ran. So a key may be rotated, and an alias moved, while
    messages are under way.

    Args:
        kms: Calls KMS.
        key_id: The key that encrypts: its ARN, id or alias; None where nothing is encrypted.
        decrypt_key_ids: Further keys that may have encrypted what arrives.
        clock: The time.
    """

    def __init__(
        self, kms: KmsClient, *, key_id: str | None, decrypt_key_ids: Sequence[str], clock: Clock
    ) -> None:
        self._kms = kms
        self._key_id = key_id
        own = () if key_id is None else (key_id,)
        names = dict.fromkeys((*own, *decrypt_key_ids))
        self._names = tuple(name for name in names if not _is_key_arn(name))
        self._allowed = {name for name in names if _is_key_arn(name)}
        self._resolved: set[str] = set()
        self._clock = clock
        self._strangers: dict[str, float] = {}
        self._looking = asyncio.Lock()

    async def generate(self, context: Mapping[str, str]) -> GeneratedKey:
        """Make a data key.

        Raises:
            AwsKeyError: The key is missing, disabled or forbidden.
            AwsError: KMS does not answer.
        """
        if self._key_id is None:
            raise KeyUnavailableError("there is no kms_key_id to encrypt with")
        made = await self._kms.generate_data_key(self._key_id, context=context)
        self._allowed.add(made.key_arn)
        return GeneratedKey(made.key_arn, made.plaintext, made.ciphertext)

    async def decrypt(self, key_id: str, encrypted: bytes, context: Mapping[str, str]) -> bytes:
        """Decrypt a data key.

        Raises:
            DecryptionFailedError: The key is not allowed, or KMS refuses what it is to decrypt.
            AwsKeyError: The key is missing, disabled or forbidden.
            AwsError: KMS does not answer.
        """
        async with self._refusals(key_id):
            found = await self._kms.decrypt(encrypted, key_id=key_id, context=context)
        return found.plaintext

    async def check_generate(self, context: Mapping[str, str]) -> None:
        """See that ``generate`` would succeed, by a dry run: ``kms:GenerateDataKey``.

        Raises:
            AwsKeyError: The key is missing, disabled or forbidden.
            AwsError: KMS does not answer.
        """
        if self._key_id is None:
            raise KeyUnavailableError("there is no kms_key_id to encrypt with")
        await self._kms.check_generate_data_key(self._key_id, context=context)

    async def check_decrypt(
        self, key_id: str, encrypted: bytes, context: Mapping[str, str]
    ) -> None:
        """See that ``decrypt`` would succeed, by a dry run: ``kms:Decrypt``.

        Raises:
            DecryptionFailedError: The key is not allowed, or KMS refuses what it is to decrypt.
            AwsKeyError: The key is missing, disabled or forbidden.
            AwsError: KMS does not answer.
        """
        async with self._refusals(key_id):
            await self._kms.check_decrypt(encrypted, key_id=key_id, context=context)

    @asynccontextmanager
    async def _refusals(self, key_id: str) -> AsyncIterator[None]:
        """Ask KMS to decrypt by this key if it is allowed; what can never be is ``DecryptionFailedError``."""
        if not await self._is_allowed(key_id):
            raise DecryptionFailedError("its key is not one that is allowed here")
        try:
            yield
        except AwsRequestError as error:
            raise DecryptionFailedError(f"KMS refuses its data key: {error.code}") from error

    async def _is_allowed(self, key_arn: str) -> bool:
        if key_arn in self._allowed:
            return True
        async with self._looking:
            await self._look_for(key_arn)
        return key_arn in self._allowed

    async def _look_for(self, key_arn: str) -> None:
        """Look whether an alias leads to a key by now, unless that was looked for just before."""
        now = self._clock.monotonic()
        self._strangers = {key: until for key, until in self._strangers.items() if now < until}
        if key_arn in self._allowed or key_arn in self._strangers:
            return
        if len(self._strangers) < MOST_LOOKS:
            for name in self._names:
                await self._resolve(name)
            if key_arn not in self._allowed:
                self._strangers[key_arn] = now + LOOK

    async def _resolve(self, name: str) -> None:
        """Find the key that an alias or id leads to now.

        Where that is forbidden, a stranger's message may not make us wait for it for ever: what was
        found before has to do.
        """
        try:
            described = await self._kms.describe_key(name)
        except AwsKeyError as error:
            if name not in self._resolved:
                raise
            log.warning("it cannot be seen where %s leads: %s", name, error)
        else:
            self._resolved.add(name)
            self._allowed.add(described.key_arn)

    def __repr__(self) -> str:
        return f"KmsKeyProvider(key_id={self._key_id!r})"


def _is_key_arn(name: str) -> bool:
    return name.startswith("arn:") and ":key/" in name
