"""A request as it goes over the wire."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from sourceflow.errors import AwsConfigurationError
from sourceflow.transports.aws.client.http.port import USER_AGENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sourceflow.transports.aws.client.http.address import Address

__all__ = ("write_head",)

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
#: These say where a message ends and how long a connection lives: a caller's would contradict ours.
_OURS = frozenset({"connection", "content-length", "expect", "te", "transfer-encoding", "upgrade"})
#: The line of the length, and the empty one.
_LAST_LINES = 2


def write_head(address: Address, headers: Mapping[str, str], length: int) -> bytes:
    """Write everything of a POST that comes before its body.

    Args:
        address: Where it goes.
        headers: Sent as they are; ``Host`` and ``User-Agent`` are added where they are missing.
        length: Bytes of the body.

    Raises:
        AwsConfigurationError: A value holds a line end or a NUL, and would be read as another header.
        ValueError: A name is none, or says how long the body or the connection is.
    """
    opening = _opening(address, tuple(headers))
    fields = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    head = f"{opening}{fields}Content-Length: {length}\r\n\r\n"
    # Each header makes one line: where there are more, a value holds a line end.
    lines = opening.count("\n") + len(headers) + _LAST_LINES
    if head.count("\n") != lines or head.count("\r") != lines or "\0" in head:
        raise AwsConfigurationError(
            f"the value of {_culprit(headers)} holds a line end or a NUL", code="InvalidHeader"
        )
    return head.encode()


@lru_cache(maxsize=256)
def _opening(address: Address, names: tuple[str, ...]) -> str:
    """Return the request line and the headers that are added: the same for all requests of an operation."""
    given = {name.lower() for name in names}
    for name in names:
        if not _NAME.fullmatch(name) or name.lower() in _OURS:
            raise ValueError(f"{name!r} cannot be sent as a header")
    lines = [f"POST {address.target} HTTP/1.1\r\n"]
    if "host" not in given:
        lines.append(f"Host: {address.authority}\r\n")
    if "user-agent" not in given:
        lines.append(f"User-Agent: {USER_AGENT}\r\n")
    return "".join(lines)


def _culprit(headers: Mapping[str, str]) -> str:
    return next(name for name, value in headers.items() if set(value) & set("\r\n\0"))
