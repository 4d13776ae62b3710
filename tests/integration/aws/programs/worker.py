"""A worker that writes down what it does: `worker.py URL FILE`. Ends on SIGTERM; survives nothing else."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta

from sourceflow import (
    App,
    Command,
    Entity,
    Event,
    Key,
    Saga,
    View,
    ViewModel,
    handles,
    projects,
)
from sourceflow.transports.aws import AwsOptions, AwsTransport
from sourceflow.transports.aws.client import StaticCredentials


class Step(Command):
    id: Key[str]
    number: int


class Stepped(Event):
    id: Key[str]
    number: int


class Walk(Entity):
    id: Key[str]
    number: int


class WalkRow(ViewModel):
    id: Key[str]
    number: int


class Diary:
    """Lines that are on disk when ``write`` returns."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, line: str) -> None:
        os.write(self._file, f"{line}\n".encode())


class WalkSaga(Saga[Walk]):
    def __init__(self, diary: Diary) -> None:
        self.diary = diary

    @handles
    async def step(self, walk: Walk | None, command: Step) -> Walk:
        self.diary.write(f"handled {command.id} {command.number}")
        await asyncio.sleep(0.01)  # long enough to be killed in
        self.raise_event(Stepped(id=command.id, number=command.number))
        return Walk(id=command.id, number=command.number)


class Walks(View[WalkRow], lifecycle="async"):
    def __init__(self, diary: Diary) -> None:
        self.diary = diary

    @projects
    def stepped(self, event: Stepped) -> WalkRow:
        self.diary.write(f"projected {event.id} {event.number}")
        return WalkRow(id=event.id, number=event.number)


def walking(url: str, diary: str) -> App:
    """Return the App; the test sends with the same one."""
    transport = AwsTransport(
        AwsOptions(
            region="us-east-1",
            endpoint_url=url,
            wait_time=timedelta(seconds=1),
            visibility_timeout=timedelta(seconds=2),
        ),
        lambda bus: (
            bus.send.command(Step, queue="steps.fifo")
            .raise_.event(Stepped, topic="step-events")
            .listen.to.command_queue("steps.fifo")
            .subscribe.to.topic("step-events")
        ),
        credentials=StaticCredentials("test", "test"),
    )
    return App([WalkSaga, Walks], name="walks", services=[Diary(diary)]).use(transport)


if __name__ == "__main__":
    asyncio.run(walking(*sys.argv[1:3]).run())
