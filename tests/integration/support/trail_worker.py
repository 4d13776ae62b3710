"""A worker on trails, which may die at a boundary that it is told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from death_points import die_at
from sourceflow.transports.aws import AwsOptions, AwsTransport
from sourceflow.transports.aws.client import StaticCredentials
from trails import routed, trails

if TYPE_CHECKING:
    from databases import SqlDatabase
    from sourceflow.clock import Clock

__all__ = ("work",)


def work(url: str, database: SqlDatabase, clock: Clock, boundary: str | None = None) -> None:
    """Work in this process, until SIGTERM or death.

    Args:
        url: Where AWS answers.
        database: Where everything is kept.
        clock: The time.
        boundary: Where to die; None to live on.
    """
    if boundary is not None:
        die_at(boundary)
    transport = AwsTransport(
        AwsOptions(region="us-east-1", endpoint_url=url),
        routed,
        credentials=StaticCredentials("test", "test"),
    )
    asyncio.run(trails(transport, database.stores(), clock).run())
