"""The tables of the section ``bus``: each entry is a call of the fluent configuration."""

from __future__ import annotations

import inspect
from difflib import get_close_matches
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, get_type_hints

from sourceflow.host.settings.readers import Reader, reader_of, structured

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ("Entry", "MisfitError", "Table", "entry_options", "table_reader")


class Table(Enum):
    """A table of the section, and what its entries are."""

    COMMANDS = "commands"
    """Command type to queue."""
    EVENTS = "events"
    """Event type to topic."""
    COMMAND_QUEUES = "command_queues"
    """Queues that are listened to."""
    TOPICS = "topics"
    """Topics that are subscribed to."""

    @property
    def is_routes(self) -> bool:
        """Whether its names are those of message types."""
        return self in {Table.COMMANDS, Table.EVENTS}


class Entry(NamedTuple):
    """An entry of a table.

    Attributes:
        name: The wire name of a type, a queue or a topic.
        options: What the fluent configuration is told of it.
    """

    name: str
    options: dict[str, Any]


class MisfitError(ValueError):
    """Raised where an entry cannot be read; the text holds no value and may be shown."""


def builder_of(table: Table) -> Callable[..., Any]:
    """Return the method of the fluent configuration that an entry calls."""
    from sourceflow.transports.aws.bus import Listen, Raise, Send, Subscribe  # noqa: PLC0415 - only where it is used

    builders: dict[Table, Callable[..., Any]] = {
        Table.COMMANDS: Send.command,
        Table.EVENTS: Raise.event,
        Table.COMMAND_QUEUES: Listen.command_queue,
        Table.TOPICS: Subscribe.topic,
    }
    return builders[table]


def entry_options(table: Table) -> Mapping[str, Reader]:
    """Return what an entry may say, and what reads it; of a route, the first is where it leads."""
    builder = builder_of(table)
    hints = get_type_hints(builder)
    named = [
        name
        for name, parameter in inspect.signature(builder).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]
    return {name: reader_of(hints[name]) for name in named}


def table_reader(table: Table) -> Reader:
    """Return what reads a table: names with their options, or a list of names."""
    if table.is_routes:
        place = next(iter(entry_options(table)))
        what = f"a table of types, each with its {place}"
    else:
        what = "a list of names, or a table of names with their options"
    return Reader(what, lambda value: _entries(table, structured(value)))


def _entries(table: Table, value: Any) -> dict[str, Entry]:
    if isinstance(value, list) and not table.is_routes:
        value = {_name(each): {} for each in value}
    if not isinstance(value, dict):
        raise TypeError("no table")
    return {name: Entry(name, _options(table, name, given)) for name, given in value.items()}


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no name")
    return value


def _options(table: Table, name: str, given: Any) -> dict[str, Any]:
    known = entry_options(table)
    if table.is_routes and isinstance(given, str):
        given = {next(iter(known)): given}
    if not isinstance(given, dict):
        raise MisfitError(f"the entry {name!r} is no table of options")
    if table.is_routes and next(iter(known)) not in given:
        raise MisfitError(f"the entry {name!r} says no {next(iter(known))}")
    return {option: _read(known, name, option, value) for option, value in given.items()}


def _read(known: Mapping[str, Reader], name: str, option: str, value: Any) -> Any:
    reader = known.get(option)
    if reader is None:
        near = get_close_matches(option, known, n=1)
        raise MisfitError(
            f"the entry {name!r} has no option {option!r}"
            + (f", did you mean {near[0]!r}?" if near else f": there are {', '.join(known)}")
        )
    try:
        return reader.read(value)
    except (LookupError, TypeError, ValueError):
        raise MisfitError(f"of the entry {name!r}, {option} must be {reader.what}") from None
