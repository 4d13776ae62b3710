"""Which addresses are reached through a proxy."""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

__all__ = ("proxy_of",)


def proxy_of(url: str) -> str | None:
    """Return the proxy that the environment names for an address, or None.

    Args:
        url: The address; ``HTTPS_PROXY``, ``HTTP_PROXY`` or ``ALL_PROXY`` apply to it, ``NO_PROXY`` exempts it.
    """
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return None if not proxy or proxy_bypass(parts.hostname or "") else proxy
