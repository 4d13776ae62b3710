"""A service that adds up numbers, for tests of what reaches it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sourceflow import App, Command, Entity, Event, Key, Saga, View, ViewModel, handles, projects
from sourceflow.transports.aws import AwsTransport


class Add(Command):
    id: Key[str]
    amount: int = 1
    note: Any = None


class Added(Event):
    id: Key[str]
    amount: int


class Sum(Entity):
    id: Key[str]
    amount: int = 0


class SumRow(ViewModel):
    id: Key[str]
    amount: int = 0


class SumSaga(Saga[Sum]):
    @handles
    def add(self, found: Sum | None, command: Add) -> Sum:
        self.raise_event(Added(id=command.id, amount=command.amount))
        return Sum(id=command.id, amount=(found.amount if found else 0) + command.amount)


class SumRows(View[SumRow], lifecycle="async"):
    @projects
    def added(self, event: Added, row: SumRow | None) -> SumRow:
        return SumRow(id=event.id, amount=(row.amount if row else 0) + event.amount)


def sums(cloud, observer, stores=None):
    """Return the App, which gives a message up after one try."""
    transport = AwsTransport(
        cloud.options(wait_time=timedelta(seconds=1), max_attempts=1),
        lambda bus: (
            bus.send.command(Add, queue="sums.fifo")
            .raise_.event(Added, topic="sum-events")
            .listen.to.command_queue("sums.fifo")
            .subscribe.to.topic("sum-events")
        ),
        credentials=cloud.credentials,
    )
    return App([SumSaga, SumRows], name="sums", stores=stores, observer=observer).use(transport)
