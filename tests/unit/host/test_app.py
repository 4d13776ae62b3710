from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol, runtime_checkable

import pytest
from msgspec.structs import replace

from sourceflow import (
    Aggregate,
    App,
    Command,
    Entity,
    Event,
    Key,
    Middleware,
    Reject,
    Saga,
    View,
    ViewModel,
    handles,
    projects,
    subscribes,
)
from sourceflow.errors import (
    AwsTransientError,
    HandlerEndedError,
    InvalidMessageError,
    NoHandlerError,
    NotFoundError,
    NotRunningError,
    RejectedError,
    SendManyError,
    UseSelfSendError,
)
from sourceflow.stores.memory import MemoryStores
from sourceflow.testing.clock import ManualClock


class Open(Command):
    account_id: Key[str]
    holder: str = "John Doe"


class Deposit(Command):
    account_id: Key[str]
    amount: Decimal


class Opened(Event):
    account_id: Key[str]


class Account(Entity):
    id: Key[str]
    holder: str
    balance: Decimal = Decimal(0)


class Row(ViewModel, indexes=("holder",)):
    id: Key[str]
    holder: str = ""


class AccountSaga(Saga[Account]):
    @handles(creates=True)
    async def open(self, command: Open) -> Account:
        if not command.holder:
            raise Reject("no holder")
        self.raise_event(Opened(account_id=command.account_id))
        return Account(id=command.account_id, holder=command.holder)

    @handles
    def deposit(self, account: Account, command: Deposit) -> Account:
        return replace(account, balance=account.balance + command.amount)


class Rows(View[Row]):
    @projects
    async def opened(self, event: Opened) -> Row:
        return Row(id=event.account_id, holder="John Doe")


class Accounts(Aggregate[Account]):
    async def open(self, account_id: str) -> str:
        return await self.send(Open(account_id=account_id))


COMPONENTS = (AccountSaga, Rows, Accounts)


def make(*more, **options):
    return App([*COMPONENTS, *more], name="bank", **options)


@pytest.fixture
async def app():
    async with make() as running:
        yield running


# The life of an App


async def test_an_app_starts_on_entering_and_stops_on_leaving():
    app = make()
    assert repr(app) == "App('bank', 3 components, stopped)"
    async with app as entered:
        assert entered is app
        assert repr(app) == "App('bank', 3 components, running)"
    assert repr(app) == "App('bank', 3 components, stopped)"


async def test_a_transport_is_opened_before_it_listens_and_stopped_before_it_closes(wire):
    transport = wire()
    async with make().use(transport):
        assert transport.steps == ["open", "start"]
    assert transport.steps == ["open", "start", "stop", "aclose"]


async def test_a_transport_is_told_all_names_of_the_events_that_somebody_listens_to(wire):
    class Moved(Event, name="accounts.moved", aliases=("Moved", "AccountMoved")):
        account_id: Key[str]

    class Movers(Aggregate[Account]):
        @subscribes
        def moved(self, event: Moved) -> None: ...

    transport = wire()
    async with App([Movers], name="bank").use(transport):
        assert sorted(transport.context.subscribed) == ["AccountMoved", "Moved", "accounts.moved"]


async def test_what_the_body_raises_comes_out_as_it_is_and_the_app_stops(wire):
    transport = wire()
    app = make().use(transport)
    with pytest.raises(LookupError, match="mine"):
        async with app:
            raise LookupError("mine")
    assert transport.steps[-2:] == ["stop", "aclose"]
    with pytest.raises(NotRunningError):
        await app.send(Open(account_id="a-1"))


async def test_a_transport_that_does_not_open_leaves_the_app_stopped(wire):
    class Broken(wire):
        async def open(self, context):
            raise AwsTransientError("away", code="Timeout")

    app = make().use(Broken())
    with pytest.raises(AwsTransientError, match="away"):
        await app.__aenter__()
    assert repr(app).endswith("stopped)")
    with pytest.raises(NotRunningError):
        await app.find(Account, "a-1")


async def test_a_transport_that_does_not_listen_is_closed_again(wire):
    class Deaf(wire):
        async def start(self, receive):
            raise AwsTransientError("away", code="Timeout")

    transport = Deaf()
    with pytest.raises(AwsTransientError):
        await make().use(transport).__aenter__()
    assert transport.steps == ["open", "aclose"]


