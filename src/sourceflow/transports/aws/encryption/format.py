"""Encrypted messages byte by byte: see the reference page on the encrypted form."""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from functools import lru_cache
from struct import Struct
from struct import error as StructError  # noqa: N812 - it is a class
from typing import Final, NamedTuple

import msgspec

from sourceflow.errors import DecryptionFailedError
from sourceflow.transports.aws.encryption.aes import NONCE_BYTES, TAG_BYTES

__all__ = (
    "CONTENT_TYPE",
    "LENGTH",
    "MAX_KEY_BYTES",
    "OVERHEAD",
    "PREFIX",
    "KeySection",
    "Sealed",
    "is_sealed",
    "largest_size",
    "read_base64",
    "read_key_section",
    "read_sealed",
    "sealed_id",
    "write_field",
    "write_key_section",
    "write_message_section",
    "write_sealed",
)

CONTENT_TYPE: Final = "application/vnd.sourceflow-encrypted"
"""The message attribute ``content-type`` of encrypted messages."""

VERSION: Final = 1
"""The version of the format; another one is refused."""

MAX_KEY_BYTES: Final = 1024
"""What the id of a key and an encrypted data key take together at most. Of KMS they take about 260
bytes; that there is a limit lets a message be refused for its size before there is a key."""

_MAGIC_TEXT: Final = b"sfen"
"""How every encrypted body begins: no JSON does."""

_MAGIC: Final = a2b_base64(_MAGIC_TEXT)
PREFIX: Final = _MAGIC + bytes([VERSION])
"""What every encrypted message begins with."""

LENGTH: Final = 2
"""Bytes that say how long what follows is."""

_KEY_SECTION: Final = len(PREFIX) + LENGTH
_MOST: Final = 2**16 - 1
_BASE64: Final = msgspec.json.Decoder(bytes)
_length: Final = Struct(">H").unpack_from
_CUT_OFF: Final = "it is cut off, or its fields do not fit"

OVERHEAD: Final = _KEY_SECTION + 6 * LENGTH + NONCE_BYTES + TAG_BYTES
"""Bytes that an encrypted message has beside its document and its six fields."""


class KeySection(NamedTuple):
    """The part of the header that is the same for all messages of a data key.

    Attributes:
        key_id: The key that encrypted the data key.
        encrypted_key: The data key, encrypted.
        source: Who made the messages, ``/{app}``.
        destination: The ARN of the queue or topic that they were encrypted for.
    """

    key_id: str
    encrypted_key: bytes
    source: str
    destination: str


class Sealed(msgspec.Struct, frozen=True, gc=False):
    """An encrypted message, taken apart; nothing in it is to be believed before it is decrypted.

    Attributes:
        header: Everything before the nonce: authenticated as it stands.
        key: Of the header, the part about the data key.
        type_name: The message's wire name.
        message_id: Its id.
        nonce: The nonce.
        ciphertext: The document, encrypted, and the tag.
    """

    header: bytes
    key: KeySection
    type_name: str
    message_id: str
    nonce: bytes
    ciphertext: bytes


def is_sealed(body: bytes) -> bool:
    """Whether a body is an encrypted message, or begins as one."""
    return body.startswith(_MAGIC_TEXT)


def write_key_section(section: KeySection, prefix: bytes = PREFIX) -> bytes:
    """Return how everything that a data key encrypts begins.

    Args:
        section: About the data key.
        prefix: Which form follows, and its version.

    Raises:
        ValueError: A field is too long.
    """
    key_id, encrypted_key = section.key_id.encode(), section.encrypted_key
    size = len(key_id) + len(encrypted_key)
    if size > MAX_KEY_BYTES:
        raise ValueError(
            f"the id of the key and the encrypted data key take {size} bytes; a message has room "
            f"for {MAX_KEY_BYTES}"
        )
    fields = (key_id, encrypted_key, section.source.encode(), section.destination.encode())
    return prefix + write_field(b"".join(map(write_field, fields)))


def write_message_section(type_name: str, message_id: str) -> bytes:
    """Return how the header ends: with what is the message's own.

    Raises:
        ValueError: A field is too long.
    """
    return write_field(type_name.encode()) + write_field(message_id.encode())


