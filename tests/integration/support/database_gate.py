"""A gate before a PostgreSQL server, which can be shut: the server is away for whoever comes through."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sqlalchemy.engine import make_url

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ("DatabaseGate",)

PORT = 5432
"""Where PostgreSQL listens unless it is told otherwise."""


class DatabaseGate:
    """Passes on what clients and a server say to each other, or not.

    Args:
        url: Where the server is: a host, or the folder of its socket.
    """

    def __init__(self, url: str) -> None:
        self._upstream = make_url(url)
        self._server: asyncio.Server | None = None
        self._port = 0
        self._is_open = asyncio.Event()
        self._is_open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The address of the server, through the gate."""
        through = self._upstream.difference_update_query(["host"]).set(
            host="127.0.0.1", port=self._port
        )
        return through.render_as_string(hide_password=False)

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.refuse()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def refuse(self) -> None:
        """Cut all connections; let nobody in."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.transport.abort()

    async def hang(self) -> None:
        """Let everybody in, and pass nothing on any more."""
        self._is_open.clear()

    async def open(self) -> None:
        """Be as if nothing had been."""
        self._is_open.set()
        if self._server is None:
            await self._listen()

    async def forget(self) -> None:
        """Be open again, but for what is under way: whoever waits for that waits for ever."""
        self._is_open = asyncio.Event()
        self._is_open.set()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:  # accepted at the last moment
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        server_reader, server_writer = await self._connect()
        self._writers |= {writer, server_writer}
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pass_on(reader, server_writer))
                tasks.create_task(self._pass_on(server_reader, writer))
        finally:
            self._writers -= {writer, server_writer}

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        folder = self._upstream.query.get("host")
        port = self._upstream.port or PORT
        if folder is not None:
            return await asyncio.open_unix_connection(Path(str(folder)) / f".s.PGSQL.{port}")
        return await asyncio.open_connection(self._upstream.host, port)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                await self._is_open.wait()
                writer.write(data)
                await writer.drain()
        writer.close()
