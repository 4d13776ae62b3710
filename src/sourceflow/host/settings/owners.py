"""What takes the options of each section; it is imported only where the section is used."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sourceflow.bus.ports import HealthOptions
from sourceflow.stores.memory import InMemoryIdempotency, MemoryStores

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ("BESIDE", "IN_MEMORY", "owner_of", "parameters_of")

IN_MEMORY: Final = "memory"
"""The URL of what is kept in memory."""

_KEPT_IN_MEMORY: Final[Mapping[str, type[Any]]] = {
    "stores": MemoryStores,
    "idempotency": InMemoryIdempotency,
}

_MANY: Final = 10**12

BESIDE: Final[Mapping[str, Mapping[str, Any]]] = {
    "aws": {"region": "us-east-1"},
    "health": {
        "outbox_age_degraded": timedelta.resolution,
        "outbox_age_unhealthy": timedelta.max,
        "outbox_depth_degraded": 1,
        "outbox_depth_unhealthy": _MANY,
    },
    "idempotency": {"url": "postgresql://host/name"},
    "stores": {"url": "postgresql://host/name"},
    "telemetry": {},
}
"""What options need beside them to be tried one by one, where it was not given."""


def owner_of(section: str, url: object = None) -> type[Any]:
    """Return what is made of a section.

    Args:
        section: Its name; not that of ``app`` or ``bus``, of which nothing is made.
        url: Where it is kept; of those that are kept anywhere.

    Raises:
        MissingExtraError: What it needs is not installed.
    """
    if url == IN_MEMORY and section in _KEPT_IN_MEMORY:
        return _KEPT_IN_MEMORY[section]
    return _OWNERS[section]()


def parameters_of(owner: type[Any]) -> Mapping[str, inspect.Parameter]:
    """Return what a class takes."""
    return inspect.signature(owner).parameters


def _aws() -> type[Any]:
    from sourceflow.transports.aws import AwsOptions  # noqa: PLC0415 - only where it is used

    return AwsOptions


def _idempotency() -> type[Any]:
    from sourceflow.stores.sql import SqlIdempotency  # noqa: PLC0415 - needs the extra

    return SqlIdempotency


def _stores() -> type[Any]:
    from sourceflow.stores.sql import SqlStores  # noqa: PLC0415 - needs the extra

    return SqlStores


def _telemetry() -> type[Any]:
    from sourceflow.telemetry.otel import Telemetry  # noqa: PLC0415 - needs the extra

    return Telemetry


_OWNERS: Final[Mapping[str, Callable[[], type[Any]]]] = {
    "aws": _aws,
    "health": lambda: HealthOptions,
    "idempotency": _idempotency,
    "stores": _stores,
    "telemetry": _telemetry,
}
