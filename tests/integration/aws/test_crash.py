"""Processes that die in the middle: nothing that was accepted is lost (promise 1)."""

from __future__ import annotations

import asyncio
import importlib.util
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from leftovers import left_in_queues
from sourceflow.testing import LocalAws
from sourceflow.transports.aws import AwsOptions, AwsTransport
from sourceflow.transports.aws.client import Endpoint, SqsClient

WORKER = Path(__file__).parent / "programs" / "worker.py"
WALKS, STEPS = 8, 6


@pytest.fixture(scope="module")
def worker():
    spec = importlib.util.spec_from_file_location("crash_worker", WORKER)
    module = importlib.util.module_from_spec(spec)
    sys.modules["crash_worker"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
async def aws():
    async with LocalAws() as local:
        yield local


@pytest.fixture
def diary(tmp_path):
    return tmp_path / "diary"


def lines(diary, what):
    """What the workers wrote down, in order: (walk, number)."""
    if not diary.exists():
        return []
    words = [line.split() for line in diary.read_text().splitlines()]
    return [(walk, int(number)) for kind, walk, number in words if kind == what]


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - another process: nothing here says when
            await asyncio.sleep(0.01)


@pytest.fixture
async def start(aws, diary):
    processes = []

    async def start():
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(WORKER), aws.endpoint_url, str(diary)
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def send_steps(worker, aws):
    """Send by an App that only sends."""
    transport = AwsTransport(
        AwsOptions(region="us-east-1", endpoint_url=aws.endpoint_url),
        lambda bus: bus.send.command(worker.Step, queue="steps.fifo"),
        credentials=aws.static_credentials(),
    )
    async with worker.App([], name="walkers").use(transport) as app:
        await app.send_many(
            [
                worker.Step(id=f"w{walk}", number=number)
                for number in range(STEPS)
                for walk in range(WALKS)
            ]
        )


EVERYTHING = {(f"w{walk}", number) for walk in range(WALKS) for number in range(STEPS)}


async def test_a_worker_that_is_killed_loses_nothing(worker, aws, diary, start):
    await send_steps(worker, aws)
    for _ in range(3):
        first = await start()
        before = len(lines(diary, "handled"))
        await until(lambda before=before: len(lines(diary, "handled")) >= before + 8)
        first.kill()
        assert await first.wait() == -signal.SIGKILL
    last = await start()
    await until(lambda: set(lines(diary, "projected")) == EVERYTHING)
    last.terminate()

    assert await last.wait() == 0
    assert set(lines(diary, "handled")) == EVERYTHING
    for walk in {walk for walk, _ in EVERYTHING}:
        firsts = list(
            dict.fromkeys(number for each, number in lines(diary, "handled") if each == walk)
        )
        assert firsts == list(range(STEPS)), "a group's commands are first handled in order"
    assert await left(aws) == {}


async def test_a_worker_that_is_told_to_end_hands_over_without_doing_anything_twice(
    worker, aws, diary, start
):
    await send_steps(worker, aws)
    for _ in range(2):
        first = await start()
        before = len(lines(diary, "handled"))
        await until(lambda before=before: len(lines(diary, "handled")) >= before + 8)
        first.terminate()
        assert await first.wait() == 0
    last = await start()
    await until(lambda: set(lines(diary, "projected")) == EVERYTHING)
    last.send_signal(signal.SIGINT)

    assert await last.wait() == 0
    assert Counter(lines(diary, "handled")) == Counter(EVERYTHING)
    assert Counter(lines(diary, "projected")) == Counter(EVERYTHING)
    assert await left(aws) == {}


async def left(aws):
    """Return how much is in each queue that is not empty, dead letter queues included."""
    sqs = SqsClient(
        endpoint=Endpoint(service="sqs", region="us-east-1", url=aws.endpoint_url),
        credentials=aws.static_credentials(),
        http=aws,
    )
    names = ("steps.fifo", "steps-dlq.fifo", "walks-events", "walks-events-dlq")
    return await left_in_queues(sqs, *names)
