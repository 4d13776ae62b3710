"""The same account in pyeventsourcing (https://eventsourcing.readthedocs.io)."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit
from uuid import NAMESPACE_URL, UUID, uuid5

from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.domain import Aggregate, event

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ("Peer", "peer_on_postgresql", "peer_on_sqlite")


class Account(Aggregate):
    """An account that is paid into."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.paid = Decimal(0)

    @staticmethod
    def create_id(key: str) -> UUID:
        return uuid5(NAMESPACE_URL, key)

    @event("Paid")
    def pay(self, amount: Decimal, note: str) -> None:  # noqa: ARG002 - kept in the event
        self.paid += amount


class Accounts(Application[UUID]):
    """Loads, changes and saves."""


class Peer:
    """One application."""

    def __init__(self, env: dict[str, str]) -> None:
        self._accounts = Accounts(env=env)

    def pay(self, key: str, amount: Decimal, note: str) -> None:
        """Pay into an account; the first time makes it."""
        try:
            account: Any = self._accounts.repository.get(Account.create_id(key))
        except AggregateNotFoundError:
            account = Account(key=key)
        account.pay(amount=amount, note=note)
        self._accounts.save(account)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._accounts.close()


def peer_on_sqlite(path: str) -> Peer:
    """Return the application on a file."""
    return Peer(
        {
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": path,
            "SQLITE_LOCK_TIMEOUT": "30",
        }
    )


def peer_on_postgresql(url: str) -> Peer:
    """Return the application on a server."""
    parts = urlsplit(url)
    host = parse_qs(parts.query).get("host", [parts.hostname or "localhost"])[0]
    return Peer(
        {
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": parts.path.lstrip("/"),
            "POSTGRES_HOST": host,
            "POSTGRES_PORT": str(parts.port or 5432),
            "POSTGRES_USER": parts.username or "postgres",
            "POSTGRES_PASSWORD": parts.password or "none",
            "POSTGRES_POOL_SIZE": "20",
            "POSTGRES_MAX_OVERFLOW": "0",
            "POSTGRES_MAX_WAITING": "100",
        }
    )
