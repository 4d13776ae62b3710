"""A service under uvicorn, in a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Service:
    """A process that serves, and what asks it."""

    process: subprocess.Popen
    client: httpx.AsyncClient

    async def until(self, path, status):
        """Ask until the answer has a status; return it."""
        async with asyncio.timeout(40):
            while True:
                assert self.process.poll() is None, self.process.communicate()[1]
                try:
                    answer = await self.client.get(path)
                except httpx.TransportError:
                    answer = None
                if answer is not None and answer.status_code == status:
                    return answer
                await asyncio.sleep(0.05)

    async def end(self):
        """Tell it to end, and wait; return its exit code and what it has written."""
        self.process.send_signal(signal.SIGTERM)
        _, written = await asyncio.to_thread(self.process.communicate, timeout=30)
        return self.process.returncode, written


CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


def start(folder, target, port, environment):
    """Start a server; all it writes is what is wrong."""
    serve = (sys.executable, "-m", "uvicorn", "--app-dir", folder, target)
    where = ("--host", "127.0.0.1", "--port", str(port), "--log-level", "warning")
    return subprocess.Popen(
        [*serve, *where],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def serve(local_aws):
    @asynccontextmanager
    async def serve(folder, target, **environment):
        port = free_port()
        aws = {"AWS_ENDPOINT_URL": local_aws.endpoint_url, **CREDENTIALS}
        process = start(folder, target, port, {**os.environ, **aws, **environment})
        try:
            async with httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{port}", timeout=10, trust_env=False
            ) as client:
                yield Service(process, client)
        finally:
            process.kill()
            process.communicate()

    return serve
