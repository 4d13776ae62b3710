"""What gauges show of a transport: its queues, listeners, circuits, leases and data keys."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from sourceflow.bus.instrumentation import Reading
from sourceflow.bus.ports import Depth
from sourceflow.errors import AwsError
from sourceflow.resilience.circuit_breaker import CircuitState
from sourceflow.telemetry import names
from sourceflow.transports.aws.dead_letters import count_messages
from sourceflow.transports.aws.listener_status import ListenerState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from sourceflow.transports.aws.client import SqsClient
    from sourceflow.transports.aws.dead_letters import DeadLetterQueue
    from sourceflow.transports.aws.encryption import Cipher
    from sourceflow.transports.aws.listener import Listener
    from sourceflow.transports.aws.sender import Sender

__all__ = ("Readings", "depth_of")

log = logging.getLogger(__name__)

_STATES: Final = {CircuitState.CLOSED: 0, CircuitState.HALF_OPEN: 1, CircuitState.OPEN: 2}


class Readings:
    """Takes readings when it is called.

    A queue that cannot be looked at has no reading: an old one would pass for how things are.

    Args:
        sqs: Is asked how much there is; it gives up soon, so that the other readings are not late.
        sender: Has a circuit for each destination.
        listeners: Those that run; the sequence may change.
        letters: The dead letter queues.
        cipher: Knows what its caches did; None where nothing is encrypted.
    """

    def __init__(
        self,
        *,
        sqs: SqsClient,
        sender: Sender,
        listeners: Sequence[Listener],
        letters: Mapping[str, DeadLetterQueue],
        cipher: Cipher | None,
    ) -> None:
        self._sqs = sqs
        self._sender = sender
        self._listeners = listeners
        self._letters = letters
        self._cipher = cipher
        self._untold: set[str] = set()

    async def __call__(self) -> list[Reading]:
        """Return what there is to read now."""
        asked = [self._ask(listener.name, self._queue, listener) for listener in self._listeners]
        asked += [
            self._ask(f"the dead letters of {name}", self._dead_letters, queue)
            for name, queue in self._letters.items()
        ]
        found = await asyncio.gather(*asked)
        readings = [reading for each in found for reading in each]
        for listener in self._listeners:
            readings += _of_listener(listener)
        readings += self._of_circuits()
        readings += self._of_keys()
        return readings

    async def _ask(
        self, what: str, ask: Callable[..., Awaitable[list[Reading]]], of: object
    ) -> list[Reading]:
        try:
            readings = await ask(of)
        except AwsError as error:
            if what not in self._untold:
                log.warning("%s cannot be measured: %s", what, error)
            self._untold.add(what)
            return []
        self._untold.discard(what)
        return readings

    async def _queue(self, listener: Listener) -> list[Reading]:
        depth = await depth_of(self._sqs, listener)
        place = {names.DESTINATION: depth.name}
        counts = {
            "visible": depth.visible,
            "in_flight": depth.in_flight,
            "delayed": depth.delayed,
        }
        return [
            Reading(names.QUEUE_DEPTH, count, {**place, names.QUEUE_STATE: state})
            for state, count in counts.items()
        ]

    async def _dead_letters(self, queue: DeadLetterQueue) -> list[Reading]:
        count = sum(await count_messages(self._sqs, queue.url))
        return [Reading(names.DEAD_LETTER_DEPTH, count, {names.DESTINATION: queue.source})]

    def _of_circuits(self) -> Iterator[Reading]:
        for place, circuit in self._sender.places.items():
            attributes = {names.SYSTEM: place.system, names.DESTINATION: place.name}
            yield Reading(names.CIRCUIT_STATE, _STATES[circuit.state], attributes)

    def _of_keys(self) -> Iterator[Reading]:
        if self._cipher is None:
            return
        for use, lookups in self._cipher.lookups().items():
            yield Reading(names.KEY_CACHE_HITS, lookups.hits, {names.CACHE_USE: use})
            yield Reading(names.KEY_CACHE_MISSES, lookups.misses, {names.CACHE_USE: use})


def _of_listener(listener: Listener) -> Iterator[Reading]:
    place = {names.DESTINATION: listener.name}
    status = listener.status
    yield Reading(names.IN_FLIGHT, status.running, place)
    yield Reading(names.LISTENING, int(status.state is ListenerState.RECEIVING), place)
    yield Reading(names.LEASES_LOST, listener.leases_lost, place)


async def depth_of(sqs: SqsClient, listener: Listener) -> Depth:
    """Return how much waits in the queue of a listener."""
    return Depth(listener.name, *await count_messages(sqs, listener.url))
