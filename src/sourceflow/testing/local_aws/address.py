"""Where LocalAws listens."""

from __future__ import annotations

import errno
import os
import socket

__all__ = ("place", "refusal")


def place(host: str, port: int) -> str:
    """Return a host and its port as they stand in a URL: numbers of IPv6 in brackets (RFC 3986, 3.2.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def refusal(host: str, port: int, error: OSError) -> str:
    """Say why nothing can listen there, and what to do about it."""
    if isinstance(error, socket.gaierror):
        return f"LocalAws cannot listen on {host!r}: no address of this machine is called so"
    told = f"LocalAws cannot listen on {place(host, port)}: {os.strerror(error.errno or 0)}."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{told} Give an address of this machine."
    return f"{told} Stop what listens there, or give another port; port 0 takes a free one."
