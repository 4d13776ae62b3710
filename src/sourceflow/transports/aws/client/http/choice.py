"""Which HTTP client reaches an address."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from sourceflow.transports.aws.client.http.direct_client import DirectClient
from sourceflow.transports.aws.client.http.port import CONNECTIONS
from sourceflow.transports.aws.client.http.proxies import proxy_of
from sourceflow.transports.aws.client.http.tls import load_tls_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sourceflow.transports.aws.client.http.port import HttpClient

__all__ = ("open_http_client",)


@asynccontextmanager
async def open_http_client(*urls: str, connections: int = CONNECTIONS) -> AsyncIterator[HttpClient]:
    """Open the client that reaches some addresses: through the environment's proxy, or else directly.

    Long polls hold a connection each: give receiving a client of its own, so that it never starves sending.

    Args:
        urls: The addresses that will be posted to.
        connections: The most connections that are open at a time.

    Raises:
        AwsConfigurationError: The bundle of trusted authorities cannot be read.
        MissingExtraError: There is a proxy, and aiohttp is not installed.
    """
    is_secure = any(url.startswith("https:") for url in urls)
    tls = await load_tls_context() if is_secure else None
    if not any(proxy_of(url) for url in urls):
        async with DirectClient(connections=connections, tls=tls) as direct:
            yield direct
        return
    from sourceflow.transports.aws.client.http.aiohttp_client import (  # noqa: PLC0415 - heavy, and rarely needed
        AiohttpClient,
    )

    async with AiohttpClient(connections=connections, tls=tls) as through_proxy:
        yield through_proxy