async def test_leaving_waits_for_what_was_caused():
    done = asyncio.Event()
    entered = asyncio.Event()

    class Slow(Aggregate[Account]):
        @subscribes
        async def opened(self, event: Opened) -> None:
            entered.set()
            await asyncio.sleep(0.01)
            done.set()

    async with make(Slow) as app:
        await app.send(Open(account_id="a-1"))
        await entered.wait()
        assert not done.is_set()
    assert done.is_set()


async def test_an_app_does_not_start_twice(app):
    with pytest.raises(RuntimeError, match="the App 'bank' is running"):
        await app.__aenter__()
    await app.send(Open(account_id="a-1"))  # the first goes on


async def test_an_app_may_start_again_after_it_has_stopped():
    app = make()
    async with app:
        await app.send(Open(account_id="a-1"))
    async with app:
        assert await app.find(Account, "a-1") is not None
        await app.send(Open(account_id="a-2"))


async def call_all(app):
    yield app.send(Open(account_id="a-1"))
    yield app.send_many([Open(account_id="a-1")])
    yield app.find(Account, "a-1")
    yield app.get(Account, "a-1")
    yield app.query(Row)
    yield app.replay(Account, "a-1")
    yield app.rebuild(Rows)
    yield app.drained()


@pytest.mark.parametrize("used_before", [False, True])
async def test_an_app_that_does_not_run_says_so(used_before):
    app = make()
    if used_before:
        async with app:
            pass
    async for call in call_all(app):
        with pytest.raises(NotRunningError, match="the App 'bank' is not running: use it inside"):
            await call
    with pytest.raises(NotRunningError):
        app.aggregate(Accounts)


async def test_an_aggregate_that_outlives_the_app_says_so():
    async with make() as app:
        accounts = app.aggregate(Accounts)
    with pytest.raises(NotRunningError):
        await accounts.open("a-1")


async def test_a_transport_is_chosen_once_and_before_the_start(wire, app):
    with pytest.raises(RuntimeError, match="'bank' is running: choose a transport before"):
        app.use(wire())
    other = make().use(wire())
    with pytest.raises(RuntimeError, match="'bank' has a transport already"):
        other.use(wire())


@pytest.mark.parametrize("name", ["", "a b", "-a", "a.b", "x" * 65, "ü", None, 5])
def test_a_name_that_cannot_name_a_queue_is_refused(name):
    with pytest.raises(ValueError, match="the App's name"):
        App(COMPONENTS, name=name)


# Sending


async def test_send_returns_after_the_commit_with_the_id(app):
    message_id = await app.send(Open(account_id="a-1"))
    assert isinstance(message_id, str)
    assert await app.find(Row, "a-1") == Row(id="a-1", holder="John Doe")


async def test_one_id_means_one_effect(app):
    await app.send(Open(account_id="a-1"))
    for _ in range(2):
        given = await app.send(Deposit(account_id="a-1", amount=Decimal(500)), message_id="m-1")
        assert given == "m-1"
    assert (await app.get(Account, "a-1")).balance == 500


async def test_send_raises_what_the_handler_raised(app):
    with pytest.raises(NotFoundError, match="Account 'a-9'"):
        await app.send(Deposit(account_id="a-9", amount=Decimal(1)))
    with pytest.raises(RejectedError, match="no holder") as rejected:
        await app.send(Open(account_id="a-1", holder=""))
    assert rejected.value.reason == "no holder"


async def test_headers_reach_the_handler():
    seen = []

    class Look(Command):
        at: Key[str]

    class Headers(Saga[None]):
        @handles
        async def look(self, command: Look) -> None:
            seen.append((self.context.headers, self.context.message_id))

    async with App([Headers], name="bank") as app:
        message_id = await app.send(Look(at="x"), headers={"tenant": "t-1"})
    assert seen == [({"tenant": "t-1"}, message_id)]


class Unknown(Command):
    some_id: Key[str]


class When(Command):
    account_id: Key[str]
    at: datetime


class WhenSaga(Saga[Account]):
    @handles
    async def when(self, account: Account | None, command: When) -> None: ...


