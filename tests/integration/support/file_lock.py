"""Another process that holds the lock of a SQLite file."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager
from multiprocessing import Pipe
from threading import Event
from typing import TYPE_CHECKING

from workers import Workers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from multiprocessing.connection import Connection

__all__ = ("locked",)


@asynccontextmanager
async def locked(path: str) -> AsyncIterator[None]:
    """Let nobody else write."""
    answers, told = Pipe(duplex=False)
    workers = Workers(_hold, path, told)
    workers.start()
    try:
        await asyncio.to_thread(answers.recv)
        yield
    finally:
        workers.end()
        answers.close()
        told.close()


def _hold(path: str, told: Connection) -> None:
    connection = sqlite3.connect(path)
    connection.execute("BEGIN IMMEDIATE")
    told.send("locked")
    Event().wait()
