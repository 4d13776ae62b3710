"""Marks fields that people must not read, and what is shown in place of their values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any, Final, Literal, get_args
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = (
    "API_KEY",
    "CARD",
    "CUSTOM",
    "EMAIL",
    "IP_ADDRESS",
    "MASKS",
    "NAME",
    "PASSWORD",
    "PHONE",
    "REDACTED",
    "SSN",
    "Mask",
    "Sensitive",
    "SensitiveKind",
    "mark_of",
    "mask",
)

SensitiveKind = Literal[
    "card", "email", "phone", "ssn", "name", "ip_address", "password", "api_key", "custom"
]
"""What a sensitive value is, which says how much of it people may read."""

CARD: Final = "card"
"""A card number: its last four digits are shown."""

EMAIL: Final = "email"
"""An address of e-mail: its domain is shown."""

PHONE: Final = "phone"
"""A phone number: its last four digits are shown."""

SSN: Final = "ssn"
"""A social security number: its last four digits are shown."""

NAME: Final = "name"
"""The name of a person: its first letters are shown."""

IP_ADDRESS: Final = "ip_address"
"""An address of IP version 4: its first number is shown."""

PASSWORD: Final = "password"  # noqa: S105 - a kind of value, not a password
"""A password: nothing is shown."""

API_KEY: Final = "api_key"
"""A key of an API: its first and last four characters are shown, if it is long."""

CUSTOM: Final = "custom"
"""Anything else: nothing is shown."""

REDACTED: Final = "***REDACTED***"
"""What stands for a value of which nothing may be read."""


@dataclass(frozen=True, slots=True)
class Sensitive:
    """Marks a field whose value people must not read: ``card: Annotated[str, Sensitive(CARD)]``.

    Handlers, stores and the wire have the value itself. What is made for people has a mask: logs,
    ``repr``, error texts, ``masked``.

    Attributes:
        kind: What the value is; says which part of it may be read.

    Raises:
        ValueError: There is no such kind.
    """

    kind: SensitiveKind = CUSTOM

    def __post_init__(self) -> None:
        if self.kind not in get_args(SensitiveKind):
            raise ValueError(
                f"Sensitive takes one of {', '.join(get_args(SensitiveKind))}, not {self.kind!r}"
            )


def mark_of(metadata: tuple[Any, ...]) -> Sensitive | None:
    """Return the outermost mark among what a hint is annotated with; the bare class is one, too."""
    for each in reversed(metadata):
        if isinstance(each, Sensitive):
            return each
        if each is Sensitive:
            return Sensitive()
    return None


@dataclass(frozen=True, slots=True)
class Mask:
    """How values of one kind are shown.

    Attributes:
        hidden: What stands for a value that does not look like one of this kind.
        show: Returns what may be read of a text, or None where it does not look like one.
    """

    hidden: str
    show: Callable[[str], str | None]


def mask(kind: SensitiveKind, value: Any) -> str:
    """Return what people may read of a value, whatever it is."""
    rule = MASKS[kind]
    text = text_of(value)
    shown = None if text is None else rule.show(text)
    return rule.hidden if shown is None else shown


def text_of(value: Any) -> str | None:
    """Return a value as it is written, or None where it is no text and no number or id."""
    if isinstance(value, Enum):
        return text_of(value.value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int.__repr__(value) if value.bit_length() <= _MANY_BITS else None
    return str(value) if type(value) in {Decimal, UUID} else None


_MANY_BITS: Final = 256
"""Bits of numbers that are written; Python refuses to write very long ones."""

_IS_CARD: Final = re.compile(r"[0-9](?:[ -]?[0-9]){11,18}").fullmatch
"""Twelve to nineteen digits. Shorter card numbers exist (ISO/IEC 7812-1: eight and more), but of
those four digits would be much."""
_EMAIL: Final = re.compile(r"[^\s]+@((?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,63})")
_IS_PHONE: Final = re.compile(r"\+?[0-9(](?:[ ()./-]{0,3}[0-9]){6,14}").fullmatch
"""Seven to fifteen digits, the most there are (ITU-T E.164)."""
_IS_SSN: Final = re.compile(r"[0-9]{3}[ -]?[0-9]{2}[ -]?[0-9]{4}").fullmatch
_MAX_NAMES: Final = 6
"""Words of a person's name; a text of more is none."""
_MIN_API_KEY: Final = 16
"""Characters of an API key of which eight are shown: at least half stays hidden."""


def _last_four(text: str) -> str:
    return re.sub(r"[^0-9]", "", text)[-4:]


def _card(text: str) -> str | None:
    return f"{'*' * 12}{_last_four(text)}" if _IS_CARD(text) else None


def _email(text: str) -> str | None:
    found = _EMAIL.fullmatch(text)
    return None if found is None else f"***@{found[1]}"


def _phone(text: str) -> str | None:
    return f"***-***-{_last_four(text)}" if _IS_PHONE(text) else None


def _ssn(text: str) -> str | None:
    return f"***-**-{_last_four(text)}" if _IS_SSN(text) else None


def _name(text: str) -> str | None:
    words = text.split()
    if not 0 < len(words) <= _MAX_NAMES or not re.sub(r"[\s.'\u2019-]", "", text).isalpha():
        return None
    return " ".join(_initial(word) for word in words)


def _initial(word: str) -> str:
    """Return the first letter of a word and a star for each other; of one letter, only a star."""
    shown = word[0] if len(word) > 1 and word[0].isalpha() else "*"
    return shown + "*" * (len(word) - 1)


def _ip_address(text: str) -> str | None:
    try:
        IPv4Address(text)
    except ValueError:
        return None
    return f"{text.partition('.')[0]}.*.*.*"


def _api_key(text: str) -> str | None:
    is_long = len(text) >= _MIN_API_KEY and text.isascii() and text.isprintable()
    return f"{text[:4]}...{text[-4:]}" if is_long else None


def _nothing(_text: str) -> None:
    return None


MASKS: Final[dict[SensitiveKind, Mask]] = {
    CARD: Mask("*" * 16, _card),
    EMAIL: Mask("***@***.***", _email),
    PHONE: Mask("***-***-****", _phone),
    SSN: Mask("***-**-****", _ssn),
    NAME: Mask("***", _name),
    IP_ADDRESS: Mask("*.*.*.*", _ip_address),
    PASSWORD: Mask("*" * 8, _nothing),
    API_KEY: Mask("*" * 8, _api_key),
    CUSTOM: Mask(REDACTED, _nothing),
}
"""The masks of all kinds."""
