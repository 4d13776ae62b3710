"""LocalAws in a process of its own: it lives on when workers and tests are busy or dead."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from multiprocessing import Pipe
from typing import TYPE_CHECKING

from sourceflow.testing import LocalAws
from workers import Workers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from multiprocessing.connection import Connection

    from sourceflow.clock import Clock

__all__ = ("local_aws_of_its_own",)


@asynccontextmanager
async def local_aws_of_its_own(clock: Clock) -> AsyncIterator[str]:
    """Start it; say where it answers."""
    answers, told = Pipe(duplex=False)
    workers = Workers(_serve, clock, told)
    workers.start()
    try:
        yield await asyncio.to_thread(answers.recv)
    finally:
        workers.end()
        answers.close()
        told.close()


def _serve(clock: Clock, told: Connection) -> None:
    asyncio.run(_serve_until_killed(clock, told))


async def _serve_until_killed(clock: Clock, told: Connection) -> None:
    async with LocalAws(clock=clock) as aws:
        told.send(aws.endpoint_url)
        await asyncio.Event().wait()
