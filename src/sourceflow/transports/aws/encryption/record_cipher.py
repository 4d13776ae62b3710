"""Encrypts what the stores of an App keep, and decrypts it again."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from sourceflow.errors import DecryptionFailedError, DependencyError, SourceflowError
from sourceflow.transports.aws.encryption.record_format import (
    read_record,
    write_place,
    write_record,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sourceflow.bus.ports import RecordPlace, Seal
    from sourceflow.clock import Clock
    from sourceflow.transports.aws.encryption.aes import Aes
    from sourceflow.transports.aws.encryption.format import KeySection
    from sourceflow.transports.aws.encryption.receiving_cache import ReceivingCache
    from sourceflow.transports.aws.encryption.record_format import SealedRecord
    from sourceflow.transports.aws.encryption.sending_cache import SendingCache, SendingKey

__all__ = ("STORES", "EnvelopeRecordCipher")

STORES: Final = "stores"
"""What stands for the stores of an App where a queue or topic would stand: in the encryption context,
and in the records. No queue or topic has an ARN like this, so what is under way is never taken for
what is kept, and the other way round."""

PAUSE: Final = timedelta(seconds=1)
"""How long nobody asks again for a data key that was not to be had."""

NEVER: Final = timedelta(minutes=5)
"""How long nobody asks again for a data key that can't be decrypted here."""

MOST_FAILURES: Final = 1_000
"""Data keys that are remembered not to be had."""

AT_ONCE: Final = 20
"""Data keys that are asked for at the same time."""

_Found = dict["KeySection", "Aes | SourceflowError"]


class _Failure(NamedTuple):
    error: SourceflowError
    until: float


class EnvelopeRecordCipher:
    """See ``sourceflow.bus.ports.RecordCipher``: by data keys, as messages are encrypted.

    What is authenticated beside a record is its header and its place. The place is not kept in it:
    who reads a record says where it was.

    Args:
        source: Whose stores they are, ``/{app}``.
        sending: Data keys to encrypt with; None where nothing is to be encrypted any more.
        receiving: Data keys that were decrypted.
        clock: The time.
    """

    def __init__(
        self,
        *,
        source: str,
        sending: SendingCache | None,
        receiving: ReceivingCache,
        clock: Clock,
    ) -> None:
        self.encrypts = sending is not None
        self._source = source
        self._sending = sending
        self._receiving = receiving
        self._clock = clock
        self._failures: OrderedDict[KeySection, _Failure] = OrderedDict()

    async def sealing(self) -> Seal:
        """Return what encrypts the records of one transaction.

        It may be used a little longer than its data key is to be: as long as a handler takes that
        has opened a transaction of its own.

        Raises:
            DependencyError: There is no data key to have now.
        """
        assert self._sending is not None  # stores look at ``encrypts`` first
        return _Sealing(await self._sending.key(self._source, STORES, 0))

    async def opened(
        self, records: Sequence[tuple[RecordPlace, bytes]]
    ) -> list[bytes | SourceflowError]:
        """Return records in clear; each data key that is not at hand is asked for once."""
        taken = [_take_apart(record) for _, record in records]
        found, missing = self._look(taken)
        for start in range(0, len(missing), AT_ONCE):
            async with asyncio.TaskGroup() as group:
                for section in missing[start : start + AT_ONCE]:
                    group.create_task(self._fetch(section, found))
        return _in_clear(records, taken, found)

    def opened_at_hand(
        self, records: Sequence[tuple[RecordPlace, bytes]]
    ) -> list[bytes | SourceflowError] | None:
        """Return records in clear, or None where a data key is not at hand."""
        taken = [_take_apart(record) for _, record in records]
        found, missing = self._look(taken)
        return None if missing else _in_clear(records, taken, found)

    def _look(
        self, taken: Iterable[SealedRecord | DecryptionFailedError]
    ) -> tuple[_Found, list[KeySection]]:
        """Return the data keys of records, and which of them are not at hand."""
        found: _Found = {}
        missing: list[KeySection] = []
        for section in {each.key: None for each in taken if not isinstance(each, Exception)}:
            at_hand = self._receiving.at_hand(section) or self._failure(section)
            if at_hand is None:
                missing.append(section)
            else:
                found[section] = at_hand
        return found, missing

    def _failure(self, section: KeySection) -> SourceflowError | None:
        if section.destination != STORES:
            return DecryptionFailedError("it was not encrypted to be kept")
        failure = self._failures.get(section)
        return (
            None if failure is None or self._clock.monotonic() >= failure.until else failure.error
        )

    async def _fetch(self, section: KeySection, found: _Found) -> None:
        """Put a data key among those that were found, or why it is not to be had."""
        try:
            found[section] = await self._receiving.key(section)
        except (DecryptionFailedError, DependencyError) as error:
            pause = PAUSE if isinstance(error, DependencyError) else NEVER
            until = self._clock.monotonic() + pause.total_seconds()
            self._failures[section] = _Failure(error, until)
            self._failures.move_to_end(section)
            if len(self._failures) > MOST_FAILURES:
                self._failures.popitem(last=False)
            found[section] = error
        else:
            self._failures.pop(section, None)


class _Sealing:
    """Encrypts records with one data key."""

    __slots__ = ("_key",)

    def __init__(self, key: SendingKey) -> None:
        self._key = key

    def __call__(self, place: RecordPlace, record: bytes) -> bytes:
        key = self._key
        key.use(len(record))
        nonce, ciphertext = key.aes.encrypt(record, key.section + write_place(place))
        return write_record(key.section, nonce, ciphertext)


def _take_apart(record: bytes) -> SealedRecord | DecryptionFailedError:
    try:
        return read_record(record)
    except DecryptionFailedError as error:
        return error


def _in_clear(
    records: Iterable[tuple[RecordPlace, bytes]],
    taken: Iterable[SealedRecord | DecryptionFailedError],
    found: _Found,
) -> list[bytes | SourceflowError]:
    return [
        each if isinstance(each, Exception) else _open(place, each, found[each.key])
        for (place, _), each in zip(records, taken, strict=True)
    ]


def _open(
    place: RecordPlace, record: SealedRecord, key: Aes | SourceflowError
) -> bytes | SourceflowError:
    if isinstance(key, SourceflowError):
        return key
    try:
        return key.decrypt(record.nonce, record.ciphertext, record.header + write_place(place))
    except DecryptionFailedError:
        return DecryptionFailedError(
            "it was changed, or was encrypted for another place in the stores"
        )
