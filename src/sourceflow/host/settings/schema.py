"""Every option that a file or the environment can set, worked out from what takes it."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, get_type_hints

from sourceflow.errors import MissingExtraError
from sourceflow.host.settings.readers import (
    NONE,
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

SECTIONS: Final = ("app", "aws", "bus", "stores")

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


def _aws(section: str) -> list[Option]:
    from sourceflow.transports.aws import AwsOptions  # noqa: PLC0415 - only where it is used

    return _fields(section, (), AwsOptions)


def _fields(section: str, above: Path, owner: type[Any]) -> list[Option]:
    """Return the options of a dataclass, with those of the dataclasses that it holds."""
    from sourceflow.transports.aws import AlertHook, SnsAlert  # noqa: PLC0415 - only where it is used

    members = {AlertHook | SnsAlert: Member("names of topics", SnsAlert)}
    hints = get_type_hints(owner, localns={"Callable": Callable, "AlertHook": AlertHook})
    options: list[Option] = []
    for field in dataclasses.fields(owner):
        hint = hints[field.name]
        if is_for_code(hint):
            continue
        path = (*above, field.name)
        default = inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default
        inner = without_none(hint)
        if dataclasses.is_dataclass(inner) and isinstance(inner, type):
            options.append(Option(section, path, _PRESENCE, default, inner))
            options += _fields(section, path, inner)
        else:
            options.append(Option(section, path, reader_of(hint, members), default))
    return options


def _stores(section: str) -> list[Option]:
    try:
        from sourceflow.stores.sql import SqlStores  # noqa: PLC0415 - needs the extra
    except MissingExtraError:  # stores in memory have a URL, too
        return [Option(section, ("url",), reader_of(str), inspect.Parameter.empty)]
    hints = get_type_hints(SqlStores.__init__)
    return [
        Option(section, (name,), reader_of(hints[name]), parameter.default)
        for name, parameter in inspect.signature(SqlStores).parameters.items()
    ]


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
    "aws": _aws,
    "bus": _bus,
    "stores": _stores,
}
