"""A worker on trails, which may die at a boundary that it is told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from death_points import die_at
from hurried_calls import hurried_attempt
from hurried_clock import HurriedClock
from sourceflow.host.signals import stop_signals
from sourceflow.transports.aws import AwsOptions, AwsTransport
from sourceflow.transports.aws.client.caller import Caller
from trails import routed, trails

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event

    from databases import SqlDatabase
    from sourceflow import App
    from sourceflow.clock import Clock
    from sourceflow.transports.aws.client import CredentialsProvider

__all__ = ("work",)


def work(
    url: str,
    credentials: CredentialsProvider,
    database: SqlDatabase,
    clock: Clock,
    boundary: str | None = None,
    running: Event | None = None,
) -> None:
    """Work in this process, until SIGTERM or death.

    Args:
        url: Where AWS answers.
        credentials: What it is asked with.
        database: Where everything is kept.
        clock: The time.
        boundary: Where to die; None to live on.
        running: Is set when it listens.
    """
    if boundary is not None:
        die_at(boundary)
    if isinstance(clock, HurriedClock):
        Caller.attempt = hurried_attempt(clock.pace)  # type: ignore[method-assign]
    options = AwsOptions(region="us-east-1", endpoint_url=url)
    transport = AwsTransport(options, routed, credentials=credentials)
    asyncio.run(_run(trails(transport, database.stores(), clock), running))


async def _run(app: App, running: Event | None) -> None:
    async with stop_signals() as stopped, app:
        if running is not None:
            running.set()
        await stopped.wait()
