"""How checks are made, and what they come to."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest

from sourceflow import App, HealthEntry, HealthOptions, HealthReport, HealthStatus
from sourceflow.bus.ports import Finding, HealthCheck
from sourceflow.host.health import LIMIT, HealthRunner
from sourceflow.resilience.task_scope import TaskScope
from sourceflow.testing import ManualClock
from sourceflow.testing.clock import settle

HEALTHY, DEGRADED, UNHEALTHY = HealthStatus


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
async def runner(clock):
    async with TaskScope() as tasks:
        runner = HealthRunner(tasks, clock)
        yield runner
        runner.cancel()


def check(name, finding):
    async def look():
        return finding

    return HealthCheck(name, look)


def failing(name, error):
    async def look():
        raise error

    return HealthCheck(name, look)


class Hanging:
    """A check that never answers, and ends only when it is told to, if it is stubborn."""

    def __init__(self, *, stubborn=False):
        self.begun = 0
        self.cancelled = 0
        self.may_end = asyncio.Event()
        self.stubborn = stubborn

    @property
    def check(self):
        return HealthCheck("hanging", self.look)

    async def look(self):
        self.begun += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            if self.stubborn:
                await self.may_end.wait()
            raise


async def over(clock, running):
    """Pass the limit, with checks under way."""
    task = asyncio.ensure_future(running)
    await clock.advance(timedelta(seconds=LIMIT))
    return await task


async def test_each_check_has_its_entry_in_order(runner):
    entries = await runner.run(
        [check("a", Finding.healthy("fine")), check("b", Finding.degraded("slow"))]
    )

    assert entries == [
        HealthEntry(name="a", status=HEALTHY, detail="fine", seconds=0),
        HealthEntry(name="b", status=DEGRADED, detail="slow", seconds=0),
    ]


async def test_no_error_of_a_check_escapes(runner):
    (entry,) = await runner.run([failing("a", OSError("the disk is gone"))])

    assert (entry.status, entry.detail) == (UNHEALTHY, "OSError: the disk is gone")


async def test_checks_run_side_by_side_and_take_two_seconds_together_at_most(clock, runner):
    hanging = [Hanging() for _ in range(3)]
    checks = [HealthCheck(str(number), each.look) for number, each in enumerate(hanging)]

    entries = await over(clock, runner.run([*checks, check("b", Finding.healthy("fine"))]))

    assert [entry.status for entry in entries] == [UNHEALTHY] * 3 + [HEALTHY]
    assert {entry.detail for entry in entries[:3]} == {"it did not answer within 2 s"}
    assert [entry.seconds for entry in entries] == [2, 2, 2, 0]
    assert clock.monotonic() == 2
    await asyncio.sleep(0)
    assert [each.cancelled for each in hanging] == [1, 1, 1]


@pytest.fixture
def stubborn():
    """A check that holds up whoever waits for its end, until the test is over."""
    hanging = Hanging(stubborn=True)
    yield hanging
    hanging.may_end.set()


async def test_a_report_does_not_wait_until_a_late_check_has_ended(clock, runner, stubborn):

    (entry,) = await over(clock, runner.run([stubborn.check]))

    assert entry.status is UNHEALTHY


async def test_there_are_never_two_of_a_check_that_hangs(clock, runner, stubborn):
    await over(clock, runner.run([stubborn.check]))

    for _ in range(3):
        (entry,) = await over(clock, runner.run([stubborn.check]))
        assert entry.status is UNHEALTHY
    assert stubborn.begun == 1

    stubborn.may_end.set()
    (entry,) = await runner.run([check("hanging", Finding.healthy("back"))])
    assert entry.detail == "back"


async def test_what_two_reports_have_left_hanging_is_waited_for_alike(clock, runner):
    first, second, third = (Hanging(stubborn=True) for _ in range(3))
    reports = [asyncio.ensure_future(runner.run([each.check])) for each in (first, second)]
    await clock.advance(timedelta(seconds=LIMIT))
    for report in reports:
        ((entry,)) = await report
        assert entry.status is UNHEALTHY

    first.may_end.set()
    await over(clock, runner.run([third.check]))
    assert third.begun == 0  # the second one is still at it

    second.may_end.set()
    (entry,) = await runner.run([check("hanging", Finding.healthy("back"))])
    assert entry.detail == "back"


async def test_what_asks_is_cancelled_and_leaves_no_check_behind(runner):
    hanging = Hanging()
    running = asyncio.ensure_future(runner.run([hanging.check]))
    await asyncio.sleep(0.01)

    running.cancel()
    await asyncio.wait((running,))
    await asyncio.sleep(0)

    assert running.cancelled()
    assert (hanging.begun, hanging.cancelled) == (1, 1)


async def test_a_check_that_is_cut_off_from_within_is_an_entry(runner):
    async def look():
        raise asyncio.CancelledError

    (entry,) = await runner.run([HealthCheck("a", look)])

    assert entry.status is UNHEALTHY


async def test_the_text_of_an_error_is_fit_for_people(runner):
    class StrangeError(Exception):
        def __str__(self):
            raise RuntimeError

    (entry,) = await runner.run([failing("a", StrangeError())])

    assert entry.detail == "StrangeError: (its text cannot be read)"


@pytest.mark.parametrize(
    ("statuses", "worst"),
    [
        ([HEALTHY, HEALTHY], HEALTHY),
        ([HEALTHY, DEGRADED], DEGRADED),
        ([UNHEALTHY, DEGRADED, HEALTHY], UNHEALTHY),
    ],
)
def test_a_report_is_as_bad_as_its_worst_entry(statuses, worst):
    entries = [HealthEntry(name="a", status=each, detail="", seconds=0.0) for each in statuses]

    assert HealthReport.of(entries).status is worst


def test_a_report_can_be_written_as_json():
    report = HealthReport.of([HealthEntry(name="a", status=DEGRADED, detail="slow", seconds=0.25)])

    assert json.loads(json.dumps(report.as_dict())) == {
        "status": "degraded",
        "entries": [{"name": "a", "status": "degraded", "detail": "slow", "seconds": 0.25}],
    }


class TestOptions:
    @pytest.mark.parametrize(
        "name",
        ["outbox_age_degraded", "outbox_age_unhealthy", "listener_stalled", "handling_degraded"],
    )
    def test_times_are_more_than_nothing(self, name):
        with pytest.raises(TypeError, match=name):
            HealthOptions(**{name: 5})
        with pytest.raises(ValueError, match=name):
            HealthOptions(**{name: timedelta(0)})

    @pytest.mark.parametrize("name", ["outbox_depth_degraded", "outbox_depth_unhealthy"])
    def test_depths_are_numbers_of_messages(self, name):
        for wrong in (1.5, True):
            with pytest.raises(TypeError, match=name):
                HealthOptions(**{name: wrong})
        with pytest.raises(ValueError, match=name):
            HealthOptions(**{name: 0})

    def test_what_is_unhealthy_is_not_less_than_what_is_degraded(self):
        with pytest.raises(ValueError, match="outbox_age_unhealthy"):
            HealthOptions(outbox_age_unhealthy=timedelta(seconds=1))
        with pytest.raises(ValueError, match="outbox_depth_unhealthy"):
            HealthOptions(outbox_depth_unhealthy=1)


class Checked:
    """An idempotency service that tells how it is."""

    def __init__(self, *checks, error=None):
        self.checks = checks
        self.error = error
        self.options = None

    def health_checks(self, options):
        self.options = options
        if self.error is not None:
            raise self.error
        return self.checks


@pytest.fixture
def wire_with(wire):
    def make(part):
        made = wire()
        made.health_checks = part.health_checks
        return made

    return make


class TestApp:
    async def test_an_app_that_has_not_started_is_unhealthy_and_says_why(self):
        report = await App([], name="shop").health()

        (entry,) = report.entries
        assert (report.status, entry.name) == (UNHEALTHY, "app")
        assert entry.detail == "the App 'shop' has not started"

    async def test_an_app_that_stops_is_unhealthy_and_asks_nobody(self, wire):
        reports = []
        transport = wire()
        app = App([], name="shop").use(transport)

        async def stop(grace=None):
            reports.append(await app.health())

        transport.stop = stop
        async with app:
            assert app.is_running
        assert not app.is_running
        (report,) = reports
        assert [entry.detail for entry in report.entries] == ["the App 'shop' is stopping"]

    async def test_an_app_without_transport_tells_of_itself_and_its_stores(self):
        async with App([], name="shop") as app:
            report = await app.health()

        assert report.status is HEALTHY
        assert [entry.name for entry in report.entries] == ["app", "outbox", "dead letters"]

    async def test_a_transport_tells_of_itself_by_the_options_of_the_app(self, wire_with):
        part = Checked(check("wire", Finding.degraded("it hums")))
        options = HealthOptions(listener_stalled=timedelta(seconds=7))
        async with App([], name="shop", health=options).use(wire_with(part)) as app:
            report = await app.health()

        assert report.status is DEGRADED
        assert report.entries[-1].detail == "it hums"
        assert part.options is options

    async def test_a_part_that_cannot_tell_is_unhealthy(self, wire_with):
        part = Checked(error=RuntimeError("it is closed"))
        async with App([], name="shop").use(wire_with(part)) as app:
            report = await app.health()

        assert (report.entries[-1].name, report.entries[-1].detail) == (
            "Wire",
            "RuntimeError: it is closed",
        )

    async def test_a_check_that_hangs_does_not_keep_the_app_from_stopping(self, wire_with):
        clock = ManualClock()
        hanging = Hanging()
        app = App([], name="shop", clock=clock).use(wire_with(Checked(hanging.check)))
        async with app:
            await over(clock, app.health())

        assert hanging.cancelled == 1

    async def test_an_app_that_stops_does_not_wait_for_a_report(self, wire_with):
        hanging = Hanging()
        app = App([], name="shop", clock=ManualClock())
        async with app.use(wire_with(Checked(hanging.check))):
            reporting = asyncio.ensure_future(app.health())
            await settle()
        report = await reporting

        assert report.entries[-1].detail == "what it asked was closed meanwhile"
        assert hanging.cancelled == 1

    async def test_what_runs_nowhere_can_be_inspected(self):
        report = await App([], name="shop").inspect()

        assert [(entry.name, entry.status) for entry in report.entries] == [("app", HEALTHY)]

    async def test_an_app_that_runs_here_is_inspected_as_it_runs(self):
        async with App([], name="shop") as app:
            report = await app.inspect()

        assert [entry.name for entry in report.entries] == ["app", "outbox", "dead letters"]
