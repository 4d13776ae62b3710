"""Keys are claimed once also over processes, and those of a killed one are free after their lease."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from datetime import timedelta

import pytest
from postgres_server import PRODUCTS, own_schema, postgres_url

from sourceflow import ClaimState
from sourceflow.clock import SystemClock
from sourceflow.stores.sql import SqlIdempotency

KEYS = 200
PROCESSES = 4

RACER = """
import asyncio, sys
from datetime import timedelta
from sourceflow import ClaimState
from sourceflow.stores.sql import SqlIdempotency

async def main(url, schema, keys):
    async with SqlIdempotency(url, schema=schema or None) as service:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        for at in range(int(keys)):
            claim = await service.claim(f"k{at}", timedelta(hours=1))
            if claim.state is ClaimState.CLAIMED:
                print(f"k{at}")
        print("done", flush=True)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main(*sys.argv[1:]))
"""


class Later(SystemClock):
    """The machine's clock, put forward."""

    __slots__ = ("by",)

    def __init__(self):
        self.by = timedelta(0)

    def now(self):
        return super().now() + self.by


@pytest.fixture(params=PRODUCTS)
async def database(request, tmp_path):
    """An address, and the name of a schema."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'keys.db'}", ""
        return
    async with own_schema() as schema:
        yield postgres_url(), schema


@pytest.fixture
async def start(database):
    """Start a process that claims when it is told to, and then holds what it has got."""
    started = []

    async def start(keys=KEYS):
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", RACER, *database, str(keys), stdin=pipe, stdout=pipe
        )
        started.append(process)
        assert await process.stdout.readline() == b"ready\n"
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def claimed_by(process):
    """Let a process claim; return the keys that it has got."""
    process.stdin.write(b"\n")
    got = []
    while (line := await process.stdout.readline()) != b"done\n":
        assert line, "the process has ended early"
        got.append(line.decode().strip())
    return got


async def test_each_key_is_claimed_by_one_process(start):
    processes = [await start() for _ in range(PROCESSES)]
    got = await asyncio.gather(*(claimed_by(each) for each in processes))
    claims = Counter(key for keys in got for key in keys)
    assert claims == {f"k{at}": 1 for at in range(KEYS)}


async def test_what_a_killed_process_held_is_free_when_its_lease_has_ended(start, database):
    process = await start(keys=1)
    assert await claimed_by(process) == ["k0"]
    process.kill()
    await process.wait()
    url, schema = database
    clock = Later()
    async with SqlIdempotency(url, schema=schema or None, clock=clock) as service:
        claim = await service.claim("k0", timedelta(seconds=30))
        assert claim.state is ClaimState.IN_PROGRESS
        assert timedelta(minutes=50) < claim.remaining <= timedelta(hours=1)
        clock.by = claim.remaining
        assert (await service.claim("k0", timedelta(seconds=30))).state is ClaimState.CLAIMED
