"""What a scenario that fails says."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from sourceflow import App, Middleware
from sourceflow.errors import NotFoundError, RejectedError
from sourceflow.testing import absent, given, like


@pytest.fixture
def fails():
    """Return the text of the AssertionError that a scenario ends with."""

    async def fails(scenario):
        with pytest.raises(AssertionError) as raised:
            await scenario
        return str(raised.value)

    return fails


async def test_events_are_shown_side_by_side_with_the_fields_that_differ(library, fails):
    said = await fails(
        given(app=library.app)
        .when(library.Lend(book="b", reader="Ann"))
        .then(library.Lent(book="b", reader="Bob"))
    )

    assert said == (
        "something else followed\n"
        "events raised (- expected, + came):\n"
        "  - Lent(book='b', reader='Bob')\n"
        "  + Lent(book='b', reader='Ann')\n"
        "    differs in reader"
    )


async def test_missing_and_further_events_are_told_and_common_ones_keep_their_place(library, fails):
    said = await fails(
        given(app=library.app)
        .when(library.Lend(book="b", reader="Ann"))
        .then(library.Returned(book="x"), library.Lent(book="b", reader="Ann"))
    )
    assert said.splitlines()[2:] == ["  - Returned(book='x')", "    Lent(book='b', reader='Ann')"]
    said = await fails(given(app=library.app).when(library.Lend(book="b", reader="Ann")).then())
    assert said.splitlines()[2:] == ["  + Lent(book='b', reader='Ann')"]


async def test_the_order_of_events_counts(library, fails):
    lend = library.Lend(book="b", reader="Ann")
    recalled, lent = library.Recalled(book="b"), library.Lent(book="b", reader="Ann")

    said = await fails(
        given(app=library.app).when(lend).after(timedelta(days=28)).then(recalled, lent)
    )
    assert sorted(line[:3] for line in said.splitlines()[2:]) == ["   ", "  +", "  -"]


async def test_commands_states_and_absences_are_told(library, fails):
    said = await fails(
        given(library.Loan(book="b", reader="Ann"), app=library.app)
        .when(library.Stamp(book="b"))
        .then(
            library.Stamp(book="c"),
            library.Loan(book="b", reader="Bob"),
            library.Reader(reader="Ann"),
            absent(library.Loan, "b"),
        )
    )
    assert said == (
        "something else followed\n"
        "commands sent (- expected, + came):\n"
        "  - Stamp(book='c')\n"
        "Loan (- expected, + came):\n"
        "  - Loan(book='b', reader='Bob')\n"
        "  + Loan(book='b', reader='Ann')\n"
        "    differs in reader\n"
        "Reader (- expected, + came):\n"
        "  - Reader(reader='Ann', town='', books=0)\n"
        "Loan that should be absent (- expected, + came):\n"
        "  + Loan(book='b', reader='Ann')"
    )


async def test_sensitive_values_are_masked(library, fails):
    card, other = "4111111111111111", "5500005555555559"
    receipt = UUID(int=1)
    charge = given(app=library.app).when(library.Charge(book="b", card=card))

    said = await fails(charge.then(library.Charged(book="b", card=other, receipt=receipt)))
    assert card not in said
    assert other not in said
    assert "differs in card, receipt" in said
    said = await fails(charge.then(like(library.Charged, book="c", card=other)))
    assert said.splitlines()[2].startswith("  - like(Charged, book='c', card=")
    assert said.splitlines()[-1] == "    differs in book, card"
    assert other not in said
    refused = given(app=library.app).when(library.Charge(book="b", card="0")).then()
    assert "the card 0" not in await fails(refused)


async def test_what_was_raised_is_told_where_nothing_should_be(library, fails):
    said = await fails(given(app=library.app).when(library.Return(book="b")).then())

    assert said.startswith("Return(book='b') raised NotFoundError: ")


async def test_an_error_of_another_type_or_text_or_none_is_told(library, fails):
    lend = given(library.Loan(book="b", reader="Ann"), app=library.app).when(
        library.Lend(book="b", reader="Bob")
    )

    said = await fails(lend.then_raises(NotFoundError))
    assert said.endswith("raised RejectedError: it is lent already, not NotFoundError")
    said = await fails(lend.then_raises(RejectedError, match="gone"))
    assert said == "the text of RejectedError: it is lent already does not match 'gone'"
    said = await fails(given(app=library.app).when(library.Stamp(book="b")).then_raises(ValueError))
    assert said == "Stamp(book='b') raised nothing, not ValueError"


async def test_what_was_given_and_not_handled_is_told(library, fails):
    said = await fails(given(library.Return(book="b"), app=library.app).when(timedelta(1)).then())

    assert said.startswith("given Return(book='b') was not handled: NotFoundError")


async def test_a_follower_that_fails_is_told_and_the_scenario_ends_at_once(library, fails):
    library.printer.faults = 100
    came_back = given(library.Loan(book="b", reader="Ann"), app=library.app).when(
        library.Return(book="b")
    )

    said = await fails(came_back.then(library.Returned(book="b")))
    assert said == (
        "not all of what followed was handled\n"
        "  Slips.stamp raised OSError: no paper\n"
        "  it is tried again later: .after(...) lets time pass"
    )
    said = await fails(came_back.after(timedelta(hours=1)).then(library.Returned(book="b")))
    assert said.count("Slips.stamp raised OSError: no paper") == 5
    assert "  Stamp is a dead letter (RetriesExhausted): OSError: no paper (tests/" in said


async def test_an_event_that_nobody_wants_is_told(library, fails):
    said = await fails(given(app=library.app).when(library.Recalled(book="b")).then())

    assert "nobody in the App subscribes to Recalled" in said


async def test_a_second_effect_is_told(library, fails):
    class Forgetful(Middleware):
        """Gives every message another id, so that nobody knows it again."""

        def __init__(self):
            self.count = 0

        async def dispatch_command(self, message, next):  # noqa: A002
            self.count += 1
            await next(message.__replace__(id=f"m-{self.count}"))

    app = App(
        library.components, name="library", services=[library.printer], middleware=[Forgetful()]
    )
    said = await fails(given(app=app).when(library.Stamp(book="b")).twice().then())
    assert said == "Stamp(book='b') came twice, and had a second effect"
    said = await fails(given(app=app).when(library.Lend(book="b", reader="A")).twice().then())
    assert said.endswith("at first it raised nothing, then RejectedError: it is lent already")


async def test_a_refusal_that_has_an_effect_is_told(library, fails):
    class Blind(Middleware):
        async def dispatch_command(self, message, next):  # noqa: A002
            await next(message)
            raise ValueError("too late")

    app = App(library.components, name="library", services=[library.printer], middleware=[Blind()])
    charge = given(app=app).when(library.Charge(book="b", card="4111111111111111"))

    said = await fails(charge.then_raises(ValueError))
    assert said.startswith("it was refused, and yet has an effect: 1 commit(s)\n  + Charged(")
    assert "4111111111111111" not in said


async def test_a_handler_that_never_ends_is_told(library, fails, monkeypatch):
    monkeypatch.setattr("sourceflow.testing.scenario.stage.PATIENCE", 0.05)

    class Stuck(Middleware):
        async def handle_command(self, message, next):  # noqa: A002
            await asyncio.Event().wait()

    app = App(library.components, name="library", services=[library.printer], middleware=[Stuck()])
    said = await fails(given(app=app).when(library.Stamp(book="b")).then())
    assert said.startswith("the App still works after 0.05 seconds: a handler; does a handler wait")
