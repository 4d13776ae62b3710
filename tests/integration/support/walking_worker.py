"""A worker that writes down what it does. It ends on SIGTERM, and survives nothing else."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta

from hurried_clock import HurriedClock
from sourceflow.transports.aws import AwsOptions, AwsTransport
from sourceflow.transports.aws.client import StaticCredentials
from walking import Diary, routed, walkers

__all__ = ("work",)


class FileDiary(Diary):
    """Lines that are on disk when ``write`` returns, each with the process that wrote it."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._process = os.getpid()

    def write(self, what: str, walk: str, number: int) -> None:
        os.write(self._file, f"{what} {walk} {number} {self._process}\n".encode())


def work(url: str, diary: str) -> None:
    """Work in this process."""
    transport = AwsTransport(
        AwsOptions(
            region="us-east-1",
            endpoint_url=url,
            wait_time=timedelta(seconds=1),
            visibility_timeout=timedelta(seconds=2),
        ),
        routed,
        credentials=StaticCredentials("test", "test"),
    )
    asyncio.run(walkers(transport, FileDiary(diary), HurriedClock()).run())
