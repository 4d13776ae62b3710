"""The facade that callers use."""

from __future__ import annotations

from typing import Generic, TypeVar

from sourceflow.domain.component import Sender

__all__ = ("Aggregate",)

EntityT_co = TypeVar("EntityT_co", covariant=True)


class Aggregate(Sender, Generic[EntityT_co]):
    """The public face of one kind of entity: sends commands, may subscribe to events.

    ``await app.aggregate(Orders).create(...)`` calls it at the edge. Methods marked with
    ``@subscribes`` run after the commit of what raised the event, each in its own unit of work.
    """
