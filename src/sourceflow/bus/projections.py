"""The projections of one view model: events that are in the log already, projected again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sourceflow.bus.changes import Claim
from sourceflow.bus.dead_letter import describe_failure
from sourceflow.bus.wiring import is_view
from sourceflow.errors import ReplayError
from sourceflow.messages import type_info

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sourceflow.bus.event_bus import EventBus, Rows
    from sourceflow.bus.wiring import Wiring
    from sourceflow.domain.binding import Handler
    from sourceflow.messages import Envelope

__all__ = ("claims_of", "names_of", "project_again", "projections_of")


def projections_of(wiring: Wiring, row_type: type[Any]) -> list[Handler]:
    """Return the methods of all views of a view model."""
    return [
        handler
        for handlers in wiring.events.values()
        for handler in handlers
        if handler.state_type is row_type and is_view(handler)
    ]


def names_of(handlers: Iterable[Handler]) -> set[str]:
    """Return the wire names of the events that handlers take, the old ones among them."""
    return {name for handler in handlers for name in type_info(handler.message_type).names}


def claims_of(event: Envelope[Any], handlers: Sequence[Handler]) -> list[Claim]:
    """Return what is handled once an event is projected."""
    return [
        Claim(event.source, event.id, handler.name)
        for handler in handlers
        if handler.message_type is type(event.message)
    ]


async def project_again(
    events: EventBus, handler: Handler, event: Envelope[Any], rows: Rows, *, position: int
) -> None:
    """Project one stored event.

    Raises:
        ReplayError: The projection failed.
    """
    try:
        await events.project(handler, event, rows)
    except Exception as error:
        raise ReplayError(
            f"{handler.name} raised {describe_failure(error, event.message)}",
            position=position,
            type_name=event.type_name,
        ) from error
