"""What a worker's process is made of."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

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


LOGS = """
import logging, sys
from sourceflow.host.cli.worker import log_to_stderr
if sys.argv[2:]:
    logging.basicConfig(level="INFO", format="mine: %(message)s")
log_to_stderr(sys.argv[1])
for name in ("alembic.runtime.migration", "botocore.credentials", "urllib3.connectionpool", "sourceflow.host.app", "shop"):
    logging.getLogger(name).info("said by %s", name)
"""
OURS = ["sourceflow.host.app", "shop"]
THEIRS = ["alembic.runtime.migration", "botocore.credentials", "urllib3.connectionpool"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["info"], OURS),
        (["debug"], OURS),
        (["warning"], []),
        (["info", "own"], THEIRS + OURS),
    ],
    ids=["info", "debug", "warning", "the module's own"],
)
def test_the_log_tells_of_the_app_and_of_libraries_where_its_module_says_so(arguments, told):
    command = [sys.executable, "-c", LOGS, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    lines = done.stderr.splitlines()
    assert [line.rpartition(" ")[2] for line in lines] == told
    assert {line.startswith("mine: ") for line in lines} <= {arguments[1:] == ["own"]}
