"""Every option that a file or the environment can set, worked out from what takes it."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, get_type_hints

from sourceflow.errors import MissingExtraError
from sourceflow.host.settings.owners import IN_MEMORY, owner_of, parameters_of
from sourceflow.host.settings.readers import (
    NONE,
    OBJECTS,
    ForCode,
    Member,
    Reader,
    is_for_code,
    reader_of,
    without_none,
)
from sourceflow.host.settings.tables import Table, table_reader

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("SECTIONS", "Option", "options_of")

SECTIONS: Final = ("app", "aws", "bus", "stores", "idempotency", "health", "telemetry")

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Option:
    """One option.

    Attributes:
        section: The table of the file it stands in.
        path: Its name there; that of a table within, and its name in that.
        reader: Reads its value.
        default: What it is where nothing is given; ``inspect.Parameter.empty`` where it must be.
        group: The class that is made of the options below it; None for a plain option.
    """

    section: str
    path: Path
    reader: Reader
    default: Any
    group: type[Any] | None = None

    @property
    def key(self) -> str:
        """Its name in a file."""
        return ".".join((self.section, *self.path))

    def variable(self, prefix: str) -> str:
        """Return its name in the environment."""
        return prefix + "_".join((self.section, *self.path)).upper()


@cache
def options_of(section: str) -> Mapping[Path, Option]:
    """Return the options of a section; what takes them is imported only now.

    Raises:
        MissingExtraError: That is not installed.
    """
    found = _BY_SECTION[section](section)
    return {option.path: option for option in found}


def _app(section: str) -> list[Option]:
    return [Option(section, ("name",), reader_of(str), inspect.Parameter.empty)]


def _made(section: str) -> list[Option]:
    """Return the options of a section of which one thing is made."""
    return _options(section, (), owner_of(section))


def _kept(section: str) -> list[Option]:
    """Return the options of what is kept in a database or in memory: all that either takes."""
    try:
        options = _options(section, (), owner_of(section))
    except MissingExtraError:  # what is kept in memory has a URL, too
        options = [Option(section, ("url",), reader_of(str), inspect.Parameter.empty)]
    known = {option.path for option in options}
    in_memory = _options(section, (), owner_of(section, IN_MEMORY))
    return options + [option for option in in_memory if option.path not in known]


def _options(section: str, above: Path, owner: type[Any]) -> list[Option]:
    """Return the options of a class, with those of the dataclasses that it takes."""
    names: dict[str, Any]
    names, members = _alerts() if section == "aws" else ({}, {})
    names |= {"Callable": Callable} | dict.fromkeys(OBJECTS, ForCode)
    hints = get_type_hints(owner.__init__, localns=names)
    options: list[Option] = []
    for name, parameter in parameters_of(owner).items():
        hint = hints[name]
        if is_for_code(hint):
            continue
        path = (*above, name)
        inner = without_none(hint)
        if dataclasses.is_dataclass(inner) and isinstance(inner, type):
            options.append(Option(section, path, _PRESENCE, parameter.default, inner))
            options += _options(section, path, inner)
        else:
            options.append(Option(section, path, reader_of(hint, members), parameter.default))
    return options


def _alerts() -> tuple[dict[str, Any], dict[Any, Member]]:
    """Return what hints of alerts are called, and what alerts of settings are."""
    from sourceflow.transports.aws import AlertHook, SnsAlert  # noqa: PLC0415 - only where it is used

    return {"AlertHook": AlertHook}, {AlertHook | SnsAlert: Member("names of topics", SnsAlert)}


def _bus(section: str) -> list[Option]:
    return [Option(section, (table.value,), table_reader(table), {}) for table in Table]


def _present(value: Any) -> bool:
    """Read whether a group is there at all: an empty table of a file says so, too."""
    return True if value == {} else _BOOLEAN.read(value)


_BOOLEAN: Final = reader_of(bool)
_PRESENCE: Final = Reader(
    f"true for all defaults, or {NONE!r}", lambda value: value != NONE and _present(value)
)

_BY_SECTION: Final[Mapping[str, Callable[[str], list[Option]]]] = {
    "app": _app,
    "aws": _made,
    "bus": _bus,
    "stores": _kept,
    "idempotency": _kept,
    "health": _made,
    "telemetry": _made,
}
