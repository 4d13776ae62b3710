"""Lists and maps of the query protocol, out of their flat form."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from sourceflow.testing.local_aws.attributes import MessageAttribute
from sourceflow.testing.local_aws.errors import AwsFault

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("attributes_of", "entries_of", "map_of", "required")


def required(form: Mapping[str, str], name: str) -> str:
    """Return a parameter.

    Raises:
        AwsFault: It is missing.
    """
    value = form.get(name)
    if value is None:
        raise AwsFault(
            "InvalidParameter", f"Invalid parameter: {name} Reason: no value for required parameter"
        )
    return value


def entries_of(form: Mapping[str, str], prefix: str) -> list[dict[str, str]]:
    """Return the members of a list: ``prefix.1.Name`` and so on, each with its own parameters."""
    members: dict[int, dict[str, str]] = {}
    for name, value in form.items():
        if not name.startswith(prefix + "."):
            continue
        number, _, rest = name.removeprefix(prefix + ".").partition(".")
        if number.isascii() and number.isdigit():
            members.setdefault(int(number), {})[rest] = value
    return [members[number] for number in sorted(members)]


def map_of(form: Mapping[str, str], prefix: str) -> dict[str, str]:
    """Return a map of texts: ``prefix.entry.1.key`` and ``.value``."""
    return {
        entry.get("key", ""): entry.get("value", "")
        for entry in entries_of(form, f"{prefix}.entry")
    }


def attributes_of(form: Mapping[str, str]) -> dict[str, MessageAttribute]:
    """Return message attributes.

    Raises:
        AwsFault: A binary value is no base64.
    """
    return {
        entry.get("Name", ""): MessageAttribute(
            entry.get("Value.DataType", ""),
            entry.get("Value.StringValue"),
            _binary(entry.get("Value.BinaryValue")),
        )
        for entry in entries_of(form, "MessageAttributes.entry")
    }


def _binary(text: str | None) -> bytes | None:
    try:
        return None if text is None else base64.b64decode(text, validate=True)
    except binascii.Error:
        raise AwsFault("InvalidParameter", "Invalid parameter: BinaryValue") from None
