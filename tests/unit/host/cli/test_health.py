"""``sourceflow health`` as operators call it."""

from __future__ import annotations

import asyncio
import json
import sys
import types

import pytest
from typer.testing import CliRunner

from sourceflow import App, Saga
from sourceflow.bus.ports import DeadLetterFilter, Finding, HealthCheck
from sourceflow.host.cli.program import program
from sourceflow.stores.sql import SqlStores


class Stores(SqlStores):
    """Stores with one more check, which finds what the test says."""

    found = Finding.healthy("fine")

    def health_checks(self, options):
        async def look():
            return self.found

        return (*super().health_checks(options), HealthCheck("strange", look))


@pytest.fixture
def stores(tmp_path):
    return Stores(f"sqlite:///{tmp_path}/shop.db")


@pytest.fixture
def module(stores, monkeypatch):
    made = types.ModuleType("shop_for_health")
    made.app = App([], name="shop", stores=stores)
    monkeypatch.setitem(sys.modules, made.__name__, made)
    return made


@pytest.fixture
async def tables(stores, module):
    await stores.migrate()


@pytest.fixture
def call(module):
    return lambda *arguments: CliRunner().invoke(
        program, ["health", f"{module.__name__}:app", *arguments]
    )


@pytest.fixture
def found(stores):
    def find(finding):
        stores.found = finding

    return find


pytestmark = pytest.mark.usefixtures("tables")


def test_what_is_healthy_ends_with_0(call):
    done = call()

    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == "shop is healthy"
    assert "database" in done.stdout


@pytest.mark.parametrize(("options", "code"), [((), 0), (("--strict",), 1)])
def test_what_is_degraded_ends_with_0_unless_it_is_to_be_strict(call, found, options, code):
    found(Finding.degraded("somebody should look"))

    done = call(*options)

    assert done.exit_code == code
    assert done.stdout.splitlines()[-1] == "shop is degraded"
    assert "somebody should look" in done.stdout


@pytest.mark.parametrize("options", [(), ("--strict",), ("--json",)])
def test_what_is_unhealthy_ends_with_1(call, found, options):
    found(Finding.unhealthy("it is gone"))

    done = call(*options)

    assert done.exit_code == 1
    assert "it is gone" in done.stdout


def test_json_is_one_object_with_every_entry(call):
    done = call("--json")

    report = json.loads(done.stdout)
    assert report["status"] == "healthy"
    assert [entry["name"] for entry in report["entries"]] == [
        "app",
        "outbox",
        "dead letters",
        "database",
        "strange",
    ]
    assert set(report["entries"][0]) == {"name", "status", "detail", "seconds"}


def test_a_wrong_app_ends_with_2(module):
    class NoHandlers(Saga[None]):
        pass

    module.app = App([NoHandlers], name="shop")
    runner = CliRunner()

    wiring = runner.invoke(program, ["health", f"{module.__name__}:app"])
    nowhere = runner.invoke(program, ["health", f"{module.__name__}:nothing"])

    assert (wiring.exit_code, nowhere.exit_code) == (2, 2)
    assert "NoHandlers" in wiring.stderr
    assert "nothing" in nowhere.stderr


def test_nothing_is_left_open(call, stores):
    call()

    async def run():
        async with App([], name="shop", stores=stores):
            return await stores.dead_letters.count(DeadLetterFilter())

    assert asyncio.run(run()) == 0
