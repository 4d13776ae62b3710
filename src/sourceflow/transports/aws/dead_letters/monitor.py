"""How the dead letter queues of an App are watched."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sourceflow.transports.aws.batcher import MAX_ENTRIES
from sourceflow.transports.aws.dead_letters.alert import SnsAlert

if TYPE_CHECKING:
    from sourceflow.transports.aws.dead_letters.alert import AlertHook

__all__ = ("DeadLetterMonitor",)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterMonitor:
    """How the dead letter queues of an App are watched, all by one task.

    Attributes:
        interval: How long to wait between two looks.
        batch_size: Letters received by one call, 1 to 10. A look goes on until it has seen all
            letters, or 1,000 of a queue; of one FIFO group it sees as many as one call returns.
        alert_threshold: From how many letters of one queue on an alert is given: once, until there
            are fewer again.
        store_records: Record each letter in the stores, once: those that SQS moved itself are
            recorded nowhere else.
        delete_after: Delete letters that are recorded.
        alerts: Hooks that are called with each alert.

    Raises:
        ValueError: A value is out of range, or letters would be deleted without a record.
        TypeError: A value is of the wrong type.
    """

    interval: timedelta = timedelta(seconds=60)
    batch_size: int = MAX_ENTRIES
    alert_threshold: int = 10
    store_records: bool = True
    delete_after: bool = False
    alerts: tuple[AlertHook | SnsAlert, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.interval, timedelta):
            raise TypeError(f"interval is a timedelta, not {type(self.interval).__name__}")
        if self.interval < timedelta(seconds=1):
            raise ValueError(f"interval is at least a second, not {self.interval}")
        if not 1 <= self.batch_size <= MAX_ENTRIES:
            raise ValueError(f"batch_size is from 1 to {MAX_ENTRIES}, not {self.batch_size}")
        if self.alert_threshold < 1:
            raise ValueError(f"alert_threshold is at least 1, not {self.alert_threshold}")
        if self.delete_after and not self.store_records:
            raise ValueError("delete_after needs store_records: nothing would be left of a letter")
        for hook in self.alerts:
            if not isinstance(hook, SnsAlert) and not callable(hook):
                raise TypeError(f"an alert is an async function or an SnsAlert, not {hook!r}")

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that alerts are published to."""
        return tuple(hook.topic for hook in self.alerts if isinstance(hook, SnsAlert))
