"""Where settings come from: a file, the environment."""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sourceflow.errors import SettingsError
from sourceflow.host.settings.schema import SECTIONS, Option, options_of
from sourceflow.host.settings.tables import MisfitError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ("Given", "Key", "read_environment", "read_file")

Key = tuple[str, tuple[str, ...]]
"""A section, and the path of an option in it."""

_LIKE_A_SECTION: Final = 0.75
"""How near a variable's first word is to that of a section, to be one that is misspelt: others
with the same prefix are somebody else's."""


class Given(NamedTuple):
    """The value of an option.

    Attributes:
        value: As what takes it wants it.
        origin: The file and the key, or the variable, that it was read from.
    """

    value: Any
    origin: str


def read_file(path: Path) -> dict[Key, Given]:
    """Read a file of TOML.

    Raises:
        SettingsError: There is none, it cannot be read, a name in it is no option, or a value not
            that of one.
    """
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"there is no file {str(path)!r}, looked for in {Path.cwd()}") from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        where = str(error).rpartition("(")[2].rstrip(")")
        raise SettingsError(f"{path} is no TOML: see {where}") from None
    given: dict[Key, Given] = {}
    for section, table in tables.items():
        if section not in SECTIONS:
            raise SettingsError(f"{path}: there is no table [{section}]{_near(section, SECTIONS)}")
        if not isinstance(table, dict):
            raise SettingsError(f"{path}: {section} is a table: write [{section}]")
        given.update(_read_table(str(path), section, (), table))
    return given


def _read_table(
    path: str, section: str, above: tuple[str, ...], table: Mapping[str, Any]
) -> Iterator[tuple[Key, Given]]:
    options = options_of(section)
    for name, value in table.items():
        at = (*above, name)
        where = f"{path}: {'.'.join((section, *at))}"
        option = options.get(at)
        if option is None:
            beside = [each[-1] for each in options if each[:-1] == above]
            raise SettingsError(f"{where} is no option{_near(name, beside)}")
        if option.group is not None and isinstance(value, dict):
            yield (section, at), Given(True, where)
            yield from _read_table(path, section, at, value)
        else:
            yield (section, at), _read(option, value, where)


def read_environment(environment: Mapping[str, str], prefix: str) -> dict[Key, Given]:
    """Read the variables that begin with a prefix and the name of a section.

    Raises:
        SettingsError: Such a name is no option, or a value not that of one.
    """
    given: dict[Key, Given] = {}
    for variable, value in environment.items():
        if not variable.startswith(prefix):
            continue
        section = _section_of(variable, prefix)
        if section is None:
            continue
        options = {each.variable(prefix): each for each in options_of(section).values()}
        option = options.get(variable)
        if option is None:
            near = _near_variable(variable, options, prefix + f"{section}_".upper())
            raise SettingsError(f"the variable {variable} is no option{near}")
        if value:  # an empty one is how many tools leave a variable out
            given[section, option.path] = _read(option, value, f"the variable {variable}")
    return given


def _section_of(variable: str, prefix: str) -> str | None:
    word, _, rest = variable.removeprefix(prefix).lower().partition("_")
    if word in SECTIONS:
        return word
    near = get_close_matches(word, SECTIONS, n=1, cutoff=_LIKE_A_SECTION)
    if not near:
        return None
    meant = f"{prefix}{near[0]}_{rest}".upper()
    raise SettingsError(f"the variable {variable} is no option, did you mean {meant}?")


def _read(option: Option, value: Any, where: str) -> Given:
    try:
        return Given(option.reader.read(value), where)
    except MisfitError as error:
        raise SettingsError(f"{where}: {error}") from None
    except (LookupError, TypeError, ValueError):  # whose texts show the value
        raise SettingsError(f"{where} must be {option.reader.what}") from None


def _near_variable(variable: str, known: Iterable[str], beginning: str) -> str:
    """Suggest a variable by what stands behind the beginning that all have in common."""
    ends = [each[len(beginning) :] for each in known]
    near = get_close_matches(variable[len(beginning) :], ends, n=1)
    return f", did you mean {beginning}{near[0]}?" if near else f": there are {', '.join(known)}"


def _near(name: str, known: Iterable[str]) -> str:
    known = list(known)
    near = get_close_matches(name, known, n=1)
    return f", did you mean {near[0]}?" if near else f": there are {', '.join(known)}"
