"""Help is quick: it waits for nothing but the command line itself; and it can be read anywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version

import pytest
from typer.main import get_command

from sourceflow.host.cli import db
from sourceflow.host.cli.program import program
from sourceflow.stores.sql.schema import PREFIX

#: What takes long to import, and what a help text has no need of.
HEAVY = (
    "aiohttp",
    "aiosqlite",
    "alembic",
    "asyncpg",
    "botocore",
    "cryptography",
    "opentelemetry",
    "rich",
    "sourceflow.demo",
    "sourceflow.stores.sql",
    "sourceflow.telemetry.otel",
    "sourceflow.testing",
    "sourceflow.transports",
    "sqlalchemy",
    "starlette",
    "uvloop",
)

REPORT = """
import json, sys
from sourceflow.host.cli import main

calls, heavy = json.loads(sys.argv[1])
told = {}
for call in calls:
    sys.argv = ["sourceflow", *call]
    try:
        main()
    except SystemExit as end:
        found = [name for name in sys.modules if any(f"{name}.".startswith(f"{each}.") for each in heavy)]
        told[" ".join(call)] = [end.code, found]
print(json.dumps(told), file=sys.stderr)
"""


def commands(group, above=()):
    for name, command in group.commands.items():
        yield (*above, name), command
        if hasattr(command, "commands"):
            yield from commands(command, (*above, name))


COMMANDS = dict(commands(get_command(program)))


def report(*calls):
    """Call the command line in one new process; return how each call ended, and what it imported."""
    ended = subprocess.run(
        [sys.executable, "-c", REPORT, json.dumps([calls, HEAVY])],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return ended.stdout, json.loads(ended.stderr.splitlines()[-1])


def test_help_imports_nothing_heavy():
    calls = [(*command, "--help") for command in ((), *COMMANDS)]
    out, told = report(*calls)

    assert told == {" ".join(call): [0, []] for call in calls}
    for command in COMMANDS:
        assert " ".join(("Usage: sourceflow", *command)) in out


def test_what_imports_something_heavy_is_found():
    _, told = report(("db", "sql", "--url", "sqlite://"))

    assert all("sqlalchemy" in found for _, found in told.values())


@pytest.mark.parametrize("name", COMMANDS, ids=" ".join)
def test_what_a_command_does_is_told_in_the_list_without_being_cut(name):
    width = 80 - len("  dead-letters  ") - 2
    assert not COMMANDS[name].get_short_help_str(width).endswith("...")


def test_the_prefix_that_help_shows_is_that_of_the_stores():
    assert db.PREFIX == PREFIX


def test_the_command_line_is_a_module_that_can_be_run():
    ended = subprocess.run(
        [sys.executable, "-m", "sourceflow", "--version"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"sourceflow {version('sourceflow')}\n"
