"""Statements of users: the types of SQLAlchemy reach the database, and come back."""

from __future__ import annotations

import enum
import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from itertools import count
from uuid import UUID

import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Date,
    DateTime,
    Enum,
    Float,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    Time,
    TypeDecorator,
    Uuid,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.schema import CreateTable

from sourceflow.errors import StatementError
from sourceflow.stores.sql.database.statement import DIALECTS
from sourceflow.stores.sql.own_statements import KEPT, OwnStatements

NOON = datetime(2026, 5, 1, 12, 30, 1, 5)  # noqa: DTZ001 - a column without a zone
A_KEY = UUID("0190f5e0-0000-7000-8000-000000000001")


class Colour(enum.Enum):
    RED = "r"
    GREEN = "g"


class Tags(TypeDecorator):
    """A type of the user's own, on top of JSON."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return sorted(value)

    def process_result_value(self, value, dialect):
        return frozenset(value)


VALUES = {
    "money": (Numeric(12, 2), Decimal("1234.50")),
    "share": (Float(), 0.25),
    "ratio": (Float(asdecimal=True), Decimal("0.2500000000")),
    "weight": (Numeric(12, 2, asdecimal=False), 2.5),
    "made": (DateTime(), NOON),
    "day": (Date(), date(2026, 5, 1)),
    "hour": (Time(), time(12, 30)),
    "lasts": (Interval(), timedelta(hours=3, microseconds=7)),
    "token": (Uuid(), A_KEY),
    "token_text": (Uuid(as_uuid=False), str(A_KEY)),
    "document": (JSON(), {"a": [1, None, "ü"]}),
    "absent": (JSON(none_as_null=True), None),
    "colour": (Enum(Colour, native_enum=False), Colour.GREEN),
    "flag": (Boolean(), True),
    "data": (LargeBinary(), b"\x00\xff"),
    "label": (String(20), "it's"),
    "tags": (Tags(), frozenset({"b", "a"})),
}


class Things:
    """A table with a column of every type, and a connection that is open."""

    def __init__(self, stores, connection):
        numbers = count(1)
        self.product = stores._open.database.product
        self.table = Table(
            "things",
            MetaData(),
            Column("id", Integer, primary_key=True),
            *(Column(name, column_type) for name, (column_type, _) in VALUES.items()),
            Column("fixed", Integer, default=7),
            Column("counted", Integer, default=lambda: next(numbers)),
            Column("changed", Integer, default=0, onupdate=lambda: next(numbers)),
            schema=stores._schema.metadata.schema,
        )
        self.execute = connection.execute


@pytest.fixture
async def things(instances):
    stores = await instances.open()
    async with stores.begin() as uow:
        things = Things(stores, await uow.connection())
        create = CreateTable(things.table).compile(dialect=DIALECTS[things.product])
        await things.execute(str(create))
        yield things


@pytest.fixture
def own(things):
    """Compiles without a database."""
    return OwnStatements(things.product)


async def test_values_go_and_come_as_their_columns_types_say(things):
    values = {name: value for name, (_, value) in VALUES.items()}
    await things.execute(insert(things.table), {"id": 1, **values})
    await things.execute(insert(things.table).values(id=2, **values))

    rows = await things.execute(select(things.table).order_by(things.table.c.id))

    names = [column.name for column in things.table.c]
    for key, row in enumerate(rows, start=1):
        found = dict(zip(names, row, strict=True))
        assert isinstance(row, tuple)
        assert found.pop("id") == key
        assert {name: found[name] for name in VALUES} == values
        assert {name: type(found[name]) for name in ("money", "weight", "colour")} == {
            "money": Decimal,
            "weight": float,
            "colour": Colour,
        }


async def test_nulls_stay_nulls(things):
    nulls = {name: None for name in VALUES if name not in {"document", "tags"}}
    await things.execute(insert(things.table), {"id": 1, **nulls})

    rows = await things.execute(select(*(things.table.c[name] for name in nulls)))

    assert rows == [(None,) * len(nulls)]


async def test_times_with_a_zone_are_the_same_moment_on_postgresql(things):
    if things.product != "postgresql":
        pytest.skip("SQLAlchemy's DateTime leaves the zone out on SQLite")
    moment = datetime(2026, 5, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    statement = select(bindparam("moment", type_=DateTime(timezone=True)))

    assert await things.execute(statement, {"moment": moment}) == [
        (datetime(2026, 5, 1, 12, tzinfo=UTC),)
    ]


async def test_values_are_compared_as_their_columns_types_say(things):
    columns = things.table.c
    await things.execute(insert(things.table), {"id": 1, "token": A_KEY, "colour": Colour.RED})
    await things.execute(insert(things.table), {"id": 2, "colour": Colour.GREEN})
    by_colours = select(columns.id).order_by(columns.id)

    assert await things.execute(select(columns.id).where(columns.token == A_KEY)) == [(1,)]
    assert await things.execute(
        by_colours.where(columns.colour.in_([Colour.RED, Colour.GREEN]))
    ) == [(1,), (2,)]
    some = by_colours.where(columns.colour.in_(bindparam("some", expanding=True)))
    assert await things.execute(some, {"some": [Colour.GREEN]}) == [(2,)]
    assert await things.execute(some, {"some": [Colour.GREEN, Colour.RED]}) == [(1,), (2,)]
    assert await things.execute(some, {"some": []}) == []


async def test_columns_that_are_not_mentioned_get_their_defaults(things):
    columns = things.table.c
    look = select(columns.fixed, columns.counted, columns.changed).order_by(columns.id)
    await things.execute(insert(things.table), {"id": 1})
    await things.execute(insert(things.table).values([{"id": 2}, {"id": 3}]))
    assert await things.execute(look) == [(7, 1, 0), (7, 2, 0), (7, 3, 0)]

    await things.execute(update(things.table).where(columns.id == 1).values(fixed=8))
    assert await things.execute(look) == [(8, 1, 4), (7, 2, 0), (7, 3, 0)]


async def test_only_who_asks_gets_rows(things):
    columns = things.table.c
    assert await things.execute(insert(things.table), {"label": "a"}) == []
    assert await things.execute(update(things.table).values(label="b")) == []
    assert await things.execute(
        insert(things.table).returning(columns.id, columns.money), {"money": Decimal("1.10")}
    ) == [(2, Decimal("1.10"))]
    assert await things.execute(delete(things.table).returning(columns.id)) == [(1,), (2,)]
    assert await things.execute(select(columns.id)) == []


async def test_a_text_takes_named_values(things):
    name = things.table.fullname
    rows = {"key": 1, "money": Decimal("2.50"), "made": NOON, "token": A_KEY, "label": "a"}
    await things.execute(
        f"INSERT INTO {name} (id, money, made, token, label)"
        " VALUES (:key, :money, :made, :token, :label)",
        rows,
    )
    columns = things.table.c
    typed = select(columns.id, columns.money, columns.made, columns.token, columns.label)

    assert await things.execute(typed) == [tuple(rows.values())]
    assert await things.execute(
        f"SELECT id, label FROM {name} WHERE id = :key OR id = :key", {"key": 1}
    ) == [(1, "a")]


async def test_a_text_whose_columns_are_named_gives_typed_rows(things):
    columns = things.table.c
    await things.execute(insert(things.table), {"id": 1, "money": 3, "colour": Colour.RED})
    words = f"SELECT money, colour FROM {things.table.fullname}"

    assert await things.execute(text(words).columns(columns.money, columns.colour)) == [
        (Decimal(3), Colour.RED)
    ]
    with pytest.raises(StatementError, match="in their order"):
        OwnStatements(things.product).ready(text(words).columns(money=Numeric), {})


@pytest.mark.parametrize(
    ("statement", "parameters", "reason"),
    [
        (5, {}, "not int"),
        (literal_column("1"), {}, "not ColumnClause"),
        (CreateTable(Table("a", MetaData(), Column("b", Integer))), {}, "not CreateTable"),
        ("SELECT 1", [{"a": 1}], "not list"),
        ("SELECT :a", {}, "'a'"),
        (select(bindparam("a", type_=Enum(Colour))), {"a": 5}, "fit its type: LookupError"),
        (select(bindparam("a", type_=Uuid())), {"a": "no uuid"}, "does not fit its type"),
        ("SELECT :a", {"a": 1, "b": 2}, "no parameter b"),
    ],
)
def test_what_cannot_be_run_is_said_before_it_reaches_the_database(
    own, things, statement, parameters, reason
):
    if things.product == "postgresql" and parameters == {"a": "no uuid"}:
        pytest.skip("asyncpg looks at UUIDs itself")
    with pytest.raises(StatementError, match=reason) as refused:
        own.ready(statement, parameters)
    assert "no uuid" not in str(refused.value)


def test_a_default_of_the_database_is_written_into_the_statement(own):
    table = Table("a", MetaData(), Column("b", DateTime, default=func.now()), Column("c", Integer))

    ready = own.ready(insert(table), {"c": 1})

    assert ready.arguments == [1]
    assert re.search(r"\(b, c\) VALUES \((now\(\)|CURRENT_TIMESTAMP), ", ready.text)


async def test_a_value_that_the_driver_refuses_is_the_statements_fault(things):
    with pytest.raises(StatementError):
        await things.execute(insert(things.table), {"id": 2**70})


async def test_a_value_that_is_read_and_does_not_fit_is_the_statements_fault(things):
    name = things.table.fullname
    await things.execute(f"INSERT INTO {name} (id, colour) VALUES (1, 'BLUE')")

    with pytest.raises(StatementError, match="was read does not fit its column's type: Lookup"):
        await things.execute(select(things.table.c.colour))


def test_a_statement_is_compiled_once(own, things):
    statement = select(things.table.c.id).where(things.table.c.id == bindparam("key"))

    found = own._find(statement, {"key": 1})
    assert own._find(statement, {"key": 2}) is found
    assert own._find("SELECT :a", {"a": 1}) is own._find("SELECT :a", {"a": 2})
    assert own._find(insert(things.table), {"id": 1}) is not own._find(
        insert(things.table), {"id": 1, "label": "a"}
    )


def test_only_so_many_statements_are_kept_and_the_oldest_go_first(own):
    first, second = own._find("SELECT 1", {}), own._find("SELECT 2", {})
    for number in range(KEPT - 1):
        own._find(f"SELECT 3, {number}", {})
        assert own._find("SELECT 1", {}) is first

    assert len(own._kept) == KEPT
    assert own._find("SELECT 2", {}) is not second
