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
    """See whether sending to a queue or topic is suspended; makes no call."""
    states = {str(place): circuit.state for place, circuit in circuits.items()}
    held_up = [
        f"{place} is {state.value}"
        for place, state in sorted(states.items())
        if state is not CircuitState.CLOSED
    ]
    if not held_up:
        return Finding.healthy("all closed")
    text = f"sending is suspended: {', '.join(held_up)}"
    if CircuitState.CLOSED not in states.values():
        return Finding.unhealthy(text)
    return Finding.degraded(text)
