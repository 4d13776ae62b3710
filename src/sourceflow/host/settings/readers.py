"""Values of settings, read by the type hints of the options they are for."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal, NamedTuple, Union, get_args, get_origin

import msgspec

from sourceflow.host.settings.durations import read_duration

__all__ = (
    "NONE",
    "OBJECTS",
    "ForCode",
    "Member",
    "Reader",
    "is_for_code",
    "reader_of",
    "structured",
    "without_none",
)

NONE: Final = "none"
"""What stands for no value, where an option may have none."""

_BOOLEANS: Final = {"true": True, "1": True, "yes": True, "on": True} | {
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads one kind of value.

    Attributes:
        what: What is expected, for people.
        read: Turns a value of a file, or a text of the environment, into that of the option. It
            raises ``ValueError`` or ``TypeError`` where it cannot; the text of either is not shown,
            as the value may be a secret.
    """

    what: str
    read: Callable[[Any], Any]


class Member(NamedTuple):
    """What members of a list are made of.

    Attributes:
        what: What they are called, all of them.
        make: Makes one from a text.
    """

    what: str
    make: Callable[[str], Any]


NO_MEMBERS: Final[Mapping[Any, Member]] = {}


def reader_of(hint: Any, members: Mapping[Any, Member] = NO_MEMBERS) -> Reader:
    """Return what reads the values of an option.

    Args:
        hint: Its type.
        members: What members of lists are made of, besides texts.

    Raises:
        TypeError: Nothing reads such a type: a new kind of option needs a reader here.
    """
    inner = without_none(hint)
    if inner is not hint:
        reader = reader_of(inner, members)
        return Reader(f"{reader.what}, or {NONE!r}", _or_none(reader.read))
    if get_origin(hint) is Literal:
        return _choice(get_args(hint))
    if get_origin(hint) is tuple:
        return _many(({str: Member("texts", str)} | dict(members))[get_args(hint)[0]])
    if hint not in _READERS:
        raise TypeError(f"settings have no reader for {hint!r}")
    return _READERS[hint]


class ForCode:
    """Stands for a type whose objects no file can hold."""


OBJECTS: Final = ("Clock", "MeterProvider", "TracerProvider")
"""The names of such types, as hints have them."""


def is_for_code(hint: Any) -> bool:
    """Whether an option takes a function, or another object that no file can hold."""
    inner = without_none(hint)
    return inner is ForCode or get_origin(inner) is Callable


def without_none(hint: Any) -> Any:
    """Return the type of an option that may be None, where it is."""
    if get_origin(hint) not in {Union, types.UnionType}:
        return hint
    rest = [each for each in get_args(hint) if each is not type(None)]
    return rest[0] if len(rest) == 1 else hint


def structured(value: Any) -> Any:
    """Return a value as a file would hold it: a text of the environment may be JSON."""
    if not isinstance(value, str):
        return value
    if value.lstrip()[:1] in {"{", "["}:
        try:
            return msgspec.json.decode(value)
        except msgspec.MsgspecError:
            raise ValueError("no JSON") from None
    return [part for part in map(str.strip, value.split(",")) if part]


def _or_none(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value == NONE else read(value)


def _choice(choices: tuple[str, ...]) -> Reader:
    def read(value: Any) -> str:
        if value not in choices:
            raise ValueError("not among them")
        return str(value)

    return Reader(f"one of {', '.join(map(repr, choices))}", read)


def _many(member: Member) -> Reader:
    def read(value: Any) -> tuple[Any, ...]:
        members = structured(value)
        if not isinstance(members, list) or not all(isinstance(each, str) for each in members):
            raise TypeError("no list of texts")
        return tuple(map(member.make, members))

    return Reader(f"a list of {member.what}", read)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    return _BOOLEANS[_text(value).strip().lower()]


def _number(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(_text(value))


def _duration(value: Any) -> timedelta:
    return read_duration(_text(value))


_READERS: Final[dict[Any, Reader]] = {
    str: Reader("a text", _text),
    bool: Reader("true or false", _boolean),
    int: Reader("a whole number", _number),
    timedelta: Reader("a duration such as '30s', '5 min' or 'PT30S'", _duration),
}
"""What reads each type; what is written as a text in the environment is read from that, too."""
