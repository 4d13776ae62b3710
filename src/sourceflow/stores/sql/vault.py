"""What of a database's rows is encrypted, and how it comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sourceflow.bus.ports import is_sealed_record
from sourceflow.errors import DecryptionFailedError, SourceflowError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sourceflow.bus.ports import RecordCipher, RecordPlace, Seal

__all__ = (
    "COMMAND",
    "ENTITY",
    "EVENT",
    "LETTER",
    "OUTGOING",
    "ROW",
    "KeysMissing",
    "Record",
    "Sealed",
    "Vault",
    "in_clear",
)

Record = bytes | SourceflowError
"""A record in clear, or why it cannot be read."""


class Sealed(NamedTuple):
    """What is encrypted of the rows of a table.

    Attributes:
        kind: What kind of record it is.
        column: The column that is encrypted.
        place: The columns that tell where it stands: what is encrypted for one row is refused in
            another.
    """

    kind: str
    column: str
    place: tuple[str, ...]

    def seal(self, seal: Seal, values: dict[str, Any]) -> None:
        """Encrypt what is to be encrypted of a row that is about to be written."""
        record = values[self.column]
        if record is not None:
            values[self.column] = seal(self.placed(values), record)

    def placed(self, values: Mapping[str, Any]) -> RecordPlace:
        """Return the place of a row."""
        texts = [values[name] for name in self.place]
        return (self.kind, *["" if text is None else str(text) for text in texts])


ENTITY: Final = Sealed("entity", "state", ("entity", "key"))
COMMAND: Final = Sealed(
    "command", "body", ("entity", "key", "number", "source", "message_id", "type")
)
EVENT: Final = Sealed(
    "event", "body", ("entity", "stream_key", "key", "source", "message_id", "type")
)
OUTGOING: Final = Sealed(
    "outgoing",
    "body",
    ("app", "entity", "stream_key", "kind", "destination", "source", "message_id", "type"),
)
"""Of the schedule and of the outbox: a row of the one may become a row of the other as it stands."""
ROW: Final = Sealed("row", "document", ("view", "key"))
LETTER: Final = Sealed("letter", "body", ("source", "message_id"))


class KeysMissing(Exception):  # noqa: N818 - says what happened; who began the transaction goes on
    """Records in a transaction need keys that are not at hand.

    Who began the transaction ends it, has the keys fetched by ``Vault.fetch``, and begins again.

    Attributes:
        records: The records.
    """

    def __init__(self, records: Sequence[tuple[RecordPlace, bytes]]) -> None:
        super().__init__()
        self.records = records


class Vault:
    """Encrypts what is written, where the App wants that, and decrypts what is encrypted.

    Rows in clear and encrypted ones may stand beside each other: each says by itself which it is.

    Args:
        cipher: Encrypts and decrypts; None where the App has no key.
    """

    __slots__ = ("_cipher", "encrypts")

    def __init__(self, cipher: RecordCipher | None) -> None:
        self._cipher = cipher
        self.encrypts = cipher is not None and cipher.encrypts

    async def sealing(self) -> Seal | None:
        """Return what encrypts the rows of a transaction, before it begins; None in clear.

        Raises:
            DependencyError: There is no key to have now.
        """
        if self._cipher is None or not self.encrypts:
            return None
        return await self._cipher.sealing()

    async def open(self, what: Sealed, record: bytes, values: Mapping[str, Any]) -> bytes:
        """Return one record in clear that is encrypted.

        Args:
            what: What kind of record it is.
            record: What the row has.
            values: Tell its place.

        Raises:
            DecryptionFailedError: It can't be decrypted here.
            DependencyError: Its key is not to be had now.
        """
        (found,) = await self._open([(what.placed(values), record)])
        return in_clear(found)

    async def opened(
        self,
        what: Sealed,
        names: Sequence[str],
        rows: Sequence[Sequence[Any]],
        **same: Any,
    ) -> list[Record]:
        """Return the column of rows that may be encrypted, in clear.

        Args:
            what: What kind of rows they are.
            names: The columns that each row has.
            rows: The rows.
            same: Columns that are the same in all rows, and not in them.
        """
        records, asked = _asked(what, names, rows, same)
        if asked:
            for at, found in zip(asked, await self._open(list(asked.values())), strict=True):
                records[at] = found
        return records

    def opened_at_hand(
        self,
        what: Sealed,
        names: Sequence[str],
        rows: Sequence[Sequence[Any]],
        **same: Any,
    ) -> list[Record]:
        """Return that column in clear, in a transaction that is not to wait for a key.

        Raises:
            KeysMissing: A key is not at hand.
        """
        records, asked = _asked(what, names, rows, same)
        if asked:
            wanted = list(asked.values())
            opened = (
                [_no_key() for _ in wanted]
                if self._cipher is None
                else self._cipher.opened_at_hand(wanted)
            )
            if opened is None:
                raise KeysMissing(wanted)
            for at, found in zip(asked, opened, strict=True):
                records[at] = found
        return records

    async def fetch(self, missing: KeysMissing) -> None:
        """Have the keys at hand that were missing; where one is not to be had, that is known then."""
        await self._open(missing.records)

    async def _open(self, records: Sequence[tuple[RecordPlace, bytes]]) -> Sequence[Record]:
        if self._cipher is None:
            return [_no_key() for _ in records]
        return await self._cipher.opened(records)


def _asked(
    what: Sealed, names: Sequence[str], rows: Sequence[Sequence[Any]], same: Mapping[str, Any]
) -> tuple[list[Record], dict[int, tuple[RecordPlace, bytes]]]:
    """Return a column of rows as it is, and those of its records that are encrypted."""
    at = names.index(what.column)
    records: list[Record] = [row[at] for row in rows]
    asked: dict[int, tuple[RecordPlace, bytes]] = {}
    for index, record in enumerate(records):
        if isinstance(record, bytes) and is_sealed_record(record):
            values = {**same, **dict(zip(names, rows[index], strict=True))}
            asked[index] = (what.placed(values), record)
    return records, asked


def in_clear(record: Record) -> bytes:
    """Return a record.

    Raises:
        DecryptionFailedError: It can't be decrypted here.
        DependencyError: Its key is not to be had now.
    """
    if isinstance(record, SourceflowError):
        raise record.with_traceback(None)  # it may have been raised before
    return record


def _no_key() -> Record:
    return DecryptionFailedError(
        "it is encrypted, and the App has no key: name the one that encrypted it in the options of "
        "its transport"
    )
