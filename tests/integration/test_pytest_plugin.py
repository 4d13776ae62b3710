"""The plugin as a user's pytest finds it: by its entry point, in a project of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

APP = """
from decimal import Decimal
import pytest
from sourceflow import App, Command, Entity, Key, Reject, Saga, handles
from sourceflow.transports.aws import AwsOptions, AwsTransport


class Count(Command):
    id: Key[str]
    by: int


class Counter(Entity):
    id: Key[str]
    count: int = 0


class Counters(Saga[Counter]):
    @handles
    def count(self, counter: Counter | None, command: Count) -> Counter:
        if command.by < 0:
            raise Reject("counters do not go down")
        return Counter(id=command.id, count=command.by + (counter.count if counter else 0))


def make_app():
    transport = AwsTransport(
        AwsOptions(region="us-east-1"),
        lambda bus: bus.send.command(Count, queue="counts.fifo").listen.to.command_queue("counts.fifo"),
    )
    return App([Counters], name="counting").use(transport)
"""

CONFTEST = """
import pytest
from counting import make_app


@pytest.fixture
def sourceflow_app(local_aws):
    return make_app()
"""

STORY = """
import os
import pytest
from counting import Count, Counter
from sourceflow.testing import dead_lettered, given, handled
from counting import make_app

pytestmark = pytest.mark.{mark}


async def test_it_counts(app_under_test, local_aws):
    assert os.environ["AWS_ENDPOINT_URL"] == local_aws.endpoint_url
    await app_under_test.send(Count(id="a", by=2))
    assert await handled(Count, "a") == Count(id="a", by=2)
    assert (await app_under_test.get(Counter, "a")).count == 2
    assert local_aws.calls["SendMessageBatch"]


async def test_each_test_begins_anew(app_under_test):
    assert await app_under_test.find(Counter, "a") is None


async def test_a_dead_letter_is_expected(app_under_test):
    await app_under_test.send(Count(id="a", by=-1))
    assert (await dead_lettered(Count)).reason == "Rejected"


async def test_rules(local_aws):
    await given(app=make_app).when(Count(id="a", by=2)).twice().then(Counter(id="a", count=2))
"""


@pytest.fixture
def project(tmp_path):
    """A project whose environment has the plugin installed: an entry point as ours is written."""
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    (point,) = points["pytest11"].items()
    info = tmp_path / "site" / "installed-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: installed\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pytest11]\n{} = {}\n".format(*point))
    return Project(tmp_path / "tests", info.parent)


class Project:
    """A folder of tests, and a run of pytest in it."""

    def __init__(self, folder, site):
        folder.mkdir()
        self._folder = folder
        self._path = os.pathsep.join(map(str, (ROOT / "src", site, folder)))

    def write(self, **files):
        for name, text in files.items():
            (self._folder / f"{name}.py").write_text(text)

    def run(self, *options, **more):
        if "no:asyncio" not in options:
            options = (*options, "-o", "asyncio_default_fixture_loop_scope=function")
        env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return subprocess.run(
            [
                sys.executable,
                "-W",
                "error",
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                *options,
            ],
            cwd=self._folder,
            env={**env, **more, "PYTHONPATH": self._path, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )


@pytest.mark.parametrize(
    ("mark", "options"),
    [
        ("asyncio", ()),
        ("asyncio", ("-o", "asyncio_mode=auto", "-p", "pytest_sourceflow")),
        ("anyio", ("-p", "no:asyncio")),
        ("anyio", ()),
    ],
    ids=["strict", "auto and named twice", "anyio", "both"],
)
def test_fixtures_run_in_the_loop_of_the_test(project, mark, options):
    backend = '\n\n@pytest.fixture\ndef anyio_backend():\n    return "asyncio"\n'
    project.write(counting=APP, conftest=CONFTEST + backend, test_story=STORY.format(mark=mark))

    ran = project.run(*options)
    assert ran.stdout.splitlines()[-1].startswith("4 passed"), ran.stdout + ran.stderr


def test_an_environment_for_another_aws_leads_no_client_away(project):
    """What a developer's shell says of an account, a region or a service does not count in a test."""
    project.write(
        counting=APP,
        conftest=CONFTEST,
        test_story=STORY.format(mark="asyncio"),
        test_others="""
import pytest
from botocore.session import Session


@pytest.mark.asyncio
async def test_botocore(local_aws):
    sqs = Session().create_client("sqs")
    assert sqs.meta.endpoint_url == local_aws.endpoint_url
    assert sqs.meta.region_name == "us-east-1"
    credentials = Session().get_credentials()
    assert (credentials.access_key, credentials.token) == ("test", None)
""",
    )
    elsewhere = {
        "AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:1",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
        "AWS_PROFILE": "work",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_SECURITY_TOKEN": "real",
        "AWS_SESSION_TOKEN": "real",
    }
    ran = project.run(**elsewhere)
    assert ran.stdout.splitlines()[-1].startswith("5 passed"), ran.stdout + ran.stderr


