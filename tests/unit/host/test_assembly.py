from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import pytest

from sourceflow import (
    Aggregate,
    App,
    Command,
    Entity,
    Event,
    Key,
    Saga,
    View,
    ViewModel,
    handles,
    projects,
    subscribes,
    upcasts,
)
from sourceflow.errors import WiringError


class Open(Command):
    account_id: Key[str]


class Close(Command):
    account_id: Key[str]


class Opened(Event):
    account_id: Key[str]
    country: str = ""


class Account(Entity):
    id: Key[str]
    balance: Decimal = Decimal(0)


class Row(ViewModel):
    id: Key[str]


class AccountSaga(Saga[Account]):
    @handles
    async def open(self, account: Account | None, command: Open) -> Account:
        self.raise_event(Opened(account_id=command.account_id))
        return Account(id=command.account_id)


class OtherSaga(Saga[Account]):
    @handles
    async def open_too(self, account: Account | None, command: Open) -> Account:
        return Account(id=command.account_id)


class ClosingSaga(Saga[Account]):
    @handles
    async def close(self, account: Account, command: Close) -> Account:
        return account


class Rows(View[Row]):
    @projects
    async def opened(self, event: Opened) -> Row:
        return Row(id=event.account_id)


class Closer(Aggregate[Account]):
    async def close(self, account_id: str) -> None:
        await self.send(Close(account_id=account_id))


class NoKey(Command):
    amount: int


class TwoKeys(Command):
    a: Key[str]
    b: Key[str]


class FloatKey(Command):
    a: Key[float]


class KeylessSaga(Saga[None]):
    @handles
    async def one(self, command: NoKey) -> None: ...

    @handles
    async def two(self, command: TwoKeys) -> None: ...

    @handles
    async def three(self, command: FloatKey) -> None: ...


class OpenByNumber(Command):
    account_id: Key[int]


class OpenByUuid(Command):
    account_id: Key[UUID]


class MixedSaga(Saga[Account]):
    @handles
    async def number(self, account: Account | None, command: OpenByNumber) -> None: ...

    @handles
    async def uuid(self, account: Account | None, command: OpenByUuid) -> None: ...


class UnresolvedSaga(Saga[Account]):
    @handles
    async def open(self, account: Account | None, command: Missing) -> None: ...  # noqa: F821


class SameName(Command, name="Open"):
    account_id: Key[str]


class SameNameSaga(Saga[Account]):
    @handles
    async def same(self, account: Account | None, command: SameName) -> None: ...


class ListSaga(Saga[Account]):
    @handles
    async def everything(self, account: Account, command: Opened) -> Account:
        return account


class EmptySaga(Saga[Account]):
    pass


class UnsaidSaga(Saga):
    @handles
    async def open(self, command: Open) -> None: ...


class TwoMessages(Saga[None]):
    @handles
    async def both(self, one: Open, two: Close) -> None: ...


class WrongMark(View[Row]):
    @handles
    async def opened(self, event: Opened) -> Row:
        return Row(id=event.account_id)


class OnlyFor:
    pass


class NeedsService(Aggregate[Account]):
    def __init__(self, service: OnlyFor) -> None:
        self.service = service


class Twins(Aggregate[Account]):
    @subscribes(name="twin")
    async def one(self, event: Opened) -> None: ...

    @subscribes(name="twin")
    async def two(self, event: Opened) -> None: ...


def faults(components, transport=None, **options):
    app = App(components, name="bank", **options)
    if transport is not None:
        app.use(transport)
    with pytest.raises(WiringError) as raised:
        app.check()
    return raised.value.faults


class Unsorted(ViewModel, indexes=("notes",)):
    id: Key[str]
    notes: list[str]


class UnsortedRows(View[Unsorted]):
    @projects
    def opened(self, event: Opened) -> Unsorted:
        return Unsorted(id=event.account_id, notes=[])


def test_an_index_that_no_store_can_sort_is_a_fault_of_its_view_model():
    (fault,) = (each for each in faults([UnsortedRows]) if "indexes=" in each)

    assert fault.startswith("Unsorted: indexes= names 'notes' of the type list[str], which cannot")


class Amended(Command, version=3):
    account_id: Key[str]


class AmendingSaga(Saga[Account]):
    @handles
    async def amend(self, account: Account, command: Amended) -> Account:
        return account


@upcasts(Amended, from_version=1)
def first(data: dict) -> dict:
    return data


@upcasts(Amended, from_version=2)
def second(data: dict) -> dict:
    return data


@upcasts(Amended, from_version=2)
def second_again(data: dict) -> dict:
    return data


@upcasts(Amended, from_version=3)
def third(data: dict) -> dict:
    return data


class UpcastingSaga(Saga[Account]):
    @handles
    async def amend(self, account: Account, command: Amended) -> Account:
        return account

    @staticmethod
    @upcasts(Amended, from_version=1)
    def first(data: dict) -> dict:
        return data


