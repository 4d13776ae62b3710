"""The handlers of an App, looked up by message type."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sourceflow.domain.binding import create
from sourceflow.domain.view import View
from sourceflow.messages import state_info

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sourceflow.domain.binding import Handler
    from sourceflow.domain.component import Component, Scope
    from sourceflow.messages import Registry

__all__ = ("Wiring", "entity_name", "is_view")


def entity_name(entity_type: type[Any]) -> str:
    """Return the name under which an entity type's streams are kept."""
    return state_info(entity_type).name


def is_view(handler: Handler) -> bool:
    """Whether a subscriber is a view's method."""
    return issubclass(handler.component, View)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """Who handles what.

    Attributes:
        app: The App's name.
        registry: The message types that are known.
        commands: Command type to the saga's method.
        events: Event type to its subscribers, in order of registration.
        arguments: Component to the constructor's arguments, from the App's services.
    """

    app: str
    registry: Registry
    commands: Mapping[type[Any], Handler]
    events: Mapping[type[Any], tuple[Handler, ...]]
    arguments: Mapping[type[Component], dict[str, Any]] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """What the App's messages name as their source."""
        return f"/{self.app}"

    @property
    def view_models(self) -> list[type[Any]]:
        """The view models that the App has views of."""
        found = {
            handler.state_type: None
            for handlers in self.events.values()
            for handler in handlers
            if is_view(handler)
        }
        return [row_type for row_type in found if row_type is not None]

    def create(self, component: type[Component], scope: Scope) -> Any:
        """Make the one object that handles one message."""
        return create(component, self.arguments[component], scope)

    def subscribers(self, event_type: type[Any]) -> tuple[Handler, ...]:
        """Return who listens to an event here."""
        return self.events.get(event_type, ())
