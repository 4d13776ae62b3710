"""An App that runs for a test, and what can be waited for."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from sourceflow import App, Command, Event, Key, Reject, Saga, View, ViewModel, handles, projects
from sourceflow.testing import LocalAws, ManualClock, dead_lettered, handled, under_test
from sourceflow.transports.aws import AwsOptions, AwsTransport


class Ring(Command):
    bell: Key[str]
    after: float = 0


class Break(Command):
    bell: Key[str]


class Rang(Event):
    bell: Key[str]


class Bell(ViewModel):
    bell: Key[str]


class Tower(Saga[None]):
    @handles
    async def ring(self, command: Ring) -> None:
        await asyncio.sleep(command.after)
        self.raise_event(Rang(bell=command.bell))

    @handles
    def crack(self, command: Break) -> None:
        raise Reject("bells do not break")


class Bells(View[Bell], lifecycle="async"):
    @projects
    def rang(self, event: Rang) -> Bell:
        return Bell(bell=event.bell)


def tower(name="tower", **options):
    return App([Tower, Bells], name=name, **options)


async def test_commands_and_events_are_waited_for():
    async with under_test(tower()) as app:
        await app.send(Ring(bell="a"), delay=timedelta(milliseconds=20))
        assert await handled(Ring, "a") == Ring(bell="a")
        assert await handled(Rang, "a") == Rang(bell="a")
        assert await handled(Rang, "a", app=app) == Rang(bell="a")


async def test_the_second_message_of_a_key_is_another_one():
    async with under_test(tower()) as app:
        await app.send(Ring(bell="a"))
        with pytest.raises(TimeoutError, match="Ring 'a' was not handled 2 times"):
            await handled(Ring, "a", times=2, timeout=0.01)
        await app.send(Ring(bell="a", after=0.001))
        assert await handled(Ring, "a", times=2) == Ring(bell="a", after=0.001)


async def test_a_wait_in_vain_says_what_was_handled_instead():
    async with under_test(tower()) as app:
        with pytest.raises(TimeoutError) as raised:
            await handled(Ring, "a", timeout=timedelta(milliseconds=1))
        assert str(raised.value) == (
            "Ring 'a' was not handled within 0.001 seconds; nothing was handled"
        )
        for bell in "bbc":
            await app.send(Ring(bell=bell))
        await app.drained()
        with pytest.raises(TimeoutError) as raised:
            await handled(Ring, "a", timeout=0.001)
        assert str(raised.value).endswith(
            "; handled were Rang 'b' (2 times), Rang 'c', Ring 'b' (2 times), Ring 'c'"
        )


async def test_the_work_is_ended_before_the_app_is_stopped():
    async with under_test(tower()) as app:
        await app.send(Ring(bell="a"))
        watched = asyncio.ensure_future(handled(Rang, "a"))
    assert watched.done() or await asyncio.wait_for(watched, 1)


async def test_a_dead_letter_that_nobody_expects_fails_the_test():
    aws_error = "the App 'tower' has given up messages that the test did not expect"
    with pytest.raises(AssertionError, match=aws_error) as raised:
        async with through_a_queue() as app:
            await app.send(Break(bell="a"))
            with pytest.raises(TimeoutError, match=r"Break is a dead letter \(Rejected: "):
                await handled(Break, "a", timeout=0.5)
    assert "Break of tower.fifo (Rejected)" in str(raised.value)


async def test_a_dead_letter_that_is_waited_for_is_expected_once():
    with pytest.raises(AssertionError):
        async with through_a_queue() as app:
            for bell in "ab":
                await app.send(Break(bell=bell))
            assert (await dead_lettered(Break)).reason == "Rejected"
    async with through_a_queue() as app:
        await app.send(Break(bell="a"))
        letter = await dead_lettered(Break)
        assert (letter.type_name, letter.source) == ("Break", "tower.fifo")
        with pytest.raises(TimeoutError, match="no Break became a dead letter"):
            await dead_lettered(Break, timeout=0.001)


def through_a_queue():
    """Return the tower under test, whose commands take the way over a queue."""

    class Both:
        async def __aenter__(self):
            self.aws = await LocalAws().__aenter__()
            transport = AwsTransport(
                AwsOptions(region="us-east-1", endpoint_url=self.aws.endpoint_url),
                lambda bus: bus.send.command(Break, queue="tower.fifo").listen.to.command_queue(
                    "tower.fifo"
                ),
                credentials=self.aws.static_credentials(),
            )
            self.running = under_test(tower().use(transport))
            return await self.running.__aenter__()

        async def __aexit__(self, *raised):
            try:
                return await self.running.__aexit__(*raised)
            finally:
                await self.aws.__aexit__(None, None, None)

    return Both()


async def test_which_app_is_meant_must_be_known():
    with pytest.raises(LookupError, match="no App is under test"):
        await handled(Ring, "a")
    async with under_test(tower("one")) as one, under_test(tower("two")):
        await one.send(Ring(bell="a"))
        with pytest.raises(LookupError, match=r"several Apps are under test \('one', 'two'\)"):
            await handled(Ring, "a")
        await handled(Ring, "a", app=one)
    with pytest.raises(LookupError, match="the App 'one' is not the one"):
        await handled(Ring, "a", app=one)


async def test_an_app_that_runs_cannot_be_put_under_test():
    async with tower() as app:
        with pytest.raises(RuntimeError, match="is running"):
            async with under_test(app):
                pass


async def test_what_the_test_raises_comes_out_as_it_is():
    with pytest.raises(ZeroDivisionError):
        async with under_test(tower()):
            raise ZeroDivisionError


async def test_a_clock_that_stands_still_is_moved_while_the_work_ends():
    clock = ManualClock()
    async with asyncio.timeout(20):
        async with under_test(tower(clock=clock)) as app:
            await app.send(Ring(bell="a"))
    assert clock.monotonic() < 1