BAD = {
    "no message": (object, {}, InvalidMessageError, "a value of type object is no command"),
    "a message type": (
        lambda: Open,
        {},
        InvalidMessageError,
        "the class Open itself is no command",
    ),
    "None": (lambda: None, {}, InvalidMessageError, "a value of type NoneType is no command"),
    "an event": (lambda: Opened(account_id="a"), {}, InvalidMessageError, "send takes commands"),
    "without a handler": (lambda: Unknown(some_id="a"), {}, NoHandlerError, "neither a handler"),
    "an empty key": (lambda: Open(account_id=""), {}, InvalidMessageError, "account_id"),
    "a key that is None": (lambda: Open(account_id=None), {}, InvalidMessageError, "account_id"),
    "a key of another type": (lambda: Open(account_id=7), {}, InvalidMessageError, "account_id"),
    "a missing key": (Open, {}, TypeError, "account_id"),
    "a field of another type": (
        lambda: Deposit(account_id="a", amount="much"),
        {},
        InvalidMessageError,
        "amount",
    ),
    "NaN": (
        lambda: Deposit(account_id="a", amount=Decimal("NaN")),
        {},
        InvalidMessageError,
        "amount",
    ),
    "a naive datetime": (
        lambda: When(account_id="a", at=datetime(2026, 1, 1)),  # noqa: DTZ001
        {},
        ValueError,
        "at",
    ),
    "an empty id": (lambda: Open(account_id="a"), {"message_id": ""}, ValueError, "id"),
    "an id that is no text": (
        lambda: Open(account_id="a"),
        {"message_id": 5},
        (TypeError, ValueError),
        "id",
    ),
    "a header's bad name": (
        lambda: Open(account_id="a"),
        {"headers": {"Bad Name": "x"}},
        ValueError,
        "Bad Name",
    ),
    "a header of another type": (
        lambda: Open(account_id="a"),
        {"headers": {"tenant": 5}},
        (TypeError, ValueError),
        "tenant",
    ),
}


@pytest.mark.parametrize("case", BAD)
async def test_bad_input_is_refused_with_nothing_done(case):
    make_command, options, error, named = BAD[case]
    stores = MemoryStores()
    async with make(WhenSaga, stores=stores) as app:
        with pytest.raises(error, match=named):
            await app.send(make_command(), **options)
        assert await app.find(Account, "a") is None
        assert await stores.events.position() == 0


@pytest.mark.parametrize("bad", [Unknown(some_id="a"), object(), Opened(account_id="a")])
async def test_one_bad_command_keeps_all_of_send_many_back(app, wire, bad):
    with pytest.raises((NoHandlerError, InvalidMessageError)):
        await app.send_many([Open(account_id="a-1"), bad])
    assert await app.find(Account, "a-1") is None

    transport = wire(commands={Open: "accounts.fifo"})
    async with make().use(transport) as routed:
        with pytest.raises((NoHandlerError, InvalidMessageError)):
            await routed.send_many([Open(account_id="a-1"), bad])
    assert transport.sent == []


async def test_send_many_returns_the_ids_in_order(app):
    ids = await app.send_many([Open(account_id=f"a-{number}") for number in range(5)])
    assert len(set(ids)) == 5
    assert await app.send_many([]) == []
    assert [row.id for row in await app.query(Row)] == [f"a-{number}" for number in range(5)]


async def test_send_many_names_what_failed_and_does_the_rest(app):
    with pytest.raises(SendManyError, match="no holder") as raised:
        await app.send_many(
            [Open(account_id="a-1"), Open(account_id="a-2", holder=""), Open(account_id="a-3")]
        )
    assert [type(error) for error in raised.value.failed.values()] == [RejectedError]
    assert [row.id for row in await app.query(Row)] == ["a-1", "a-3"]


async def test_a_routed_command_goes_to_its_queue_and_is_not_handled_here(wire):
    transport = wire(commands={Open: "accounts.fifo"})
    async with make().use(transport) as app:
        message_id = await app.send(Open(account_id="a-1"))
        await app.send_many([Open(account_id="a-2"), Open(account_id="a-3")])
        assert await app.find(Account, "a-1") is None
    assert [each.destination.name for each in transport.sent] == ["accounts.fifo"] * 3
    assert transport.sent[0].envelope.id == message_id


async def test_a_queue_that_does_not_confirm_raises(wire):
    transport = wire(commands={Open: "accounts.fifo"})
    transport.error = AwsTransientError("away", code="Timeout")
    async with make().use(transport) as app:
        with pytest.raises(AwsTransientError):
            await app.send(Open(account_id="a-1"))
        with pytest.raises(SendManyError, match="2 message"):
            await app.send_many([Open(account_id="a-1"), Open(account_id="a-2")])


