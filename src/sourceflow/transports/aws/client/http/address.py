"""Where a request goes, taken from its URL."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from sourceflow.errors import AwsConfigurationError

__all__ = ("Address", "Origin")

_DEFAULT_PORTS = {"http": 80, "https": 443}
#: What a request line may hold as it is; ``%`` too: what is escaped stays so.
_SAFE = "/%!$&'()*+,;=:@~?"


class Origin(NamedTuple):
    """Whom a connection is to: it serves every address of the same origin, and no other."""

    scheme: str
    host: str
    port: int


@dataclass(frozen=True, slots=True, eq=False)
class Address:
    """Where a request goes. Made once for each URL: ``Address.of`` returns the same object again.

    Attributes:
        origin: Whom to connect to.
        authority: The host as the header ``Host`` names it.
        target: Path and query, as the request line names them.
    """

    origin: Origin
    authority: str
    target: str

    @classmethod
    def of(cls, url: str) -> Address:
        """Return the address of a URL.

        Raises:
            AwsConfigurationError: It is no http:// or https:// address.
        """
        return _address(url)


@lru_cache(maxsize=64)
def _address(url: str) -> Address:
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
        host = (parts.hostname or "").encode("idna").decode()
    except (KeyError, ValueError) as error:
        raise _no_address(url) from error
    if not host:
        raise _no_address(url)
    target = parts.path or "/"
    if parts.query:
        target += f"?{parts.query}"
    named = f"[{host}]" if ":" in host else host
    is_default = port == _DEFAULT_PORTS[parts.scheme]
    return Address(
        origin=Origin(parts.scheme, host, port),
        authority=named if is_default else f"{named}:{port}",
        target=quote(target, safe=_SAFE),
    )


def _no_address(url: str) -> AwsConfigurationError:
    return AwsConfigurationError(
        f"{url!r} is no http:// or https:// address", code="InvalidEndpoint"
    )
