"""A worker whose handler takes an hour: `slow_worker.py URL`; says when it has begun."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

from sourceflow import App, Command, Entity, Key, Saga, handles
from sourceflow.transports.aws import AwsOptions, AwsTransport
from sourceflow.transports.aws.client import StaticCredentials


class Nap(Command):
    id: Key[str]


class Sleeper(Entity):
    id: Key[str]


class Naps(Saga[Sleeper]):
    @handles
    async def nap(self, sleeper: Sleeper | None, command: Nap) -> Sleeper:
        print("asleep", flush=True)  # noqa: T201 - the test reads it
        await asyncio.sleep(3600)
        return Sleeper(id=command.id)


def sleeping(url: str) -> App:
    """Return the App; the test sends with the same one."""
    transport = AwsTransport(
        AwsOptions(region="us-east-1", endpoint_url=url, shutdown_grace=timedelta(hours=1)),
        lambda bus: bus.send.command(Nap, queue="naps.fifo").listen.to.command_queue("naps.fifo"),
        credentials=StaticCredentials("test", "test"),
    )
    return App([Naps], name="naps").use(transport)


if __name__ == "__main__":
    asyncio.run(sleeping(sys.argv[1]).run())