async def test_sending_past_the_handler_is_refused():
    raised = []

    class Holder:
        app: App

    class Nosy(Saga[None]):
        def __init__(self, holder: Holder) -> None:
            self.app = holder.app

        @handles
        async def nosy(self, command: Unknown) -> None:
            for call in (
                self.app.send(Open(account_id="a-1")),
                self.app.send_many([Open(account_id="a-1")]),
                self.app.aggregate(Accounts).open("a-1"),
            ):
                with pytest.raises(UseSelfSendError, match=r"use self\.send") as error:
                    await call
                raised.append(error)

    holder = Holder()
    async with make(Nosy, services=[holder]) as app:
        holder.app = app
        await app.send(Unknown(some_id="x"))
        assert await app.find(Account, "a-1") is None
    assert len(raised) == 3


async def test_what_a_task_sends_that_outlives_its_handler_is_refused_and_not_lost_silently():
    late = []

    class Hasty(Saga[None]):
        @handles
        async def hasty(self, command: Unknown) -> None:
            await self.send(Open(account_id="in-time"))
            late.append(asyncio.create_task(self._later()))

        async def _later(self) -> None:
            await asyncio.sleep(0.01)
            with pytest.raises(HandlerEndedError, match="Opened came after"):
                self.raise_event(Opened(account_id="late"))
            await self.send(Open(account_id="late"))

    async with make(Hasty) as app:
        await app.send(Unknown(some_id="x"))
        with pytest.raises(HandlerEndedError, match="Open came after"):
            await late[0]
        await app.drained()
        assert await app.find(Account, "in-time") is not None
        assert await app.find(Account, "late") is None


# Reading


async def test_find_get_and_query_read_what_is_committed(app):
    await app.send_many([Open(account_id="a-1"), Open(account_id="a-2")])
    assert (await app.get(Account, "a-1")).holder == "John Doe"
    assert await app.find(Account, "a-9") is None
    assert await app.find(Row, "a-9") is None
    with pytest.raises(NotFoundError, match="Row 'a-9' does not exist"):
        await app.get(Row, "a-9")
    assert [row.id for row in await app.query(Row, where={"holder": "John Doe"}, limit=1)] == [
        "a-1"
    ]
    with pytest.raises(ValueError, match="cannot be queried by 'nothing'"):
        await app.query(Row, where={"nothing": 1})


async def test_an_aggregate_sends_at_the_edge_and_reads(app):
    accounts = app.aggregate(Accounts)
    await accounts.open("a-1")
    assert await accounts.find(Account, "a-1") == await app.get(Account, "a-1")
    assert await accounts.get(Row, "a-1") == (await accounts.query(Row))[0]
    with pytest.raises(RuntimeError, match=r"self\.context belongs to handlers"):
        _ = accounts.context


async def test_what_is_no_part_of_the_app_is_not_found(app):
    class Others(Aggregate[Account]):
        pass

    class OtherRows(View[Row]):
        pass

    with pytest.raises(LookupError, match="Others is not among the components of the App 'bank'"):
        app.aggregate(Others)
    with pytest.raises(LookupError, match="OtherRows is not among the views of the App 'bank'"):
        await app.rebuild(OtherRows)
    with pytest.raises(LookupError, match="AccountSaga is not among the views"):
        await app.rebuild(AccountSaga)


async def test_replay_and_rebuild_leave_everything_as_it_was(app):
    await app.send(Open(account_id="a-1"))
    await app.send(Deposit(account_id="a-1", amount=Decimal(5)))
    before = await app.get(Account, "a-1"), await app.query(Row)
    assert (await app.replay(Account, "a-1")).commands == 2
    assert (await app.rebuild(Rows)).events == 1
    assert before == (await app.get(Account, "a-1"), await app.query(Row))


# Services


@runtime_checkable
class Rates(Protocol):
    def rate(self) -> int: ...


class Fixed:
    def rate(self) -> int:
        return 7


async def test_services_are_found_by_class_by_protocol_or_by_default():
    seen = []

    class Uses(Saga[None]):
        def __init__(
            self, fixed: Fixed, rates: Rates, numbers: list[int] | None = None, *, count: int = 3
        ) -> None:
            seen.append((fixed, rates, numbers, count))

        @handles
        async def use(self, command: Unknown) -> None: ...

    fixed = Fixed()
    async with App([Uses], name="bank", services=[fixed]) as app:
        await app.send(Unknown(some_id="x"))
        await app.send(Unknown(some_id="y"))
    assert seen == [(fixed, fixed, None, 3)] * 2


