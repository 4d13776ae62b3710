"""A unit of work that opens its transaction early, for statements of the user's own."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    MetaData,
    Numeric,
    String,
    Table,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from sourceflow import Key, ViewModel
from sourceflow.bus.changes import Changes, Claim, OutboxRow, RowChange, Stream
from sourceflow.bus.query import Query
from sourceflow.errors import (
    ConflictError,
    ConstraintError,
    DependencyError,
    DuplicateError,
    HandlerEndedError,
    StatementError,
)
from sourceflow.messages import Codec, Registry
from sourceflow.stores.sql.database import Unfulfilled


class Ledger:
    """A table of the user's own beside those of the stores."""

    def __init__(self, instances, stores):
        self.instances = instances
        self.stores = stores
        metadata = MetaData()
        schema = stores._schema.metadata.schema
        self.table = Table(
            "ledger",
            metadata,
            Column("id", String, primary_key=True),
            Column("amount", Numeric(12, 2), CheckConstraint("amount >= 0"), nullable=False),
            schema=schema,
        )
        self.entries = Table(
            "entries",
            metadata,
            Column(
                "ledger_id",
                ForeignKey(self.table.c.id, deferrable=True, initially="DEFERRED"),
                primary_key=True,
            ),
            schema=schema,
        )
        self.metadata = metadata
        self.name = self.table.fullname

    def put(self, key, amount=1):
        return insert(self.table).values(id=key, amount=Decimal(amount))

    async def ids(self):
        async with self.stores.begin() as uow:
            connection = await uow.connection()
            rows = await connection.execute(select(self.table.c.id).order_by(self.table.c.id))
        return [key for (key,) in rows]

    def leaving(self, message_id):
        event = self.instances.event(message_id)
        body = Codec(Registry([self.instances.Paid])).encode(event)
        return OutboxRow(event, self.instances.topic, Stream("Order", "o-1"), body)


@pytest.fixture
async def ledger(instances):
    return await opened(instances)


async def opened(instances, **options):
    stores = await instances.open(**options)
    ledger = Ledger(instances, stores)
    await stores._open.database.administer(ledger.metadata.create_all)
    return ledger


def claim(message_id="m-1"):
    return Claim("/shop", message_id, "Orders.paid")


def listing(instances, expected=0, key="a"):
    row = instances.Listing(id=key)
    return RowChange(row_type=instances.Listing, key=key, expected=expected, row=row)


async def test_what_a_connection_writes_is_committed_with_everything_else(ledger):
    async with ledger.stores.begin() as uow:
        connection = await uow.connection()
        await connection.execute(ledger.put("a"))
        await uow.commit(Changes([claim()]))

    assert await ledger.ids() == ["a"]
    assert await ledger.stores.inbox.claimed([claim()]) == {claim()}


async def test_a_connection_is_committed_where_nothing_else_is_written(ledger):
    async with ledger.stores.begin() as uow:
        await (await uow.connection()).execute(ledger.put("a"))
        assert await uow.commit(Changes()) == ()

    assert await ledger.ids() == ["a"]


async def test_leaving_without_a_commit_leaves_nothing(ledger):
    async with ledger.stores.begin() as uow:
        await (await uow.connection()).execute(ledger.put("a"))

    assert await ledger.ids() == []


async def test_a_failure_leaves_nothing_and_passes_unchanged(ledger):
    with pytest.raises(OSError, match="mine"):
        async with ledger.stores.begin() as uow:
            await (await uow.connection()).execute(ledger.put("a"))
            raise OSError("mine")

    assert await ledger.ids() == []


async def test_asked_for_twice_it_is_the_same_transaction(ledger):
    async with ledger.stores.begin() as uow:
        first, second = await asyncio.gather(uow.connection(), uow.connection())
        await first.execute(ledger.put("a"))
        assert await second.execute(select(ledger.table.c.id)) == [("a",)]
        await uow.commit(Changes())

    assert await ledger.ids() == ["a"]


async def test_a_unit_of_work_reads_in_its_own_transaction(ledger):
    async with ledger.stores.begin() as uow:
        await uow.commit(Changes([claim()], rows=[listing(ledger.instances)]))

    async with ledger.stores.begin() as uow:
        connection = await uow.connection()
        assert await uow.claimed([claim()])
        tables = ledger.stores._schema
        await connection.execute(delete(tables.claims))
        await connection.execute(delete(tables.views))

        assert not await uow.claimed([claim()])
        listing_type = ledger.instances.Listing
        assert await uow.row(listing_type, "a") == (0, None)
        assert await uow.reads.find(listing_type, "a") is None
        assert await ledger.stores.find(listing_type, "a") == listing_type(id="a")


class Parcel(ViewModel, indexes=("place",)):
    id: Key[str]
    place: str = ""


