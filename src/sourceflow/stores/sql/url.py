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

_PRODUCTS: Final[dict[str, Product]] = {
    "sqlite": "sqlite",
    "postgresql": "postgresql",
    "postgres": "postgresql",
}


@dataclass(frozen=True, slots=True)
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
        return self.url.database or ":memory:"

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)


def parse_url(text: str) -> DatabaseUrl:
    """Read an address such as ``sqlite:///orders.db`` or ``postgresql://user@host/orders``.

    A driver suffix (``postgresql+asyncpg``) is accepted and left out of account.

    Raises:
        StoreConfigurationError: It is no address, or of a database that is not supported.
    """
    try:
        url = make_url(text)
    except ArgumentError:
        raise StoreConfigurationError(
            "the database's URL cannot be read: write sqlite:///file.db or "
            "postgresql://user:password@host:5432/name"
        ) from None
    product = _PRODUCTS.get(url.drivername.partition("+")[0])
    if product is None:
        raise StoreConfigurationError(
            f"{url.drivername!r} is not supported: use sqlite:// or postgresql://"
        )
    if product == "sqlite" and url.host:
        raise StoreConfigurationError(
            f"{url.render_as_string()}: a file's URL has three slashes, sqlite:///{url.host}"
        )
    return DatabaseUrl(product, url.set(drivername=product))
