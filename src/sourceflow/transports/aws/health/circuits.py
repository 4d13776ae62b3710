"""Circuit breakers: whether sending is suspended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sourceflow.bus.ports import Finding
from sourceflow.resilience.circuit_breaker import CircuitState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sourceflow.bus.changes import Destination
    from sourceflow.resilience.circuit_breaker import CircuitBreaker

__all__ = ("look_at_circuits",)


async def look_at_circuits(circuits: Mapping[Destination, CircuitBreaker]) -> Finding:
    """See whether sending to a queue or topic is suspended; makes no call.

    Half open is never unhealthy: only a message can close the circuit, and none would come if its
    service were taken for one that is not ready.
    """
    states = {str(place): circuits[place].state for place in sorted(circuits)}
    suspended = [place for place, state in states.items() if state is CircuitState.OPEN]
    probed = [place for place, state in states.items() if state is CircuitState.HALF_OPEN]
    if not suspended and not probed:
        return Finding.healthy("all closed")
    told = []
    if suspended:
        told.append(f"sending is suspended: {', '.join(suspended)}")
    if probed:
        told.append(f"the next message is to show whether sending works again: {', '.join(probed)}")
    kind = Finding.unhealthy if len(suspended) == len(states) else Finding.degraded
    return kind("; ".join(told))