async def test_columns_are_filled_in_where_the_query_runs(instances):
    instances.view_models = (Parcel,)
    ledger = await opened(instances, pool_size=1)
    row = RowChange(row_type=Parcel, key="p-1", expected=0, row=Parcel(id="p-1", place="quay"))
    query = Query.of(Parcel, where={"place": "quay"})
    view = ledger.stores._open.view_models._view(Parcel).table
    table, older = view.table, {**dict.fromkeys(view.beside), "filled": ""}
    async with ledger.stores.begin() as uow:
        await uow.commit(Changes(rows=[row]))

    async with asyncio.timeout(20), ledger.stores.begin() as uow:
        connection = await uow.connection()
        known = select(table.c.filled)
        before = await connection.execute(known)
        await connection.execute(update(table).values(older))  # as an older writer has left it
        assert await uow.reads.query(query) == [Parcel(id="p-1", place="quay")]
        assert await connection.execute(known) == before


async def test_a_lost_race_takes_the_users_statements_back(ledger):
    async with ledger.stores.begin() as uow:
        await uow.commit(Changes(rows=[listing(ledger.instances)]))

    with pytest.raises(ConflictError):
        async with ledger.stores.begin() as uow:
            await (await uow.connection()).execute(ledger.put("a"))
            await uow.commit(Changes([claim()], rows=[listing(ledger.instances, expected=5)]))

    assert await ledger.ids() == []
    assert not await ledger.stores.inbox.claimed([claim()])


async def test_a_taken_claim_takes_the_users_statements_back(ledger):
    async with ledger.stores.begin() as uow:
        await uow.commit(Changes([claim()]))

    with pytest.raises(DuplicateError):
        async with ledger.stores.begin() as uow:
            await (await uow.connection()).execute(ledger.put("a"))
            await uow.commit(Changes([claim()]))

    assert await ledger.ids() == []


async def test_what_came_after_a_mark_can_be_undone(ledger):
    async with ledger.stores.begin() as uow:
        connection = await uow.connection()
        await connection.execute(ledger.put("a"))
        mark = await uow.save()
        await connection.execute(ledger.put("b"))
        await connection.execute(ledger.put("c"))
        await uow.restore(mark)
        await connection.execute(ledger.put("d"))
        await uow.restore(mark)
        await connection.execute(ledger.put("e"))
        await uow.commit(Changes())

    assert await ledger.ids() == ["a", "e"]


async def test_marks_of_many_handlers_stand_one_after_the_other(ledger):
    async with ledger.stores.begin() as uow:
        connection = await uow.connection()
        for key in "abcdef":
            mark = await uow.save()
            assert await uow.save() == mark
            await connection.execute(ledger.put(key))
            if key in "bcf":
                await uow.restore(mark)
                connection = await uow.connection()
        await uow.commit(Changes())

    assert await ledger.ids() == ["a", "d", "e"]


async def test_what_came_before_the_first_mark_can_be_undone(ledger):
    async with ledger.stores.begin() as uow:
        mark = await uow.save()
        connection = await uow.connection()
        await connection.execute(ledger.put("a"))
        await uow.restore(mark)
        with pytest.raises(
            HandlerEndedError, match=r"a statement of its own came after its handler"
        ):
            await connection.execute(ledger.put("b"))
        await (await uow.connection()).execute(ledger.put("c"))
        await uow.commit(Changes())

    assert await ledger.ids() == ["c"]


async def test_a_mark_is_only_a_mark_where_nothing_was_asked_for(ledger):
    async with ledger.stores.begin() as uow:
        await uow.restore(await uow.save())
        uow.check()
        await uow.commit(Changes([claim()]))

    assert await ledger.stores.inbox.claimed([claim()])


async def test_after_a_failed_statement_nothing_runs_and_nothing_is_committed(ledger):
    async with ledger.stores.begin() as uow:
        connection = await uow.connection()
        await connection.execute(ledger.put("a"))
        with pytest.raises(StatementError) as failed:
            await connection.execute("SELEKT 1")
        for call in (
            connection.execute(ledger.put("b")),
            uow.claimed([claim()]),
            uow.commit(Changes([claim()])),
        ):
            with pytest.raises(StatementError) as again:
                await call
            assert again.value is failed.value

    assert await ledger.ids() == []
    assert not await ledger.stores.inbox.claimed([claim()])


@pytest.mark.parametrize("before", [0, 1])
async def test_a_mark_takes_a_failure_back_too(ledger, before):
    async with ledger.stores.begin() as uow:
        connection = await uow.connection()
        for _ in range(before):
            await connection.execute(ledger.put("a"))
        mark = await uow.save()
        with pytest.raises(ConstraintError):
            await connection.execute(ledger.put("b", amount=-1))
        await uow.restore(mark)
        connection = await uow.connection()
        with pytest.raises(StatementError, match="no parameter no_such_column"):
            await connection.execute(insert(ledger.table), {"id": "b", "no_such_column": 1})
        await uow.restore(mark)
        await (await uow.connection()).execute(ledger.put("c"))
        await uow.commit(Changes([claim()]))

    assert await ledger.ids() == ["a"] * before + ["c"]