def test_what_is_wrong_is_told(project):
    project.write(
        counting=APP,
        conftest=CONFTEST,
        test_wrong="""
import pytest
from counting import Count


def test_sync(local_aws):
    pass


@pytest.mark.asyncio
async def test_unexpected(app_under_test):
    await app_under_test.send(Count(id="a", by=-1))


class TestNoApp:
    @pytest.fixture
    def sourceflow_app(self):
        from pytest_sourceflow import sourceflow_app
        return sourceflow_app.__wrapped__()

    @pytest.mark.asyncio
    async def test_no_app(self, app_under_test):
        pass
""",
    )

    said = project.run().stdout
    assert "local_aws runs in the event loop of the test: make test_sync an async def" in said
    assert "Count of counts.fifo (Rejected): RejectedError" in said or "(Rejected): " in said
    assert "await dead_lettered(Type) says that one is expected" in said
    assert "write a fixture sourceflow_app that returns it" in said
    assert "1 passed, 3 errors" in said


def test_without_a_plugin_for_async_tests_the_fixtures_say_what_they_need(project):
    project.write(
        conftest="""
import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    return True
""",
        test_alone="async def test_alone(local_aws):\n    pass\n",
    )

    said = project.run("-p", "no:asyncio", "-p", "no:anyio").stdout
    assert "local_aws needs pytest-asyncio, or anyio's plugin: none runs here" in said


def test_nothing_of_the_package_is_imported_until_a_fixture_is_used(project):
    project.write(
        test_plain="""
import sys


def test_plain(pytestconfig):
    assert pytestconfig.pluginmanager.hasplugin("pytest_sourceflow")
    heavy = {"sourceflow", "aiohttp", "botocore", "msgspec"}
    assert heavy & set(sys.modules) == set()
"""
    )

    for options in ((), ("-p", "no:asyncio", "-p", "no:anyio")):
        ran = project.run(*options)
        assert "1 passed" in ran.stdout, ran.stdout + ran.stderr


def test_stores_of_others_pass_or_fail_the_suite(project):
    project.write(
        test_mine="""
import pytest
from sourceflow.stores.memory import MemoryStores
from sourceflow.testing.conformance import StoresConformance


class Forgetful(MemoryStores):
    async def find(self, row_type, key):
        return None


class TestGood(StoresConformance):
    has_connection = False
    stores = MemoryStores

    @pytest.fixture
    def new_stores(self):
        kept = self.stores()
        return lambda: kept


class TestBad(TestGood):
    stores = Forgetful


class TestNone(StoresConformance):
    pass
"""
    )

    ran = project.run("-k", "a_row_is_found_by_its_key")
    assert "1 failed, 1 passed" in ran.stdout, ran.stdout + ran.stderr
    assert "1 error" in ran.stdout
    assert "assert found is not None" in ran.stdout
    assert "TestNone needs a fixture new_stores that returns a function" in ran.stdout
