"""The journey of an event to its subscribers."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from sourceflow import (
    DELETE,
    Aggregate,
    Command,
    Discard,
    Entity,
    Event,
    Key,
    Reject,
    Retry,
    Saga,
    View,
    ViewModel,
    handles,
    projects,
    subscribes,
)
from sourceflow.bus.changes import Claim, Stream
from sourceflow.errors import ConflictError, DependencyError
from sourceflow.messages import Envelope
from sourceflow.testing.clock import ManualClock


class Sell(Command):
    id: Key[str]
    country: str = "Chile"


class Thank(Command):
    id: Key[str]


class Sold(Event):
    id: Key[str]
    country: str = "Chile"


class Sale(Entity):
    id: Key[str]


class Summary(ViewModel):
    id: Key[str]
    sales: int = 0


class Country(ViewModel):
    name: Key[str]
    sales: int = 0


class Script:
    """Who was run, and what is raised where."""

    def __init__(self):
        self.ran = []
        self.errors = {}
        self.before = None

    async def __call__(self, name):
        self.ran.append(name)
        if self.before is not None:
            await self.before(name)
        if self.errors.get(name):
            raise self.errors[name].pop(0)


class Sales(Saga[Sale]):
    @handles
    def sell(self, command: Sell) -> Sale:
        self.raise_event(Sold(id=command.id, country=command.country))
        return Sale(id=command.id)

    @handles
    def thank(self, command: Thank) -> None:
        pass


class Thanks(Aggregate[Sale]):
    def __init__(self, script: Script) -> None:
        self.script = script

    @subscribes
    async def sold(self, event: Sold) -> None:
        await self.send(Thank(id=event.id))
        await self.script("thanks")


class Summaries(View[Summary]):
    def __init__(self, script: Script) -> None:
        self.script = script

    @projects
    async def sold(self, row: Summary | None, event: Sold) -> Summary:
        await self.script("summaries")
        row = row or Summary(id=event.id)
        return replace(row, sales=row.sales + 1)


class Countries(View[Country], lifecycle="async"):
    def __init__(self, script: Script) -> None:
        self.script = script

    @projects(key=lambda event: event.country, name="by-country")
    async def sold(self, row: Country | None, event: Sold) -> Country:
        await self.script("by-country")
        return Country(name=event.country, sales=(row.sales if row else 0) + 1)


ALL = ("Thanks.sold", "Summaries.sold", "by-country")


@pytest.fixture
def script():
    return Script()


@pytest.fixture
async def bench(start, script):
    return await start(Sales, Thanks, Summaries, Countries, services=[script])


def arrived(message_id="e-1", key="s-1", country="Chile"):
    return Envelope(
        message=Sold(id=key, country=country),
        id=message_id,
        source="/crm",
        time=ManualClock().now(),
        correlation_id=message_id,
    )


async def deliver(bench, event, *subscribers, **options):
    return await bench.engine.events.deliver(event, subscribers or None, arrived=True, **options)


async def claimed(bench, event):
    claims = [Claim(event.source, event.id, name) for name in ALL]
    return {claim.subscriber for claim in await bench.stores.inbox.claimed(claims)}


async def test_an_inline_view_is_there_when_send_returns_and_the_others_come_after(bench, script):
    await bench.app.send(Sell(id="s-1"))
    assert script.ran == ["summaries"]
    assert await bench.app.get(Summary, "s-1") == Summary(id="s-1", sales=1)
    assert await bench.app.find(Country, "Chile") is None
    await bench.relay.idle()
    assert sorted(script.ran) == ["by-country", "summaries", "thanks"]
    assert await bench.app.get(Country, "Chile") == Country(name="Chile", sales=1)
    assert await bench.stores.outbox.depth() == 0


async def test_an_arrived_event_runs_all_its_subscribers_once_however_often_it_comes(bench, script):
    event = arrived()
    first = await deliver(bench, event)
    again = await deliver(bench, event)
    assert sorted(script.ran) == ["by-country", "summaries", "thanks"]
    assert (first.fresh, again.fresh) == (True, False)
    assert sorted(first.done) == sorted(again.done) == sorted(ALL)
    assert again.rows == ()
    assert await claimed(bench, event) == set(ALL)


async def test_the_same_id_of_another_source_is_another_event(bench, script):
    await deliver(bench, arrived())
    await deliver(bench, replace(arrived(), source="/erp"))
    assert (await bench.app.get(Summary, "s-1")).sales == 2


@pytest.mark.parametrize("failing", ["thanks", "summaries", "by-country"])
async def test_a_failing_subscriber_takes_nothing_with_it_and_is_run_alone_the_next_time(
    bench, script, failing
):
    names = dict(zip(("thanks", "summaries", "by-country"), ALL, strict=True))
    script.errors[failing] = [ValueError("no")]
    event = arrived()
    first = await deliver(bench, event)
    assert [name for name, _ in first.failed] == [names[failing]]
    assert set(first.done) == set(ALL) - {names[failing]}
    assert await claimed(bench, event) == set(first.done)
    assert len(first.rows) == (0 if failing == "thanks" else 1)
    script.ran.clear()
    again = await deliver(bench, event)
    assert script.ran == [failing]
    assert again.failed == []
    assert await claimed(bench, event) == set(ALL)
    assert (await bench.app.get(Summary, "s-1")).sales == 1
    assert (await bench.app.get(Country, "Chile")).sales == 1


async def test_only_the_named_subscribers_are_run(bench, script):
    event = arrived()
    await deliver(bench, event, "Summaries.sold")
    assert script.ran == ["summaries"]
    assert await claimed(bench, event) == {"Summaries.sold"}


async def test_a_discarding_subscriber_is_done_without_an_effect(bench, script):
    script.errors["summaries"] = [Discard("old")]
    event = arrived()
    delivered = await deliver(bench, event)
    assert set(delivered.done) == set(ALL)
    assert await claimed(bench, event) == set(ALL)
    assert await bench.app.find(Summary, "s-1") is None
    assert ("Sold", "Summaries.sold") not in bench.ears.of("projected")


async def test_a_dependency_that_is_away_stops_the_whole_delivery(bench, script):
    script.errors["by-country"] = [DependencyError("away")]
    event = arrived()
    with pytest.raises(DependencyError):
        await deliver(bench, event)
    assert await claimed(bench, event) == set()
    assert await bench.app.find(Summary, "s-1") is None


async def test_if_all_fail_nothing_is_written(bench, script):
    for name in ("thanks", "summaries", "by-country"):
        script.errors[name] = [ValueError()]
    event = arrived()
    delivered = await deliver(bench, event)
    assert (delivered.done, delivered.fresh, len(delivered.failed)) == ([], False, 3)
    assert await bench.events() == []


async def test_an_arrived_event_that_a_view_uses_is_logged_without_a_stream(bench):
    event = arrived()
    await deliver(bench, event)
    await deliver(bench, event)
    assert await bench.events() == [(1, event, None)]


async def test_an_arrived_event_that_no_view_uses_is_not_logged(start, script):
    bench = await start(Sales, Thanks, services=[script])
    await deliver(bench, arrived())
    assert script.ran == ["thanks"]
    assert await bench.events() == []


async def test_what_a_subscriber_sends_leaves_with_its_claim(bench):
    (row,) = (await deliver(bench, arrived(), "Thanks.sold")).rows
    assert (row.envelope.type_name, row.envelope.causation_id) == ("Thank", "e-1")
    assert row.stream == Stream("Thanks.sold", "s-1")


async def test_a_key_function_may_name_several_rows_and_each_is_run_once(start, script):
    class Totals(View[Country]):
        @projects(key=lambda event: (each for each in (event.country, "all", "all")))
        def sold(self, row: Country | None, event: Sold):
            script.ran.append(row and row.name)
            return row and replace(row, sales=row.sales + 1)

    class Seeds(View[Country]):
        @projects(key=lambda event: ["all", event.country])
        def sold(self, row: Country | None, event: Sold):
            return None

    bench = await start(Sales, Totals, Seeds, services=[script])
    await bench.app.send(Sell(id="s-1"))
    assert script.ran == [None, None]


async def test_a_key_function_that_raises_fails_its_own_subscriber_alone(start, script):
    class Broken(View[Country]):
        @projects(key=lambda event: 1 / 0)
        def sold(self, event: Sold) -> Country:
            return Country(name="never")

    bench = await start(Sales, Summaries, Broken, services=[script])
    delivered = await deliver(bench, arrived())
    assert [name.rpartition(".")[2] for name, _ in delivered.failed] == ["sold"]
    assert delivered.done == ["Summaries.sold"]


async def test_projections_of_one_transaction_see_each_others_rows(start):
    class First(View[Country]):
        @projects(key=lambda event: event.country)
        def sold(self, event: Sold) -> Country:
            return Country(name=event.country, sales=10)

    class Second(View[Country]):
        @projects(key=lambda event: event.country)
        def sold(self, row: Country, event: Sold) -> Country:
            return replace(row, sales=row.sales + 1)

    bench = await start(Sales, First, Second)
    await deliver(bench, arrived())
    assert (await bench.app.get(Country, "Chile")).sales == 11


async def test_a_projection_may_remove_its_row_or_leave_it(start):
    results = [Country(name="Chile", sales=1), None, DELETE]

    class Any(View[Country]):
        @projects(key=lambda event: event.country)
        def sold(self, event: Sold):
            return results.pop(0)

    bench = await start(Sales, Any)
    seen = []
    for number in range(3):
        await deliver(bench, arrived(f"e-{number}"))
        seen.append(await bench.app.find(Country, "Chile"))
    assert seen == [Country(name="Chile", sales=1), Country(name="Chile", sales=1), None]


async def test_50_events_at_once_on_one_row_all_count(bench, script):
    async def pause(name):
        await asyncio.sleep(0)

    script.before = pause
    async with asyncio.TaskGroup() as tasks:
        for number in range(50):
            tasks.create_task(deliver(bench, arrived(f"e-{number}", f"s-{number}")))
    assert (await bench.app.get(Country, "Chile")).sales == 50
    assert len(bench.locks) == 0


async def test_an_event_that_came_twice_at_once_has_one_effect(bench, script):
    async def pause(name):
        await asyncio.sleep(0)

    script.before = pause
    await asyncio.gather(*(deliver(bench, arrived()) for _ in range(3)))
    assert (await bench.app.get(Country, "Chile")).sales == 1
    assert (await bench.app.get(Summary, "s-1")).sales == 1


async def test_two_at_once_without_a_common_row_lock_still_have_one_effect(start, script):
    bench = await start(Sales, Thanks, services=[script])

    async def pause(name):
        await asyncio.sleep(0)

    script.before = pause
    work = asyncio.gather(*(deliver(bench, arrived()) for _ in range(2)))
    await bench.wait(seconds=1)
    one, other = await work
    assert {one.fresh, other.fresh} == {True, False}
    assert len([*one.rows, *other.rows]) == 1


@pytest.mark.parametrize("rounds", range(6))
async def test_cancellation_leaves_no_lock_and_all_or_nothing(bench, script, rounds):
    async def pause(name):
        await asyncio.sleep(0)

    script.before = pause
    event = arrived()
    task = asyncio.create_task(deliver(bench, event))
    for _ in range(rounds):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert await claimed(bench, event) in (set(), set(ALL))
    assert len(bench.locks) == 0


@pytest.mark.parametrize(
    ("errors", "outcome", "subscribers"),
    [
        ({"thanks": ValueError()}, "RetryLater", ("Thanks.sold",)),
        ({"thanks": Reject("no")}, "Rejected", ("Thanks.sold",)),
        ({"thanks": Retry(), "summaries": Reject("no")}, "RetryLater", ALL[:2]),
        ({"thanks": Reject("no"), "by-country": ConflictError()}, "RetryLater", (ALL[0], ALL[2])),
        ({"thanks": Discard("no")}, "Done", None),
        ({"thanks": DependencyError()}, "Paused", None),
    ],
)
async def test_the_outcome_names_the_subscribers_that_failed(
    bench, script, errors, outcome, subscribers
):
    script.errors = {name: [error] for name, error in errors.items()}
    received = await bench.receive(arrived())
    assert type(received).__name__ == outcome
    assert getattr(received, "subscribers", None) == subscribers


async def test_a_redriven_event_runs_only_the_subscribers_it_names(bench, script):
    script.errors["thanks"] = [Reject("no")]
    event = arrived()
    rejected = await bench.receive(event)
    script.ran.clear()
    outcome = await bench.receive(event, subscribers=rejected.subscribers)
    assert type(outcome).__name__ == "Done"
    assert script.ran == ["thanks"]


async def test_a_local_dead_letter_names_its_subscriber(bench, script):
    script.errors["by-country"] = [Reject("no")]
    await bench.app.send(Sell(id="s-1"))
    await bench.relay.idle()
    assert bench.ears.of("dead_lettered") == [("Sold", "local:subscriber:by-country")]