async def test_a_broken_constraint_is_the_users_and_no_conflict(ledger):
    async with ledger.stores.begin() as uow:
        connection = await uow.connection()
        await connection.execute(ledger.put("secret-key"))
        with pytest.raises(ConstraintError) as broken:
            await connection.execute(ledger.put("secret-key"))

    assert not isinstance(broken.value, ConflictError)
    assert "secret-key" not in str(broken.value)
    assert broken.value.__cause__ is not None


async def test_a_constraint_that_waits_for_the_commit_fails_it(ledger):
    outbox = ledger.stores.outbox
    with pytest.raises(ConstraintError):
        async with ledger.stores.begin() as uow:
            connection = await uow.connection()
            await connection.execute(insert(ledger.entries).values(ledger_id="nobody"))
            await uow.commit(Changes([claim()], outbox=[ledger.leaving("e-1")]))

    assert not await ledger.stores.inbox.claimed([claim()])
    assert await outbox.unsent() == []
    assert not outbox.behind  # nothing is looked for, and nothing held back


async def test_rows_of_the_outbox_leave_after_the_commit(ledger):
    async with ledger.stores.begin() as uow:
        await (await uow.connection()).execute(ledger.put("a"))
        rows = await uow.commit(Changes([claim()], outbox=[ledger.leaving("e-1")]))

    assert [row.envelope.id for row in rows] == ["e-1"]
    assert [row.envelope.id for row in await ledger.stores.outbox.unsent()] == ["e-1"]
    assert await ledger.ids() == ["a"]


async def test_a_commit_that_has_begun_is_waited_for(ledger):
    async def work():
        async with ledger.stores.begin() as uow:
            await (await uow.connection()).execute(ledger.put("a"))
            ready.set()
            await uow.commit(Changes([claim()], outbox=[ledger.leaving("e-1")]))

    ready = asyncio.Event()
    task = asyncio.create_task(work())
    await ready.wait()
    await asyncio.sleep(0)  # the commit is on its way
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await ledger.ids() == ["a"]
    outbox = ledger.stores.outbox
    assert outbox.behind  # nobody was told of the row: it is looked for
    assert [row.envelope.id for row in await outbox.take()] == ["e-1"]


async def test_a_cancelled_unit_of_work_leaves_nothing_and_holds_nothing(ledger):
    async def work():
        async with ledger.stores.begin() as uow:
            await (await uow.connection()).execute(ledger.put("a"))
            ready.set()
            await asyncio.Event().wait()

    for _ in range(25):  # more than there are connections
        ready = asyncio.Event()
        task = asyncio.create_task(work())
        await ready.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert await ledger.ids() == []


async def test_a_statement_that_was_cut_off_fails_the_rest(ledger):
    async with ledger.stores.begin() as uow:
        connection = await uow.connection()
        task = asyncio.create_task(connection.execute(ledger.put("a")))
        await asyncio.sleep(0)  # it is on its way
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(StatementError, match="was cut off"):
            await uow.commit(Changes([claim()]))

    assert await ledger.ids() == []


async def test_statements_of_several_tasks_run_one_after_the_other(ledger):
    async with ledger.stores.begin() as uow:
        connection = await uow.connection()
        keys = [f"{number:02}" for number in range(20)]
        await asyncio.gather(*(connection.execute(ledger.put(key)) for key in keys))
        await uow.commit(Changes())

    assert await ledger.ids() == keys


@pytest.mark.parametrize(
    "statement",
    [
        "COMMIT",
        "commit",
        " -- now\n /* really\n */ ; ROLLBACK",
        "BEGIN",
        "START TRANSACTION",
        "SAVEPOINT a",
        "RELEASE a",
        "END",
        "ABORT",
        "PREPARE TRANSACTION 'a'",
        "SET search_path = elsewhere",
        "RESET ALL",
        "DISCARD ALL",
        "LISTEN a",
    ],
)
async def test_a_statement_cannot_touch_the_transaction(ledger, statement):
    async with ledger.stores.begin() as uow:
        connection = await uow.connection()
        await connection.execute(ledger.put("a"))
        with pytest.raises(StatementError, match="cannot begin or end transactions"):
            await connection.execute(statement)

    assert await ledger.ids() == []


