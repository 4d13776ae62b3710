"""A service in a folder of its own, and the commands that are called there.

Most are called in the test's own process, as starting one takes seconds; ``start`` and ``process``
start one.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sourceflow.host.cli.program import program
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

    async def process(self, *arguments, code=0):
        """Call a command as a process of its own."""
        ended = await self.ended(await self.start(*arguments))
        assert ended.code == code, ended
        assert "Traceback" not in ended.err
        return ended

    async def call(self, *arguments, code=0):
        """Call a command in this process, in a thread with a loop of its own."""
        result = await asyncio.to_thread(CliRunner().invoke, program, arguments)
        assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return Ended(result.exit_code, result.stdout, result.stderr)

    @cached_property
    def module(self):
        """The service, imported into this process."""
        return importlib.import_module("post")

    async def work(self, until=lambda: True):
        """Let the App work in this process until something holds."""
        async with self.module.app:
            await self.until(until)

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
async def folder(tmp_path, aws, monkeypatch):
    folder = Folder(tmp_path, aws)
    for name, value in folder.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    importlib.invalidate_caches()
    yield folder
    await folder.aclose()
    sys.modules.pop("post", None)
