"""Which implementation carries the requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sourceflow.transports.aws.client.http.asyncio_client import AsyncioClient
from sourceflow.transports.aws.client.http.proxies import proxy_of

if TYPE_CHECKING:
    from sourceflow.transports.aws.client.http.port import HttpClient

__all__ = ("http_client_for",)


def http_client_for(*urls: str, connections: int = 100) -> HttpClient:
    """Return a client for requests to these URLs: our own, or aiohttp where one needs a proxy.

    Args:
        urls: Where requests will go.
        connections: The most requests that are under way at a time.

    Raises:
        MissingExtraError: There is a proxy, and aiohttp is not installed.
    """
    if all(proxy_of(url) is None for url in urls):
        return AsyncioClient(connections=connections)
    from sourceflow.transports.aws.client.http.aiohttp_client import (  # noqa: PLC0415 - heavy, and rarely needed
        AiohttpClient,
    )

    return AiohttpClient(connections=connections)
