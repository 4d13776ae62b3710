"""Given, when, then: what plays, and what is checked."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from sourceflow import App, Middleware
from sourceflow.errors import NotFoundError, RejectedError
from sourceflow.testing import ManualClock, absent, given, like


async def test_a_command_raises_exactly_the_events_that_are_expected(library):
    outcome = await (
        given(app=library.app)
        .when(library.Lend(book="b", reader="Ann"))
        .then(library.Lent(book="b", reader="Ann"))
    )

    assert outcome.events == (library.Lent(book="b", reader="Ann"),)
    assert outcome.commands == (library.Recall(book="b"),)
    assert outcome.error is None


async def test_what_was_given_is_there_and_does_not_count_as_what_follows(library):
    await (
        given(library.Lend(book="b", reader="Ann"), app=library.app)
        .when(library.Return(book="b"))
        .then(library.Returned(book="b"), absent(library.Loan, "b"))
    )


async def test_entities_and_rows_can_be_given_and_expected(library):
    await (
        given(
            library.Loan(book="b", reader="Ann"),
            library.Reader(reader="Bob", town="Ulm", books=3),
            app=library.app,
        )
        .when(library.Lend(book="c", reader="Bob"))
        .then(
            library.Lent(book="c", reader="Bob"),
            library.Loan(book="b", reader="Ann"),
            library.Loan(book="c", reader="Bob"),
            library.Reader(reader="Bob", town="Ulm", books=4),
            absent(library.Reader, "Ann"),
        )
    )


async def test_events_arrive_from_another_service_before_and_now(library):
    await (
        given(library.ReaderMoved(reader="Ann", town="Ulm"), app=library.app)
        .when(library.ReaderMoved(reader="Ann", town="Bern"))
        .then(library.Reader(reader="Ann", town="Bern"))
    )


async def test_commands_that_are_sent_on_are_handled_and_compared_where_one_is_named(library):
    await (
        given(library.Lend(book="b", reader="Ann"), app=library.app)
        .when(library.Return(book="b"))
        .then(library.Returned(book="b"), library.Stamp(book="b"))
    )
    assert library.printer.printed == 1


async def test_each_scenario_begins_anew_and_the_app_is_left_alone(library):
    for _ in range(2):
        await (
            given(app=library.app)
            .when(library.Lend(book="b", reader="Ann"))
            .then(library.Lent(book="b", reader="Ann"))
        )
    async with library.app as app:
        assert await app.find(library.Loan, "b") is None


async def test_a_function_makes_the_app_where_services_must_be_new(library):
    made = []

    def make():
        made.append(library.Printer())
        return App(library.components, name="library", services=[made[-1]])

    for _ in range(2):
        await given(app=make).when(library.Stamp(book="b")).then()
    assert [printer.printed for printer in made] == [1, 1]


async def test_middleware_runs_as_it_does_in_production(library):
    seen = []

    class Audit(Middleware):
        async def handle_command(self, message, next):  # noqa: A002
            seen.append(message.type_name)
            await next(message)

    app = App(library.components, name="library", services=[library.printer], middleware=[Audit()])
    await given(app=app).when(library.Stamp(book="b")).then()
    assert seen == ["Stamp"]


async def test_a_refusal_is_expected_by_its_error_and_its_text(library):
    scenario = given(library.Lend(book="b", reader="Ann"), app=library.app)

    outcome = await scenario.when(library.Lend(book="b", reader="Bob")).then_raises(
        RejectedError, match="lent already"
    )
    assert isinstance(outcome.error, RejectedError)
    await scenario.when(library.Return(book="c")).then_raises(NotFoundError)


async def test_what_a_subscriber_of_an_arrived_event_raises_is_expected_too(library):
    moved = library.ReaderMoved(reader="Ann", town="nowhere")

    await given(app=library.app).when(moved).then_raises(RejectedError, match="no such town")


async def test_the_same_message_twice_has_one_effect(library):
    await (
        given(app=library.app)
        .when(library.Lend(book="b", reader="Ann"))
        .twice()
        .then(library.Lent(book="b", reader="Ann"), library.Reader(reader="Ann", books=1))
    )
    await given(app=library.app).when(library.Stamp(book="b")).twice().then()
    assert library.printer.printed == 1
    moved = library.ReaderMoved(reader="Ann", town="Ulm")
    await given(app=library.app).when(moved).twice().then(library.Reader(reader="Ann", town="Ulm"))


async def test_what_is_refused_is_refused_again(library):
    lend = library.Lend(book="b", reader="Bob")

    await (
        given(library.Loan(book="b", reader="Ann"), app=library.app)
        .when(lend)
        .twice()
        .then_raises(RejectedError)
    )


async def test_time_stands_still_until_it_is_let_pass(library):
    lend, recalled = library.Lend(book="b", reader="Ann"), library.Recalled(book="b")
    lent = library.Lent(book="b", reader="Ann")

    await given(app=library.app).when(lend).then(lent)
    await given(app=library.app).when(lend).after(timedelta(days=27)).then(lent)
    await given(app=library.app).when(lend).after(timedelta(days=28)).then(lent, recalled)
    halves = given(app=library.app).when(lend).after(timedelta(days=14))
    await halves.after(timedelta(days=14)).then(lent, recalled)
    await given(lend, app=library.app).when(timedelta(days=28)).then(recalled)
    await given(lend, timedelta(days=28), app=library.app).when(timedelta(days=28)).then()


async def test_the_clock_may_be_ones_own(library):
    clock = ManualClock()
    before = clock.now()

    await given(app=library.app, clock=clock).when(timedelta(days=1)).then()
    assert clock.now() - before == timedelta(days=1)


async def test_what_fails_afterwards_is_tried_again_when_time_passes(library):
    library.printer.faults = 2
    came_back = given(library.Loan(book="b", reader="Ann"), app=library.app).when(
        library.Return(book="b")
    )

    await came_back.after(timedelta(minutes=1)).then(library.Returned(book="b"))
    assert library.printer.printed == 1


async def test_like_stands_for_what_is_not_known_in_full(library):
    card = "4111111111111111"

    await (
        given(library.Loan(book="b", reader="Ann"), app=library.app)
        .when(library.Charge(book="b", card=card))
        .then(like(library.Charged, card=card), like(library.Loan, book="b"))
    )


def test_like_names_fields_that_there_are(library):
    with pytest.raises(TypeError, match="Charged has no field 'cart'"):
        like(library.Charged, cart="4")


async def test_like_names_the_key_of_a_state(library):
    with pytest.raises(TypeError, match=r"like\(Loan, reader='Ann'\) does not name its key: book="):
        await given(app=library.app).when(timedelta(1)).then(like(library.Loan, reader="Ann"))


async def test_a_handler_may_wait_for_something_real(library):
    class Slow(Middleware):
        async def handle_command(self, message, next):  # noqa: A002
            await asyncio.sleep(0.05)
            await next(message)

    app = App(library.components, name="library", services=[library.printer], middleware=[Slow()])
    await (
        given(library.Loan(book="b", reader="Ann"), app=app)
        .when(library.Return(book="b"))
        .then(library.Returned(book="b"))
    )
    assert library.printer.printed == 1


@pytest.mark.parametrize("wrong", ["text", 5, None, ValueError])
async def test_what_cannot_be_part_of_a_scenario_is_refused_at_once(library, wrong):
    with pytest.raises(TypeError, match="given takes commands"):
        given(wrong, app=library.app)
    with pytest.raises(TypeError, match="when takes a command"):
        given(app=library.app).when(wrong)
    with pytest.raises(TypeError, match="then takes events"):
        await given(app=library.app).when(library.Stamp(book="b")).then(wrong)


async def test_a_class_in_place_of_an_object_is_told(library):
    told = "not the class Stamp: give an object of it"
    with pytest.raises(TypeError, match=told):
        given(library.Stamp, app=library.app)
    with pytest.raises(TypeError, match=told):
        given(app=library.app).when(library.Stamp)
    with pytest.raises(TypeError, match=told):
        await given(app=library.app).when(library.Stamp(book="b")).then(library.Stamp)


async def test_what_is_no_app_is_refused(library):
    with pytest.raises(TypeError, match="or a function that makes one, not a value of type str"):
        given(app="library:app")
    with pytest.raises(TypeError, match="a function that makes a value of type Stamp, not an App"):
        await given(app=lambda: library.Stamp(book="b")).when(library.Stamp(book="b")).then()


async def test_only_a_timedelta_can_pass_afterwards(library):
    with pytest.raises(TypeError, match="after takes a timedelta, not a value of type int"):
        given(app=library.app).when(library.Stamp(book="b")).after(3)


@pytest.mark.parametrize("wrong", ["Lent", "text", 5])
def test_only_an_entity_or_a_row_can_be_absent(library, wrong):
    """A message is absent wherever it is not named: to say so would check nothing."""
    with pytest.raises(TypeError, match="absent takes the class of an entity or a row, not "):
        absent(getattr(library, str(wrong), wrong), "b")


async def test_time_neither_comes_twice_nor_is_refused(library):
    passing = given(app=library.app).when(timedelta(days=1))

    with pytest.raises(TypeError, match="twice"):
        passing.twice()
    with pytest.raises(TypeError, match="refuses time"):
        await passing.then_raises(ValueError)
