"""Where a database is, as users write it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from sourceflow.errors import StoreConfigurationError

__all__ = ("DatabaseUrl", "Product", "parse_url")

Product = Literal["sqlite", "postgresql"]
"""A database product."""

MEMORY: Final = ":memory:"
"""The path of a SQLite database that has no file (https://www.sqlite.org/inmemorydb.html)."""

_PRODUCTS: Final[dict[str, Product]] = {
    "sqlite": "sqlite",
    "postgresql": "postgresql",
    "postgres": "postgresql",
}


@dataclass(frozen=True, slots=True, repr=False)
class DatabaseUrl:
    """A database's address.

    Attributes:
        product: Which database it is.
        url: The address; its driver suffix does not matter.
    """

    product: Product
    url: URL

    @property
    def path(self) -> str:
        """The file of a SQLite database; ``:memory:`` for one in memory."""
        return self.url.database or MEMORY

    @property
    def is_in_memory(self) -> bool:
        """Whether it is a SQLite database that ends with its connection."""
        return self.product == "sqlite" and self.path == MEMORY

    def __str__(self) -> str:
        """Return it for people: no secret is in it."""
        secrets = [name for name in self.url.query if "password" in name]
        return self.url.difference_update_query(secrets).render_as_string(hide_password=True)

    __repr__ = __str__


def parse_url(text: str) -> DatabaseUrl:
    """Read an address such as ``sqlite:///orders.db`` or ``postgresql://user@host/orders``.

    A driver suffix (``postgresql+asyncpg``) is accepted and left out of account.

    Raises:
        StoreConfigurationError: It is no address, or of a database that is not supported.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # the second is of a port that is no number
        raise StoreConfigurationError(
            "the database's URL cannot be read: write sqlite:///file.db or "
            "postgresql://user:password@host:5432/name"
        ) from None
    product = _PRODUCTS.get(url.drivername.partition("+")[0])
    if product is None:
        raise StoreConfigurationError(
            f"{url.drivername!r} is not supported: use sqlite:// or postgresql://"
        )
    _check_sqlite(url) if product == "sqlite" else _check_postgres(url)
    return DatabaseUrl(product, url.set(drivername=product))


def _check_sqlite(url: URL) -> None:
    if url.host:
        raise StoreConfigurationError(
            f"{url.render_as_string()}: a file's URL has three slashes, sqlite:///{url.host}"
        )
    if url.query:
        raise StoreConfigurationError(
            f"sqlite:///{url.database}: a file's URL takes no options ({', '.join(url.query)})"
        )


def _check_postgres(url: URL) -> None:
    if "@" in (url.host or ""):  # what stands before it is the end of the password
        raise StoreConfigurationError(
            "the database's URL has two @: write one that belongs to the password as %40"
        )
