"""What collects things that expire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = ("Expiring",)


@runtime_checkable
class Expiring(Protocol):
    """Stores or a service that an App cleans while it runs."""

    @property
    def cleanup_interval(self) -> timedelta:
        """How long to wait between two cleanings."""
        ...

    async def clean(self) -> int:
        """Delete everything that has expired, in batches; return how many."""
        ...
