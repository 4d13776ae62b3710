from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from sourceflow.bus.conflict import CONFLICT_TRIES, retry_conflicts
from sourceflow.errors import ConflictError, DuplicateError
from sourceflow.testing.clock import ManualClock


class Races:
    """Loses so many races, then wins."""

    def __init__(self, lost, error=ConflictError):
        self.runs = 0
        self._lost = lost
        self._error = error

    async def __call__(self):
        self.runs += 1
        if self.runs <= self._lost:
            raise self._error(f"lost number {self.runs}")
        return "won"


async def finish(work):
    """Run work whose waits are skipped."""
    clock = ManualClock()
    task = asyncio.create_task(work(clock))
    await clock.advance(timedelta(seconds=10))
    assert task.done()
    return task.result()


@pytest.mark.parametrize("lost", range(5))
async def test_a_lost_race_is_run_again_until_it_is_won(lost):
    races = Races(lost)
    assert await finish(lambda clock: retry_conflicts(races, clock=clock)) == "won"
    assert races.runs == lost + 1


async def test_five_lost_races_are_enough():
    races = Races(99)
    with pytest.raises(ConflictError, match=r"5 races.*lost number 5"):
        await finish(lambda clock: retry_conflicts(races, clock=clock))
    assert races.runs == CONFLICT_TRIES == 5


async def test_between_two_runs_it_waits_for_a_moment():
    clock = ManualClock()
    races = Races(1)
    task = asyncio.create_task(retry_conflicts(races, clock=clock))
    await clock.advance(timedelta(0))
    assert (races.runs, clock.sleepers) == (1, 1)
    await clock.advance(timedelta(seconds=1))
    assert await task == "won"


async def test_other_errors_come_out_at_once():
    races = Races(1, ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        await finish(lambda clock: retry_conflicts(races, clock=clock))
    assert races.runs == 1


async def test_a_duplicate_is_no_lost_race_unless_it_is_named_as_one():
    races = Races(1, DuplicateError)
    with pytest.raises(DuplicateError):
        await finish(lambda clock: retry_conflicts(races, clock=clock))
    races = Races(1, DuplicateError)
    await finish(lambda clock: retry_conflicts(races, clock=clock, also=DuplicateError))
    assert races.runs == 2


async def test_races_lost_to_claims_never_pass_for_a_handled_message():
    races = Races(99, DuplicateError)
    with pytest.raises(ConflictError):
        await finish(lambda clock: retry_conflicts(races, clock=clock, also=DuplicateError))
