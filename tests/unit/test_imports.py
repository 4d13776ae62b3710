from __future__ import annotations

import json
import subprocess
import sys

import pytest

REPORT = """
import json, sys
import msgspec
before = set(sys.modules)
import sourceflow
print(json.dumps(sorted(set(sys.modules) - before)))
"""

WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
from sourceflow.errors import MissingExtraError
try:
    {statement}
except MissingExtraError as error:
    print(error.extra, error.name, error, sep="\\n")
"""

NEW_SESSION = "from sourceflow.transports.aws.client._botocore import new_session; new_session()"

OPEN_POSTGRES = """
    import asyncio
    from sourceflow.stores.sql.stores import SqlStores
    asyncio.run(SqlStores("postgresql://h/d").migrate())
"""

UPGRADE = """
    import sourceflow.host.cli
    sys.argv = ["sourceflow", "db", "upgrade", "--url", "postgresql://h/d"]
    sourceflow.host.cli.main()
"""


def run(program, *, returns=0):
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == returns, ran.stderr
    return ran


def test_the_package_itself_needs_msgspec_and_the_standard_library_only():
    imported = {name.partition(".")[0] for name in json.loads(run(REPORT).stdout)}

    assert imported - sys.stdlib_module_names == {"sourceflow"}


@pytest.mark.parametrize(
    ("missing", "statement"),
    [
        ("aiohttp", "import sourceflow.transports.aws.client.http.aiohttp_client"),
        ("aiohttp", "from sourceflow.testing import LocalAws"),
        ("cryptography", "from sourceflow.testing import LocalAws"),
        ("botocore", NEW_SESSION),
    ],
)
def test_a_missing_extra_is_named(missing, statement):
    said = run(WITHOUT.format(missing=missing, statement=statement)).stdout.splitlines()

    assert said == [
        "aws",
        missing,
        f"{missing} is not installed: pip install 'sourceflow[aws]'",
    ]


@pytest.mark.parametrize("missing", ["sqlalchemy", "alembic"])
def test_sql_stores_name_their_missing_extra(missing):
    program = WITHOUT.format(missing=missing, statement="import sourceflow.stores.sql")

    assert run(program).stdout.splitlines()[:2] == ["sql", missing]


def test_stores_in_postgresql_name_their_missing_extra():
    program = WITHOUT.format(missing="asyncpg", statement=OPEN_POSTGRES)

    assert run(program).stdout.splitlines()[:2] == ["postgres", "asyncpg"]


def test_the_command_line_names_its_missing_extra():
    program = WITHOUT.format(
        missing="typer", statement="import sourceflow.host.cli; sourceflow.host.cli.main()"
    )

    assert "typer is not installed: pip install 'sourceflow[cli]'" in run(program, returns=1).stderr


@pytest.mark.parametrize(
    ("missing", "extra"), [("sqlalchemy", "sql"), ("alembic", "sql"), ("asyncpg", "postgres")]
)
def test_commands_for_databases_name_their_missing_extra(missing, extra):
    program = WITHOUT.format(missing=missing, statement=UPGRADE)

    said = f"{missing} is not installed: pip install 'sourceflow[{extra}]'\n"
    assert run(program, returns=1).stderr.removeprefix("error: ") == said


def test_telemetry_names_its_missing_extra():
    program = WITHOUT.format(missing="opentelemetry", statement="import sourceflow.telemetry.otel")

    assert run(program).stdout.splitlines() == [
        "otel",
        "opentelemetry",
        "opentelemetry is not installed: pip install 'sourceflow[otel]'",
    ]


def test_telemetry_needs_the_interface_of_opentelemetry_only():
    program = """
import sys
import sourceflow.telemetry.otel
print(any(name.startswith("opentelemetry.sdk") for name in sys.modules))
"""
    assert run(program).stdout.strip() == "False"


WITHOUT_TELEMETRY = """
import asyncio, sys
from datetime import timedelta
from sourceflow import App, Command, Entity, Key, Saga, handles
from sourceflow.telemetry import names
from sourceflow.testing import LocalAws
from sourceflow.transports.aws import AwsOptions, AwsTransport

class Open(Command):
    id: Key[str]
class Account(Entity):
    id: Key[str]
class Accounts(Saga[Account]):
    @handles
    async def open(self, account: Account | None, command: Open) -> Account:
        return Account(id=command.id)

async def main():
    async with LocalAws() as aws:
        transport = AwsTransport(
            AwsOptions(
                region="us-east-1",
                endpoint_url=aws.endpoint_url,
                wait_time=timedelta(seconds=1),
            ),
            lambda bus: bus.send.command(Open, queue="q").listen.to.command_queue("q"),
            credentials=aws.static_credentials(),
        )
        async with App([Accounts], name="bank").use(transport) as app:
            await app.send(Open(id="1"))
            await app.drained()
    loaded = [name for name in sys.modules if name.partition(".")[0] == "opentelemetry"]
    loaded += [name for name in sys.modules if name.startswith("sourceflow.telemetry.otel")]
    print(loaded)

asyncio.run(main())
"""


def test_without_telemetry_nothing_of_opentelemetry_is_imported():
    assert run(WITHOUT_TELEMETRY).stdout.strip() == "[]"


@pytest.mark.parametrize(
    "statement",
    [
        "import sourceflow.transports.aws.client.http.aiohttp_client",
        "from sourceflow.testing import LocalAws",
    ],
)
def test_another_missing_module_is_not_taken_for_the_extra(statement):
    # yarl is aiohttp's own dependency: a broken installation is no missing extra
    program = WITHOUT.format(missing="yarl", statement=statement)

    assert "ModuleNotFoundError: No module named 'yarl" in run(program, returns=1).stderr


def test_the_aws_transport_imports_botocore_late():
    program = "import sys, sourceflow.transports.aws; print('botocore' in sys.modules)"

    assert run(program).stdout.strip() == "False"
