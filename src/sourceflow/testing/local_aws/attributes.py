"""Message attributes, by the rules that SQS and SNS share."""

from __future__ import annotations

import hashlib
import re
import struct
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = (
    "FORBIDDEN",
    "MAX_ATTRIBUTES",
    "MessageAttribute",
    "check_attributes",
    "check_names_and_values",
    "md5_of_attributes",
    "size_of_attributes",
)

FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no text of a message may hold (SQS API reference, ``SendMessage``)."""

MAX_ATTRIBUTES: Final = 10
MAX_NAME: Final = 256
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]+")
_TYPE: Final = re.compile(r"(String|Number|Binary)(\..+)?")
_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_RESERVED: Final = ("aws.", "amazon.")


class MessageAttribute(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """One message attribute.

    Attributes:
        data_type: ``String``, ``Number`` or ``Binary``, perhaps with a label behind a dot.
        string_value: The value of strings and numbers.
        binary_value: The value of binary ones.
    """

    data_type: str
    string_value: str | None = None
    binary_value: bytes | None = None


def check_attributes(attributes: Mapping[str, MessageAttribute]) -> None:
    """Check all attributes of a message (SQS developer guide, "Amazon SQS message metadata").

    Raises:
        ValueError: One is not allowed, or there are too many.
    """
    if len(attributes) > MAX_ATTRIBUTES:
        raise ValueError(
            f"Number of message attributes [{len(attributes)}] exceeds the allowed maximum "
            f"[{MAX_ATTRIBUTES}]."
        )
    check_names_and_values(attributes)


def check_names_and_values(attributes: Mapping[str, MessageAttribute]) -> None:
    """Check attributes but for their number: SNS takes more than SQS does.

    Raises:
        ValueError: One is not allowed.
    """
    for name, value in attributes.items():
        _check_name(name)
        _check_value(name, value)


def _check_name(name: str) -> None:
    if not name or len(name) > MAX_NAME or not _NAME.fullmatch(name):
        raise ValueError(
            f"Message attribute name '{name}' is invalid: it may hold A-Z, a-z, 0-9, underscore, "
            "hyphen and period, and up to 256 of them."
        )
    if name.lower().startswith(_RESERVED):
        raise ValueError(f"Message attribute name '{name}' starts with a reserved prefix.")
    if name.startswith(".") or name.endswith(".") or ".." in name:
        raise ValueError(f"Message attribute name '{name}' has a period where none may stand.")


def _check_value(name: str, value: MessageAttribute) -> None:
    if len(value.data_type) > MAX_NAME or not _TYPE.fullmatch(value.data_type):
        raise ValueError(f"The message attribute '{name}' has an invalid message attribute type.")
    is_binary = value.data_type.startswith("Binary")
    given: Any = value.binary_value if is_binary else value.string_value
    if not given:
        raise ValueError(
            f"The message attribute '{name}' must contain a non-empty message attribute value."
        )
    if value.string_value is not None and FORBIDDEN.search(value.string_value):
        raise ValueError(f"The message attribute '{name}' holds invalid characters.")
    if value.data_type.startswith("Number") and not _NUMBER.fullmatch(given):
        raise ValueError(f"The message attribute '{name}' is not a number.")


def size_of_attributes(attributes: Mapping[str, MessageAttribute]) -> int:
    """Return the bytes that count: names, types and values."""
    return sum(
        len(name.encode())
        + len(value.data_type.encode())
        + len(value.binary_value or (value.string_value or "").encode())
        for name, value in attributes.items()
    )


def md5_of_attributes(attributes: Mapping[str, MessageAttribute]) -> str:
    """Return the digest that SDKs check (SQS developer guide, "Calculating the MD5 message digest")."""
    digest = hashlib.md5(usedforsecurity=False)
    for name in sorted(attributes):
        value = attributes[name]
        is_binary = value.data_type.startswith("Binary")
        content = value.binary_value if is_binary else (value.string_value or "").encode()
        for part in (name.encode(), value.data_type.encode()):
            digest.update(struct.pack("!I", len(part)) + part)
        digest.update(b"\x02" if is_binary else b"\x01")
        digest.update(struct.pack("!I", len(content or b"")) + (content or b""))
    return digest.hexdigest()
