"""HTTP/1.1 of our own, without a proxy between."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Self

from sourceflow.errors import AwsConfigurationError, AwsTransientError
from sourceflow.transports.aws.client.http.address import Address
from sourceflow.transports.aws.client.http.connection import Connection
from sourceflow.transports.aws.client.http.pool import Pool
from sourceflow.transports.aws.client.http.port import CONNECTIONS
from sourceflow.transports.aws.client.http.request import write_head
from sourceflow.transports.aws.client.http.tls import make_tls_context

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from sourceflow.transports.aws.client.http.address import Origin
    from sourceflow.transports.aws.client.http.port import Answer

__all__ = ("DirectClient",)


class DirectClient:
    """``HttpClient`` straight over asyncio's transports: no more of HTTP/1.1 than AWS speaks, at the least cost.

    It never sends a request twice: SQS may have obeyed one whose answer was lost, so trying again is
    for the layer above, which has a budget for it. A connection that is found closed before anything
    was written is replaced.

    Args:
        connections: The most connections that are open at a time.
        tls: How servers are verified; None trusts the system's authorities.
    """

    __slots__ = ("_connections", "_pool", "_tls")

    def __init__(
        self, *, connections: int = CONNECTIONS, tls: ssl.SSLContext | None = None
    ) -> None:
        if connections <= 0:
            raise ValueError(f"connections must be positive, not {connections}")
        self._connections = connections
        self._tls = tls
        self._pool: Pool | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout: float,  # noqa: ASYNC109 - every implementation can bound a request better than a cancellation from outside
    ) -> Answer:
        """Post a body; see ``HttpClient.post``."""
        address = Address.of(url)
        head = write_head(address, headers, len(body))
        pool = self._pool
        if pool is None:
            pool = self._pool = Pool(self._connect, connections=self._connections)
        if timeout <= 0:
            raise AwsTransientError("no time was left to ask", code="Timeout")
        deadline = asyncio.get_running_loop().time() + timeout
        try:
            connection = await pool.take(address.origin, deadline)
            try:
                return await connection.exchange(head, body, deadline)
            finally:
                pool.give_back(address.origin, connection)
        except TimeoutError as error:
            raise AwsTransientError(f"no answer within {timeout:g} s", code="Timeout") from error
        except ssl.SSLCertVerificationError as error:
            raise AwsConfigurationError(
                f"the certificate of {address.authority} is not trusted: {error.verify_message}",
                code="UntrustedCertificate",
            ) from error
        except OSError as error:
            raise AwsTransientError(
                str(error) or type(error).__name__, code="ConnectionFailed"
            ) from error

    async def aclose(self) -> None:
        """Close the connections; a later ``post`` opens new ones."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.aclose()

    async def _connect(self, origin: Origin, deadline: float) -> Connection:
        tls = None
        if origin.scheme == "https":
            tls = self._tls = self._tls or make_tls_context()
        return await Connection.open(origin, tls=tls, deadline=deadline)
