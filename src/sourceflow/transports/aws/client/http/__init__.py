"""The one thing the client asks of HTTP: post bytes, get bytes."""

from __future__ import annotations

from sourceflow.transports.aws.client.http.asyncio_client import AsyncioClient
from sourceflow.transports.aws.client.http.choice import http_client_for
from sourceflow.transports.aws.client.http.port import HttpClient

__all__ = ("AsyncioClient", "HttpClient", "http_client_for")
