"""From wire names in settings to message types: those of an App, and no others."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from sourceflow.bus.routes import NO_ROUTES
from sourceflow.errors import SettingsError
from sourceflow.host.assembly import assemble
from sourceflow.host.settings.tables import Table, builder_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sourceflow.host.settings.sources import Given
    from sourceflow.messages import Registry
    from sourceflow.transports.aws.bus import Bus

__all__ = ("bus_of",)


def bus_of(
    tables: Mapping[Table, Given], components: Sequence[type[Any] | Callable[..., Any]]
) -> Callable[[Bus], object]:
    """Return what tells the fluent configuration what the tables say.

    Args:
        tables: Those that were given.
        components: Message types, and components whose message types are meant as well.

    Raises:
        SettingsError: A table names a type that is not among those, or one of the other kind.
    """
    parts = assemble(components, name="settings", routes=NO_ROUTES, services=())
    registry = parts.wiring.registry
    resolved = {
        table: {
            name: _type_of(registry, table, name, given.origin) if table.is_routes else name
            for name in given.value
        }
        for table, given in tables.items()
    }

    def configure(bus: Bus) -> None:
        sections = {
            Table.COMMANDS: bus.send,
            Table.EVENTS: bus.raise_,
            Table.COMMAND_QUEUES: bus.listen.to,
            Table.TOPICS: bus.subscribe.to,
        }
        for table, given in tables.items():
            for name, entry in given.value.items():
                try:
                    builder_of(table)(sections[table], resolved[table][name], **entry.options)
                except (TypeError, ValueError) as error:
                    raise SettingsError(f"{given.origin}, {name!r}: {error}") from None

    return configure


def _type_of(registry: Registry, table: Table, name: str, origin: str) -> type[Any]:
    info = registry.find(name)
    if info is None:
        known = [each for other in registry for each in other.names]
        near = get_close_matches(name, known, n=1)
        raise SettingsError(
            f"{origin} names the type {name!r}, which is not among those that were given"
            + (f", did you mean {near[0]!r}?" if near else f": {', '.join(known) or 'none'}")
        )
    kind = "command" if table is Table.COMMANDS else "event"
    if info.kind != kind:
        raise SettingsError(f"{origin} is for {kind}s; {name!r} is none")
    return info.type
