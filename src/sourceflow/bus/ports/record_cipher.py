"""Encryption of what stores keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager

    from sourceflow.clock import Clock
    from sourceflow.errors import SourceflowError

__all__ = ("EncryptsAtRest", "RecordCipher", "RecordPlace", "Seal", "is_sealed_record")

RecordPlace = tuple[str, ...]
"""Where a record stands: what kind of record it is, and what tells it from all others of its kind.
What stands there is refused in any other place."""

Seal = Callable[[RecordPlace, bytes], bytes]
"""Encrypts the record of a place. The key is at hand: nothing is waited for, and nothing fails."""


def is_sealed_record(record: bytes) -> bool:
    """Whether what a store has kept may be encrypted.

    An encrypted record is a JSON text, so that it can stand wherever a document can. Our documents
    are JSON objects.
    """
    return record[:1] == b'"'


class RecordCipher(Protocol):
    """Encrypts what stores keep, and decrypts it again.

    Stores ask for the key before a transaction begins, so that none is open while a key service is
    asked. Records in clear are none of its business: stores tell them by ``is_sealed_record``.

    Attributes:
        encrypts: Whether stores are to encrypt. Where not, they still have to read what was
            encrypted earlier.
    """

    encrypts: bool

    async def sealing(self) -> Seal:
        """Return what encrypts the records of one transaction.

        Raises:
            DependencyError: There is no key to have now.
        """
        ...

    async def opened(
        self, records: Sequence[tuple[RecordPlace, bytes]]
    ) -> list[bytes | SourceflowError]:
        """Return records in clear, in their order.

        Instead of one that cannot be read stands its error: a ``DecryptionFailedError`` where it never
        can be, a ``DependencyError`` where it can't be now.
        """
        ...

    def opened_at_hand(
        self, records: Sequence[tuple[RecordPlace, bytes]]
    ) -> list[bytes | SourceflowError] | None:
        """Return records in clear as ``opened`` does, but ask nobody for a key.

        Returns:
            None where a key is not at hand: let the transaction go, call ``opened``, try again.
        """
        ...


@runtime_checkable
class EncryptsAtRest(Protocol):
    """A transport that has keys for what the stores of its App keep."""

    def record_cipher(
        self, *, app: str, clock: Clock
    ) -> AbstractAsyncContextManager[RecordCipher | None]:
        """Open what encrypts records; None where there is no key to read or write any with.

        Args:
            app: The App's name.
            clock: The time.
        """
        ...