def test_a_service_that_is_not_clear_is_a_fault():
    class Uses(Aggregate[Account]):
        def __init__(self, fixed: Fixed) -> None: ...

    with pytest.raises(Exception, match="asks for a Fixed; 2 of the App's services are one"):
        App([Uses], name="bank", services=[Fixed(), Fixed()]).check()


# Describing and draining


async def test_an_app_describes_itself(wire):
    transport = wire(commands={Open: "accounts.fifo"}, events={Opened: "account-events"})
    assert make().use(transport).describe() == {
        "app": "bank",
        "stores": repr(MemoryStores()),
        "idempotency": {"service": "InMemoryIdempotency()", "claims messages": False},
        "commands": [
            {
                "name": "Deposit",
                "version": 1,
                "handler": "AccountSaga.deposit",
                "entity": "Account",
                "queue": None,
            },
            {
                "name": "Open",
                "version": 1,
                "handler": "AccountSaga.open",
                "entity": "Account",
                "queue": "accounts.fifo",
            },
        ],
        "events": [
            {
                "name": "Opened",
                "version": 1,
                "topic": "account-events",
                "subscribers": [{"name": "Rows.opened", "runs": "in the command's transaction"}],
            }
        ],
        "transport": {"kind": "wire"},
        "warnings": [],
    }


async def test_a_drained_app_returns_at_once(app):
    await app.send(Open(account_id="a-1"))
    await app.drained(timeout=timedelta(seconds=5))


async def test_what_is_left_is_named_with_its_place(wire):
    go = asyncio.Event()

    class Stuck(Aggregate[Account]):
        @subscribes(name="stuck")
        async def opened(self, event: Opened) -> None:
            await go.wait()

    transport = wire(listens=("accounts.fifo",))
    transport.waiting = (("accounts.fifo", 3),)
    clock = ManualClock()
    async with make(Stuck, clock=clock).use(transport) as app:
        await app.send(Open(account_id="a-1"))
        waiting = asyncio.ensure_future(app.drained(timeout=2))
        await clock.advance(timedelta(seconds=3))
        with pytest.raises(TimeoutError) as raised:
            await waiting
        go.set()
    assert str(raised.value) == (
        "not drained within 0:00:02: 1 message(s) on their way to subscriber:stuck; "
        "queue accounts.fifo: 3 visible, 0 in flight, 0 delayed"
    )


async def test_queues_that_cannot_be_looked_at_for_a_while_are_looked_at_again(wire):
    transport = wire(listens=("accounts.fifo",))
    clock = ManualClock()
    async with make(clock=clock).use(transport) as app:
        transport.unseen = AwsTransientError("cannot connect", code="ConnectionFailed")
        waiting = asyncio.ensure_future(app.drained(timeout=2))
        await clock.advance(timedelta(seconds=1))
        assert not waiting.done()
        transport.unseen = None
        await clock.advance(timedelta(seconds=1))
        await waiting


async def test_queues_that_stay_out_of_sight_are_named(wire):
    transport = wire(listens=("accounts.fifo",))
    clock = ManualClock()
    async with make(clock=clock).use(transport) as app:
        transport.unseen = AwsTransientError("cannot connect", code="ConnectionFailed")
        waiting = asyncio.ensure_future(app.drained(timeout=2))
        await clock.advance(timedelta(seconds=3))
        with pytest.raises(TimeoutError, match=r"the queues cannot be looked at: .*cannot connect"):
            await waiting


async def test_an_own_event_that_has_not_come_back_is_waited_for(wire):
    transport = wire(events={Opened: "account-events"}, subscribes=("account-events",))
    clock = ManualClock()
    async with make(clock=clock).use(transport) as app:
        await app.send(Open(account_id="a-1"))
        waiting = asyncio.ensure_future(app.drained(timeout=2))
        await clock.advance(timedelta(seconds=3))
        with pytest.raises(TimeoutError, match=r"1 published event\(s\) that have not come back"):
            await waiting


def test_a_middleware_is_no_transport():
    class Timing(Middleware):
        pass

    with pytest.raises(TypeError, match=r"Timing is a middleware: give it to App\(middleware="):
        make().use(Timing())
