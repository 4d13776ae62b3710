"""Encrypted records byte by byte: see the reference page on the encrypted form."""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from typing import TYPE_CHECKING, Final, NamedTuple

from sourceflow.errors import DecryptionFailedError
from sourceflow.transports.aws.encryption.aes import NONCE_BYTES, TAG_BYTES
from sourceflow.transports.aws.encryption.format import (
    LENGTH,
    KeySection,
    read_base64,
    read_key_section,
    write_field,
)

if TYPE_CHECKING:
    from sourceflow.bus.ports import RecordPlace

__all__ = ("RECORD_PREFIX", "SealedRecord", "read_record", "write_place", "write_record")

VERSION: Final = 1
"""The version of the format; another one is refused."""

_MAGIC_TEXT: Final = b"sfar"
"""How the Base64 of every encrypted record begins."""

RECORD_PREFIX: Final = a2b_base64(_MAGIC_TEXT) + bytes([VERSION])
"""What the bytes of every encrypted record begin with."""

_KEY_SECTION: Final = len(RECORD_PREFIX) + LENGTH


class SealedRecord(NamedTuple):
    """An encrypted record, taken apart.

    Attributes:
        header: Everything before the nonce: authenticated as it stands.
        key: What it says about the data key.
        nonce: The nonce.
        ciphertext: The record, encrypted, and the tag.
    """

    header: bytes
    key: KeySection
    nonce: bytes
    ciphertext: bytes


def write_place(place: RecordPlace) -> bytes:
    """Return a place as it is authenticated: it is no part of the record.

    Raises:
        ValueError: A text of it is too long.
    """
    return b"".join([write_field(text.encode()) for text in place])


def write_record(header: bytes, nonce: bytes, ciphertext: bytes) -> bytes:
    """Return an encrypted record as it is kept: a JSON text."""
    return b'"%b"' % b2a_base64(b"".join((header, nonce, ciphertext)), newline=False)


def read_record(record: bytes) -> SealedRecord:
    """Take an encrypted record apart.

    Raises:
        DecryptionFailedError: It is not one, or of a version that is not known here.
    """
    if record[-1:] != b'"' or len(record) < len(_MAGIC_TEXT):
        raise DecryptionFailedError("it is no encrypted record, or was cut off")
    raw = read_base64(record[1:-1])
    if raw[: len(RECORD_PREFIX)] != RECORD_PREFIX:
        raise DecryptionFailedError("it is no encrypted record of a version that is known here")
    nonce = _KEY_SECTION + int.from_bytes(raw[len(RECORD_PREFIX) : _KEY_SECTION], "big")
    if len(raw) < nonce + NONCE_BYTES + TAG_BYTES:
        raise DecryptionFailedError("it is no encrypted record, or was cut off")
    return SealedRecord(
        raw[:nonce],
        read_key_section(raw[_KEY_SECTION:nonce]),
        raw[nonce : nonce + NONCE_BYTES],
        raw[nonce + NONCE_BYTES :],
    )
