"""Encrypted dead letters: read by their own queue's rights, and encrypted again for another queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from sourceflow.errors import DecryptionFailedError
from sourceflow.transports.aws.encryption import is_sealed, read_sealed
from sourceflow.transports.aws.wire import read_arrived

if TYPE_CHECKING:
    from sourceflow.transports.aws.client import ReceivedMessage
    from sourceflow.transports.aws.dead_letters.edit import Edited
    from sourceflow.transports.aws.dead_letters.queue import DeadLetterQueue
    from sourceflow.transports.aws.encryption import Cipher
    from sourceflow.transports.aws.wire import Arrived

__all__ = ("LetterCipher",)


class LetterCipher:
    """Reads encrypted letters of a dead letter queue, and encrypts them for another queue.

    A letter in clear is never encrypted on its way: whoever put it there had no key, and must not
    get one by our help.

    Args:
        cipher: Encrypts and decrypts; None where this App has no keys.
        queue: The dead letter queue.
    """

    def __init__(self, cipher: Cipher | None, queue: DeadLetterQueue) -> None:
        self._cipher = cipher
        self._queue = queue

    def is_encrypted(self, letter: ReceivedMessage) -> bool:
        """Whether a letter is encrypted."""
        return is_sealed(self.unpack(letter).body)

    def unpack(self, letter: ReceivedMessage) -> Arrived:
        """Return a letter as it came, unpacked."""
        return read_arrived(letter, self._queue.topics)

    async def open(self, letter: ReceivedMessage) -> Arrived:
        """Return a letter in clear, unpacked.

        Raises:
            DecryptionFailedError: It can't be decrypted here.
            DependencyError: Its key can't be decrypted now.
        """
        arrived = self.unpack(letter)
        if not is_sealed(arrived.body):
            return arrived
        body = await self._keys().decrypt(
            arrived.body,
            destinations=self._queue.destinations,
            type_hint=arrived.type_hint,
        )
        return msgspec.structs.replace(arrived, body=body)

    async def body_for(self, letter: ReceivedMessage, destination: str) -> str:
        """Return a letter's body for another queue: as it is, or encrypted for that.

        Args:
            letter: The letter.
            destination: The ARN of the other queue.

        Raises:
            DecryptionFailedError: It can't be decrypted here.
            DependencyError: There is no data key to have now.
        """
        arrived = self.unpack(letter)
        if not is_sealed(arrived.body):
            return letter.body
        clear = await self.open(letter)
        sealed = read_sealed(arrived.body)
        return await self._keys().encrypt(
            clear.body,
            message_id=sealed.message_id,
            type_name=sealed.type_name,
            source=sealed.key.source,
            destination=destination,
        )

    async def encrypt(self, edited: Edited, destination: str) -> str:
        """Return the body of an edited message, encrypted.

        Raises:
            DecryptionFailedError: This App has no keys.
            DependencyError: There is no data key to have now.
        """
        return await self._keys().encrypt(
            edited.body,
            message_id=edited.id,
            type_name=edited.type_name,
            source=edited.source,
            destination=destination,
        )

    def _keys(self) -> Cipher:
        if self._cipher is None:
            raise DecryptionFailedError("it is encrypted, and this App has no keys")
        return self._cipher
