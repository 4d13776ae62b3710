"""A database that stops is red within one check, and green again when it is back."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from pathlib import Path

import pytest
from postgres_server import PRODUCTS, postgres_url
from sqlalchemy import func, select

from database_gate import DatabaseGate
from databases import SqlDatabase, own_database
from file_lock import locked
from sourceflow import App, Command, Entity, HealthStatus, Key, Saga, handles
from sourceflow.stores.sql import SqlIdempotency
from sourceflow.stores.sql.database import Statement, open_database
from sourceflow.stores.sql.url import parse_url

HEALTHY, DEGRADED, UNHEALTHY = HealthStatus


class Tick(Command):
    id: Key[str]


class Clockwork(Entity):
    id: Key[str]


class Ticking(Saga[Clockwork]):
    def __init__(self, notes: list) -> None:
        self.notes = notes

    @handles
    async def tick(self, entity: Clockwork | None, command: Tick) -> Clockwork:
        connection = await self.connection()
        await connection.execute("SELECT 1")
        self.notes.append(await self.notes[0].health())
        return Clockwork(id=command.id)


def app_on(stores, **more):
    return App([], name="clock", stores=stores, **more)


def move(before, after):
    before.rename(after)


def make(path):
    path.touch()


def make_empty(path):
    Path(path).touch()


def is_there(path):
    return Path(path).exists()


async def database_entry(app):
    report = await app.health()
    (entry,) = [each for each in report.entries if each.name == "database"]
    assert report.status is max(
        (each.status for each in report.entries), key=list(HealthStatus).index
    )
    return entry


@pytest.fixture(params=PRODUCTS)
async def database(request, tmp_path):
    async with own_database(request.param, tmp_path) as database:
        yield database


@pytest.fixture
async def file(tmp_path):
    async with own_database("sqlite", tmp_path) as database:
        yield database


async def test_a_database_that_answers_is_healthy_and_its_password_stays_inside(database):
    async with app_on(database.stores()) as app:
        entry = await database_entry(app)

    assert entry.status is HEALTHY
    assert entry.detail.endswith("takes writes")


@pytest.mark.postgresql
@pytest.mark.parametrize("how", ["refuse", "hang"])
async def test_a_server_that_stopped_is_red_within_one_check_and_green_again(tmp_path, how):
    async with (
        own_database("postgresql", tmp_path) as database,
        DatabaseGate(postgres_url()) as gate,
    ):
        stores = SqlDatabase(gate.url, database.schema).stores()
        async with app_on(stores) as app:
            assert (await database_entry(app)).status is HEALTHY

            await getattr(gate, how)()
            begun = time.monotonic()
            entry = await database_entry(app)
            assert time.monotonic() - begun < 8
            assert entry.status is UNHEALTHY

            await gate.open()
            assert (await database_entry(app)).status is HEALTHY


@pytest.mark.postgresql
async def test_a_connection_that_is_lost_without_a_word_is_not_waited_for():
    """Its answer never comes, whoever is asked to cut it short: others work again meanwhile."""
    probe = Statement(select(func.now()), "postgresql")
    async with DatabaseGate(postgres_url()) as gate:
        database = open_database(
            parse_url(gate.url), pool_size=1, timeout=timedelta(seconds=30), create=False
        )
        await database.open()
        await gate.hang()
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await database.probe(probe)
        await gate.forget()

        await database.probe(probe)

        assert time.monotonic() - begun < 8
        await database.aclose()


async def test_a_file_that_another_process_has_locked_is_red_and_green_again(file):
    async with app_on(file.stores(timeout=timedelta(seconds=1))) as app:
        async with locked(file.path):
            begun = time.monotonic()
            entry = await database_entry(app)
            assert time.monotonic() - begun < 8
            assert entry.status is UNHEALTHY

        assert (await database_entry(app)).status is HEALTHY


async def test_a_file_that_is_gone_is_red_and_green_when_it_is_back(file):
    path = Path(file.path)
    async with app_on(file.stores()) as app:
        move(path, path.with_suffix(".away"))
        entry = await database_entry(app)
        assert entry.status is UNHEALTHY
        assert "is not there any more" in entry.detail

        make(path)  # another file in its place
        assert (await database_entry(app)).status is UNHEALTHY

        move(path.with_suffix(".away"), path)
        assert (await database_entry(app)).status is HEALTHY


async def test_the_database_of_the_idempotency_service_is_looked_at_too(file):
    path = Path(file.path)
    service = SqlIdempotency(file.url)
    async with App([], name="clock", idempotency=service) as app:
        assert (await app.health()).status is HEALTHY
        move(path, path.with_suffix(".away"))
        report = await app.health()

    assert [each.name for each in report.entries if each.status is UNHEALTHY] == ["idempotency"]


async def test_tables_that_are_gone_are_red(database):
    async with app_on(database.stores()) as app:
        await database.run(f"DROP TABLE {database.name('sourceflow_outbox')}")

        entry = await database_entry(app)

    assert entry.status is UNHEALTHY


async def test_a_transaction_of_a_handler_does_not_turn_it_red(database):
    notes = []
    app = App([Ticking], name="clock", stores=database.stores(), services=[notes])
    async with app:
        notes.append(app)
        await app.send(Tick(id="1"))

    report = notes[1]
    assert report.status is HEALTHY, report


async def test_stores_are_inspected_without_an_app_and_left_as_they_are(database):
    async with app_on(database.stores()):
        pass

    report = await app_on(database.stores()).inspect()

    assert [(entry.name, entry.status) for entry in report.entries] == [
        ("app", HEALTHY),
        ("outbox", HEALTHY),
        ("dead letters", HEALTHY),
        ("database", HEALTHY),
    ]


async def test_an_inspection_makes_no_tables_and_no_file(database):
    report = await app_on(database.stores()).inspect()

    assert report.status is UNHEALTHY
    if database.product == "sqlite":
        assert not is_there(database.path)


async def test_tables_that_are_missing_are_told_with_what_makes_them(database):
    if database.product == "sqlite":
        make_empty(database.path)
    report = await app_on(database.stores()).inspect()

    entries = {entry.name: entry for entry in report.entries}
    assert set(entries) == {"app", "database"}
    assert entries["database"].status is UNHEALTHY
    assert "run `sourceflow db upgrade --url" in entries["database"].detail


async def test_the_database_of_the_idempotency_service_is_inspected_too(file):
    path = Path(file.path)

    def app():
        return App([], name="clock", idempotency=SqlIdempotency(file.url))

    async def entries():
        return [(each.name, each.status) for each in (await app().inspect()).entries]

    assert await entries() == [("app", HEALTHY), ("idempotency", UNHEALTHY)]
    assert not is_there(path)
    async with app():
        pass
    assert await entries() == [("app", HEALTHY), ("idempotency", HEALTHY)]
    move(path, path.with_suffix(".away"))
    assert await entries() == [("app", HEALTHY), ("idempotency", UNHEALTHY)]


@pytest.mark.postgresql
async def test_an_inspection_of_a_server_that_hangs_takes_two_seconds(tmp_path):
    async with DatabaseGate(postgres_url()) as gate:
        await gate.hang()
        begun = time.monotonic()
        report = await app_on(SqlDatabase(gate.url, "nobody").stores()).inspect()

        assert time.monotonic() - begun < 8
        assert [(entry.name, entry.status) for entry in report.entries] == [
            ("app", HEALTHY),
            ("database", UNHEALTHY),
        ]
