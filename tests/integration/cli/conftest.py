"""`sourceflow` as a process of its own, on a service in a folder of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from sourceflow.testing import LocalAws

PROGRAM = Path(sys.executable).parent / "sourceflow"
SERVICE = Path(__file__).parent / "service.py"
PATIENCE = 100


@dataclass(frozen=True)
class Ended:
    """What a process has left."""

    code: int
    out: str
    err: str


class Folder:
    """A folder with the service in it, from which commands are called."""

    def __init__(self, path, aws):
        self.path = path
        self.url = aws.endpoint_url
        self._started = []
        (path / "post.py").write_text(SERVICE.read_text())
        self.environment = {
            **os.environ,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            "POST_AWS": self.url,
            "POST_DATABASE": f"sqlite:///{path / 'post.db'}",
            "POST_BOOK": str(path / "book"),
        }

    async def start(self, *arguments):
        process = await asyncio.create_subprocess_exec(
            PROGRAM,
            *arguments,
            cwd=self.path,
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        self._started.append(process)
        return process

    async def call(self, *arguments, code=0):
        ended = await self.ended(await self.start(*arguments))
        assert ended.code == code, ended
        assert "Traceback" not in ended.err
        return ended

    async def ended(self, process):
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate()
        return Ended(process.returncode, out.decode(), err.decode())

    @property
    def book(self):
        """What handlers have written: lines of process, key and what happened."""
        path = self.path / "book"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    async def until(self, condition):
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - another process: nothing says when
                await asyncio.sleep(0.02)

    async def aclose(self):
        for process in self._started:
            if process.returncode is None:
                process.kill()
                await process.communicate()


@pytest.fixture
async def aws():
    async with LocalAws() as aws:
        yield aws


@pytest.fixture
async def folder(tmp_path, aws):
    folder = Folder(tmp_path, aws)
    yield folder
    await folder.aclose()
