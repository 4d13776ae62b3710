"""Where the demo and the examples keep their state."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from sourceflow.stores.memory import MemoryStores
from sourceflow.stores.sql import SqlStores

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sourceflow.bus.ports import Stores

__all__ = ("stores_at",)


@contextmanager
def stores_at(url: str | None) -> Iterator[Stores]:
    """Make stores.

    Args:
        url: ``memory``, or the URL of a database; None for an SQLite file that is removed at the
            end.

    Raises:
        StoreConfigurationError: The URL cannot be read.
    """
    if url == "memory":
        yield MemoryStores()
    elif url is not None:
        yield SqlStores(url)
    else:
        with TemporaryDirectory(prefix="sourceflow-") as folder:
            yield SqlStores(f"sqlite:///{Path(folder) / 'store.db'}")