def write_sealed(header: bytes, nonce: bytes, ciphertext: bytes) -> str:
    """Return an encrypted message as it travels."""
    return b2a_base64(b"".join((header, nonce, ciphertext)), newline=False).decode("ascii")


def largest_size(document: int, type_name: str, message_id: str, source: str, place: str) -> int:
    """Return the bytes that a message takes at most when it is encrypted, whatever its key.

    Args:
        document: The bytes of the document.
        type_name: The message's wire name.
        message_id: Its id.
        source: Who made it.
        place: The ARN of its destination.
    """
    fields = sum(len(each.encode()) for each in (type_name, message_id, source, place))
    return -(-(OVERHEAD + MAX_KEY_BYTES + fields + document) // 3) * 4


def read_sealed(body: bytes) -> Sealed:
    """Take an encrypted message apart.

    Written out, as every message passes here. A length that reaches too far shows at the next one, or
    at the end.

    Raises:
        DecryptionFailedError: It is not one, or of a version that is not known here.
    """
    raw = read_base64(body)
    if raw[: len(PREFIX)] != PREFIX:
        raise DecryptionFailedError("its version of the encrypted form is not known here")
    try:
        (length,) = _length(raw, len(PREFIX))
        section_end = _KEY_SECTION + length
        (length,) = _length(raw, section_end)
        type_end = section_end + LENGTH + length
        (length,) = _length(raw, type_end)
    except StructError:
        raise DecryptionFailedError(_CUT_OFF) from None
    header_end = type_end + LENGTH + length
    if len(raw) < header_end + NONCE_BYTES + TAG_BYTES:
        raise DecryptionFailedError(_CUT_OFF)
    return Sealed(
        raw[:header_end],
        read_key_section(raw[_KEY_SECTION:section_end]),
        _text(raw[section_end + LENGTH : type_end]),
        _text(raw[type_end + LENGTH : header_end]),
        raw[header_end : header_end + NONCE_BYTES],
        raw[header_end + NONCE_BYTES :],
    )


@lru_cache(maxsize=1_000)
def read_key_section(section: bytes) -> KeySection:
    """Return what a section says; most messages have the same one as the message before.

    Raises:
        DecryptionFailedError: Its fields do not fit.
    """
    key_id, at = _read(section, 0)
    encrypted_key, at = _read(section, at)
    source, at = _read(section, at)
    destination, at = _read(section, at)
    if at != len(section):
        raise DecryptionFailedError(_CUT_OFF)
    return KeySection(_text(key_id), encrypted_key, _text(source), _text(destination))


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise DecryptionFailedError("a field of it is no text") from None


def sealed_id(body: bytes) -> str | None:
    """Return the id that stands in clear in an encrypted message, or None where it can't be read."""
    try:
        return read_sealed(body).message_id
    except DecryptionFailedError:
        return None


def write_field(value: bytes) -> bytes:
    """Return a field: its length, and what stands in it.

    Raises:
        ValueError: It is too long.
    """
    if len(value) > _MOST:
        raise ValueError(f"a field of an encrypted message takes {_MOST} bytes, not {len(value)}")
    return len(value).to_bytes(LENGTH, "big") + value


def _read(raw: bytes, at: int) -> tuple[bytes, int]:
    """Return the field at a place, and where the next one begins."""
    begin = at + LENGTH
    end = begin + int.from_bytes(raw[at:begin], "big")
    if begin > len(raw) or end > len(raw):
        raise DecryptionFailedError(_CUT_OFF)
    return raw[begin:end], end


def read_base64(body: bytes) -> bytes:
    """Return the bytes of a body; each message has one text only.

    The decoder of JSON texts is twice as fast as that of the standard library. It knows escapes, and
    does not look at the bits that the last character has too many: both are refused here.

    Raises:
        DecryptionFailedError: It is no Base64, or not the one text for these bytes.
    """
    try:
        raw = b"" if b"\\" in body else _BASE64.decode(b'"%b"' % body)
    except (msgspec.MsgspecError, ValueError):
        raw = b""
    rest = len(raw) % 3
    if not raw or (rest and b2a_base64(raw[-rest:], newline=False) != body[-4:]):
        raise DecryptionFailedError("it is no Base64 that anybody would write")
    return raw
