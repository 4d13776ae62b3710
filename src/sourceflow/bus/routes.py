"""Where message types go, as a transport was told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("NO_ROUTES", "Routes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """Which types leave the process, and what arrives.

    Attributes:
        commands: Command type to queue; empty where command routing is off.
        events: Event type to topic; empty where event routing is off.
        listens: Command queues this App takes from; empty where the command listener is off.
        subscribes: Topics whose events reach this App; empty where the event listener is off.
        retries_unheard: Whether an arrived event that no subscriber of this instance listens to is
            left for another instance; otherwise it is acknowledged.
    """

    commands: Mapping[type[Any], str] = field(default_factory=dict)
    events: Mapping[type[Any], str] = field(default_factory=dict)
    listens: tuple[str, ...] = ()
    subscribes: tuple[str, ...] = ()
    retries_unheard: bool = False

    def arrives(self, event_type: type[Any]) -> bool:
        """Whether an event of this type comes back through this App's own event queue."""
        return self.events.get(event_type) in self.subscribes


NO_ROUTES = Routes()
"""Everything stays in the process."""
