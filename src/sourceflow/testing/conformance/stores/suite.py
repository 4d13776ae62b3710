"""The whole suite of stores in one class."""

from __future__ import annotations

from sourceflow.testing.conformance.stores.concurrent_writers import ConcurrentWritersConformance
from sourceflow.testing.conformance.stores.connection import ConnectionConformance
from sourceflow.testing.conformance.stores.dead_letters import DeadLettersConformance
from sourceflow.testing.conformance.stores.evolution import EvolutionConformance
from sourceflow.testing.conformance.stores.inbox import InboxConformance
from sourceflow.testing.conformance.stores.logs import LogsConformance
from sourceflow.testing.conformance.stores.outbox import OutboxConformance
from sourceflow.testing.conformance.stores.queries import QueriesConformance
from sourceflow.testing.conformance.stores.schedule import ScheduleConformance
from sourceflow.testing.conformance.stores.shadow import ShadowConformance
from sourceflow.testing.conformance.stores.unit_of_work import UnitOfWorkConformance
from sourceflow.testing.conformance.stores.view_models import ViewModelsConformance

__all__ = ("StoresConformance",)


class StoresConformance(
    UnitOfWorkConformance,
    InboxConformance,
    OutboxConformance,
    LogsConformance,
    ScheduleConformance,
    DeadLettersConformance,
    ViewModelsConformance,
    QueriesConformance,
    ShadowConformance,
    EvolutionConformance,
    ConnectionConformance,
    ConcurrentWritersConformance,
):
    """What the port ``sourceflow.bus.ports.Stores`` promises, as tests.

    A subclass whose name begins with ``Test`` overrides the fixture ``new_stores``: it returns a
    function, and each call of that returns stores, not yet open, on the same data. Stores
    without SQL set ``has_connection = False``.
    """