async def test_50_handlers_on_two_connections_all_come_through(instances):
    ledger = await opened(instances, pool_size=2)
    column = ledger.table.c
    add = (
        update(ledger.table)
        .where(column.id == bindparam("key"))
        .values(amount=column.amount + bindparam("more", type_=Numeric))
        .returning(column.amount)
    )
    async with ledger.stores.begin() as uow:
        await (await uow.connection()).execute(ledger.put("a", amount=0))
        await uow.commit(Changes())

    async def handle(number):
        async with ledger.stores.begin() as uow:
            await uow.claimed([claim(f"m-{number}")])
            connection = await uow.connection()
            ((before,),) = await connection.execute(add, {"key": "a", "more": 1})
            assert await uow.reads.find(instances.Listing, "a") is None
            assert await uow.row(instances.Listing, f"b-{number}") == (0, None)
            assert not await uow.claimed([claim(f"m-{number}")])
            await uow.commit(
                Changes(
                    [claim(f"m-{number}")],
                    rows=[listing(instances, key=f"b-{number}")],
                    outbox=[ledger.leaving(f"e-{number}")],
                )
            )
            return before

    async with asyncio.timeout(60):
        found = await asyncio.gather(*(handle(number) for number in range(50)))

    assert sorted(found) == list(range(1, 51))


async def test_on_sqlite_others_commit_when_it_has_ended(ledger):
    if ledger.stores._open.database.product != "sqlite":
        pytest.skip("on PostgreSQL others commit meanwhile")
    ended = []

    async def other():
        async with ledger.stores.begin() as uow:
            await uow.commit(Changes([claim()]))
        ended.append("other")

    async with ledger.stores.begin() as uow:
        connection = await uow.connection()
        task = asyncio.create_task(other())
        await asyncio.sleep(0)
        await connection.execute(ledger.put("a"))
        await connection.execute(ledger.put("b"))
        ended.append("first")
        await uow.commit(Changes())
    await task

    assert ended == ["first", "other"]


async def test_a_statement_that_rolls_everything_back_is_a_conflict(ledger):
    if ledger.stores._open.database.product != "sqlite":
        pytest.skip("only SQLite has INSERT OR ROLLBACK")
    async with ledger.stores.begin() as uow:
        connection = await uow.connection()
        await connection.execute(ledger.put("a"))
        mark = await uow.save()
        with pytest.raises(ConstraintError):
            await connection.execute(f"INSERT OR ROLLBACK INTO {ledger.name} VALUES ('a', 2)")
        with pytest.raises(ConflictError, match="rolled the transaction back"):
            await uow.restore(mark)

    assert await ledger.ids() == []


async def test_a_deadlock_is_a_conflict(ledger):
    if ledger.stores._open.database.product != "postgresql":
        pytest.skip("on SQLite nobody else writes meanwhile")
    add = update(ledger.table).values(amount=2)
    async with ledger.stores.begin() as uow:
        connection = await uow.connection()
        await connection.execute(ledger.put("a"))
        await connection.execute(ledger.put("b"))
        await uow.commit(Changes())
    meeting = asyncio.Barrier(2)

    async def take(first, second):
        async with ledger.stores.begin() as uow:
            connection = await uow.connection()
            await connection.execute(add.where(ledger.table.c.id == first))
            await meeting.wait()
            await connection.execute(add.where(ledger.table.c.id == second))
            await uow.commit(Changes())

    found = await asyncio.gather(take("a", "b"), take("b", "a"), return_exceptions=True)

    assert sorted(type(each).__name__ for each in found) == ["ConflictError", "NoneType"]


async def test_a_savepoint_that_is_not_there_is_said_so(ledger):
    async with ledger.stores._open.database.transaction() as session:
        await session.save("here")
        await session.restore("here")
        with pytest.raises(Unfulfilled, match="there"):
            await session.restore("there")


async def test_steps_of_the_stores_that_meet_others_are_a_conflict(ledger):
    steps = ledger.stores.inbox.steps([claim()])
    async with ledger.stores.begin() as uow:
        connection = await uow.connection()
        await connection.run(steps)
        with pytest.raises(ConflictError) as lost:
            await connection.run(steps)
        with pytest.raises(ConflictError) as again:
            await uow.commit(Changes())

    assert again.value is lost.value
    assert not await ledger.stores.inbox.claimed([claim()])


async def test_a_lost_server_is_said_so_and_nothing_is_left(ledger):
    if ledger.stores._open.database.product != "postgresql":
        pytest.skip("SQLite has no server")
    other = await ledger.instances.open()
    with pytest.raises(DependencyError):
        async with ledger.stores.begin() as uow:
            connection = await uow.connection()
            await connection.execute(ledger.put("a"))
            ((pid,),) = await connection.execute("SELECT pg_backend_pid()")
            async with other.begin() as killer:
                await (await killer.connection()).execute(
                    "SELECT pg_terminate_backend(CAST(:pid AS integer))", {"pid": pid}
                )
            await connection.execute(ledger.put("b"))

    assert await ledger.ids() == []
