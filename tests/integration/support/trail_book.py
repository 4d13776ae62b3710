"""What stores hold of trails, read without an App."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sourceflow.bus.changes import Stream
from sourceflow.bus.ports import DeadLetterFilter, StoresContext
from sourceflow.bus.query import Query
from sourceflow.clock import SystemClock
from sourceflow.messages import Codec, Registry
from trails import ENTITIES, MESSAGES, VIEW_MODELS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

    from sourceflow.bus.ports import Stores

__all__ = ("TrailBook", "TrailState", "walked")

PATIENCE: Final = 60.0
"""Seconds without any progress after which nothing more is expected."""


@dataclass(frozen=True, kw_only=True)
class TrailState:
    """Everything that is kept.

    Attributes:
        marks: For each place and trail, the numbers that have reached it.
        logs: For each entity and trail, the numbers in its log, each with its position.
        events: How many events are in the event log.
        repeated: Those that are there more than once, and how often.
        unsent: Rows in the outbox.
        dead_letters: Messages that were given up.
    """

    marks: dict[str, dict[str, tuple[int, ...]]]
    logs: dict[str, dict[str, list[tuple[int, int]]]]
    events: int
    repeated: dict[str, int]
    unsent: int = 0
    dead_letters: int = 0


def walked(trails: Mapping[str, int]) -> TrailState:
    """Return how it must be when so many steps of each trail have been made: each effect once."""
    marks = {trail: tuple(range(steps)) for trail, steps in trails.items()}
    log = {trail: [(at + 1, at) for at in range(steps)] for trail, steps in trails.items()}
    return TrailState(
        marks={each.__name__: marks for each in (*ENTITIES, *VIEW_MODELS)},
        logs={each.__name__: log for each in ENTITIES},
        events=2 * sum(trails.values()),
        repeated={},
    )


class TrailBook:
    """Reads what workers write into the same database.

    Args:
        stores: Not open yet.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    async def __aenter__(self) -> Self:
        codec = Codec(Registry(MESSAGES))
        await self._stores.open(StoresContext("trails", codec, SystemClock(), VIEW_MODELS))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stores.aclose()

    async def settled(self, trails: Mapping[str, int]) -> TrailState:
        """Return everything once all steps have reached every place, or none gets any further."""
        wanted = sum(trails.values()) * len((*ENTITIES, *VIEW_MODELS))
        before, since = -1, time.monotonic()
        while time.monotonic() - since < PATIENCE:
            there = await self._marks(trails)
            if there >= wanted and await self._stores.outbox.depth() == 0:
                break
            if there != before:
                before, since = there, time.monotonic()
            await asyncio.sleep(0.02)
        return await self.state(trails)

    async def _marks(self, trails: Mapping[str, int]) -> int:
        """Return how many marks there are; entities are only looked at when rows are complete."""
        steps = sum(trails.values())
        count = 0
        for row_type in VIEW_MODELS:
            count += sum(map(len, (await self._rows(row_type)).values()))
        if count >= steps * len(VIEW_MODELS):
            for each in ENTITIES:
                for trail in trails:
                    count += len(await self._entity(each, trail))
        return count

    async def steps(self) -> int:
        """Return how many steps have been handled."""
        return sum(map(len, (await self._rows(VIEW_MODELS[1])).values()))

    async def until_steps(self, count: int) -> None:
        """Wait until so many steps have been handled."""
        async with asyncio.timeout(PATIENCE):
            while await self.steps() < count:  # noqa: ASYNC110 - other processes handle them
                await asyncio.sleep(0.01)

    async def state(self, trails: Mapping[str, int]) -> TrailState:
        """Return everything as it is."""
        marks: dict[str, dict[str, tuple[int, ...]]] = {
            each.__name__: await self._rows(each) for each in VIEW_MODELS
        }
        logs: dict[str, dict[str, list[tuple[int, int]]]] = {}
        for each in ENTITIES:
            marks[each.__name__] = {trail: await self._entity(each, trail) for trail in trails}
            logs[each.__name__] = {trail: await self._log(each, trail) for trail in trails}
        events = Counter([each.envelope.id async for each in self._stores.events.read()])
        return TrailState(
            marks=marks,
            logs=logs,
            events=len(events),
            repeated={event: count for event, count in events.items() if count > 1},
            unsent=await self._stores.outbox.depth(),
            dead_letters=await self._stores.dead_letters.count(DeadLetterFilter()),
        )

    async def _rows(self, row_type: type[Any]) -> dict[str, tuple[int, ...]]:
        rows = await self._stores.query(Query.of(row_type))
        return {row.id: row.numbers for row in rows}

    async def _entity(self, entity_type: type[Any], trail: str) -> tuple[int, ...]:
        entity = await self._stores.load(Stream(entity_type.__name__, trail), entity_type)
        numbers: tuple[int, ...] = () if entity is None else entity.numbers
        return numbers

    async def _log(self, entity_type: type[Any], trail: str) -> list[tuple[int, int]]:
        log = self._stores.commands.read(Stream(entity_type.__name__, trail))
        return [(each.position, each.envelope.message.number) async for each in log]
