"""What a worker's process is made of."""

from __future__ import annotations

import asyncio
import sys

from sourceflow.host.cli.worker import run_in_loop


def loop_of_a_run():
    found = []

    async def look():
        found.append(type(asyncio.get_running_loop()).__module__)

    run_in_loop(look())
    return found[0].partition(".")[0]


def test_the_loop_of_the_extra_is_used_where_there_is_one():
    assert loop_of_a_run() == "uvloop"


def test_the_loop_of_asyncio_is_used_elsewhere(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvloop", None)

    assert loop_of_a_run() == "asyncio"