def unmarked(data: dict) -> dict:
    return data


FAULTS = {
    "an upcaster of a message that the App does not know": (
        [AccountSaga, first, second],
        (
            "first upcasts Amended from version 1, and no component or route of the App names that "
            "message"
        ),
    ),
    "an upcaster of the current version": (
        [AmendingSaga, first, second, third],
        "third upcasts Amended from version 3, and 3 is its current version",
    ),
    "two upcasters of one version": (
        [AmendingSaga, first, second, second_again],
        "second_again upcasts Amended from version 2, and so does second",
    ),
    "a version without an upcaster": (
        [AmendingSaga, first],
        (
            "no function upcasts Amended from version 2: there are some from 1, and each of its older "
            "versions needs one"
        ),
    ),
    "an upcaster that is a method": (
        [UpcastingSaga],
        (
            "UpcastingSaga.first is marked @upcasts: make it a function, and list it among the App's "
            "components"
        ),
    ),
    "a function that is not marked": (
        [AccountSaga, unmarked],
        "unmarked is neither a Saga, an Aggregate nor a View, nor marked @upcasts",
    ),
    "a command with neither handler nor route": (
        [AccountSaga, Closer],
        "Closer.close sends Close, which has neither a handler here nor a route to a queue",
    ),
    "a command listed with neither": (
        [AccountSaga, Close],
        "the App 'bank' sends Close, which has neither a handler here nor a route to a queue",
    ),
    "two sagas for one command": (
        [AccountSaga, OtherSaga],
        (
            "two sagas handle Open: AccountSaga.open and OtherSaga.open_too; "
            "a command is handled by exactly one"
        ),
    ),
    "a message without a key": (
        [KeylessSaga],
        "NoKey: it has no key: mark one field as Key[str], Key[int] or Key[UUID]",
    ),
    "a message with two keys": (
        [KeylessSaga],
        "TwoKeys: it has 2 keys (a, b): mark exactly one",
    ),
    "a key of a wrong type": (
        [KeylessSaga],
        "FloatKey: its key a must be a str, an int or a UUID",
    ),
    "mixed key types": (
        [AccountSaga, MixedSaga],
        (
            "keys of Account are of several types: str in Open, Account; int in OpenByNumber; "
            "UUID in OpenByUuid"
        ),
    ),
    "an unresolved hint": (
        [UnresolvedSaga],
        (
            "UnresolvedSaga.open: the hint 'Missing' does not resolve: import it at run time, not "
            "only under TYPE_CHECKING, and define it before the class"
        ),
    ),
    "a duplicate wire name": (
        [AccountSaga, SameNameSaga],
        "Open and SameName share the wire name 'Open': give one of them name=…",
    ),
    "an event for a saga": (
        [ListSaga],
        "ListSaga.everything takes the event Opened; @handles takes commands",
    ),
    "a saga without a handler": ([EmptySaga], "EmptySaga has no method marked @handles"),
    "a saga of nothing": ([UnsaidSaga], "UnsaidSaga does not say what it is of: write Saga[…]"),
    "a handler of two messages": (
        [TwoMessages],
        "TwoMessages.both: takes two messages; a handler takes one",
    ),
    "a decorator of another kind": (
        [WrongMark],
        "WrongMark.opened is marked @handles; a component of this kind takes @projects",
    ),
    "no component": ([int], "int is neither a Saga, an Aggregate nor a View"),
    "something else": (["text"], "'text' is neither a Saga, an Aggregate nor a View"),
    "an object of a component": (
        [AccountSaga()],
        "AccountSaga(…) is an object: list the class, without parentheses",
    ),
    "a service that is not there": (
        [AccountSaga, NeedsService],
        (
            "NeedsService.__init__: parameter 'service' asks for a OnlyFor; "
            "none of the App's services is one"
        ),
    ),
    "two subscribers of one name": (
        [AccountSaga, Twins],
        "two subscribers of Opened are named 'twin': give one of them name=…",
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_is_named(case):
    components, fault = FAULTS[case]
    assert fault in faults(components)


def test_every_fault_is_named_in_one_error(wire):
    transport = wire(commands={Close: "closing.fifo"}, listens=("closing.fifo", "nobody.fifo"))
    found = faults(
        [
            AccountSaga,
            OtherSaga,
            KeylessSaga,
            MixedSaga,
            UnresolvedSaga,
            SameNameSaga,
            OpenByUuid,
            Closer,
        ],
        transport,
    )
    for part in (
        "two sagas handle Open",
        "NoKey: it has no key",
        "TwoKeys: it has 2 keys",
        "keys of Account are of several types",
        "'Missing' does not resolve",
        "share the wire name 'Open'",
        "Close goes to the queue 'closing.fifo', which this App listens to, and no saga handles it",
    ):
        assert any(part in fault for fault in found), part
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("others", [[], [AccountSaga]])
def test_a_listened_queue_whose_commands_nobody_handles_is_a_fault(wire, others):
    transport = wire(commands={Open: "accounts.fifo"}, listens=("accounts.fifo", "other.fifo"))
    assert (
        "the App listens to the command queue 'other.fifo', and no saga here handles any command "
        "of it"
    ) in faults([*others], transport)


def test_a_queue_that_other_services_send_to_may_be_listened_to(wire):
    transport = wire(listens=("accounts.fifo",))
    assert App([ClosingSaga], name="bank").use(transport).check() == ()


@pytest.mark.parametrize(
    ("routes", "fault"),
    [
        ({"commands": {Opened: "q.fifo"}}, "the queue 'q.fifo' is a route for commands; "),
        ({"events": {Open: "topic"}}, "the topic 'topic' is a route for events; "),
        ({"commands": {int: "q.fifo"}}, "a route names int: int is no message"),
    ],
)
def test_a_route_of_another_kind_is_a_fault(wire, routes, fault):
    assert any(each.startswith(fault) for each in faults([AccountSaga], wire(**routes)))


async def test_a_faulty_app_starts_nothing(wire):
    transport = wire(commands={Close: "closing.fifo"}, listens=("closing.fifo",))
    app = App([AccountSaga], name="bank").use(transport)
    with pytest.raises(WiringError, match=r"1 fault\(s\) in the wiring:\n  - Close goes to"):
        async with app:
            pytest.fail("it started")
    assert transport.steps == []


class AsyncRows(View[Row], lifecycle="async"):
    @projects
    async def opened(self, event: Opened) -> Row:
        return Row(id=event.account_id)


class KeyedRows(View[Row]):
    @projects(key=lambda event: event.country)
    async def opened(self, event: Opened) -> Row:
        return Row(id=event.country)


class AsyncKeyedRows(View[Row], lifecycle="async"):
    @projects(key=lambda event: event.country)
    async def opened(self, event: Opened) -> Row:
        return Row(id=event.country)


EVENTS_ARRIVE = {"events": {Opened: "account-events"}, "subscribes": ("account-events",)}

WARNINGS = {
    "an event nobody hears": (
        [AccountSaga],
        EVENTS_ARRIVE,
        "nobody here listens to Opened, which arrives here",
    ),
    "inline views made async by the topology": (
        [AccountSaga, Rows],
        EVENTS_ARRIVE,
        (
            "Rows.opened is inline, but Opened reaches it through the topic 'account-events': "
            'its rows follow later (say lifecycle="async" to show it)'
        ),
    ),
    "commands of one entity in several queues": (
        [AccountSaga, ClosingSaga],
        {"commands": {Open: "opening.fifo", Close: "closing.fifo"}},
        (
            "commands of Account go to several queues (opening.fifo, closing.fifo): "
            "they may overtake each other"
        ),
    ),
    "commands in a standard queue": (
        [AccountSaga],
        {"commands": {Open: "accounts"}},
        (
            "commands of Account go to the standard queue 'accounts': they may overtake each other; "
            "a .fifo queue keeps their order"
        ),
    ),
    "an inline view with key=": (
        [AccountSaga, KeyedRows],
        {},
        (
            "KeyedRows.opened is inline and names its own rows with key=: commands of many entities "
            'will race for one row; lifecycle="async" avoids that'
        ),
    ),
}


@pytest.mark.parametrize("case", WARNINGS)
def test_what_may_not_be_meant_is_warned_of(wire, case):
    components, routes, warning = WARNINGS[case]
    assert warning in App(components, name="bank").use(wire(**routes)).check()


@pytest.mark.parametrize(
    ("components", "routes"),
    [
        ([AccountSaga, AsyncRows], EVENTS_ARRIVE),
        ([AccountSaga, Rows], {}),
        ([AccountSaga, AsyncKeyedRows], {}),
        (
            [AccountSaga, ClosingSaga, Rows],
            {"commands": {Open: "accounts.fifo", Close: "accounts.fifo"}},
        ),
    ],
)
def test_what_is_as_it_should_be_is_not_warned_of(wire, components, routes):
    assert App(components, name="bank").use(wire(**routes)).check() == ()


async def test_warnings_are_logged_at_the_start(caplog):
    async with App([AccountSaga, KeyedRows], name="bank"):
        pass
    assert "bank: KeyedRows.opened is inline and names its own rows" in caplog.text


def test_an_event_that_nobody_hears_in_one_process_is_warned_of():
    """The saga's method names the event it raises."""
    assert App([AccountSaga], name="bank").check() == (
        "nobody listens to Opened, which AccountSaga.open raises",
    )
