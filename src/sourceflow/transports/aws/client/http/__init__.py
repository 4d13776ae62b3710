"""Posting bytes over HTTP: the port, and the two ways through it.

``DirectClient`` speaks HTTP/1.1 itself and is what messages travel by; ``AiohttpClient`` knows proxies.
``open_http_client`` chooses.
"""

from __future__ import annotations

from sourceflow.transports.aws.client.http.choice import open_http_client
from sourceflow.transports.aws.client.http.direct_client import DirectClient
from sourceflow.transports.aws.client.http.port import HttpClient

__all__ = ("DirectClient", "HttpClient", "open_http_client")
