"""The one thing the client asks of HTTP: post bytes, get bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("CONNECTIONS", "CONNECT_TIMEOUT", "USER_AGENT", "Answer", "HttpClient")

CONNECTIONS: Final = 100
"""How many connections a client opens at most, unless it is told otherwise."""

CONNECT_TIMEOUT: Final = 5.0
"""Seconds to wait for a connection to open; AWS answers a handshake at once or not at all."""

USER_AGENT: Final = "sourceflow"
"""Who asks, for AWS's logs."""

Answer: TypeAlias = "tuple[int, Mapping[str, str], bytes]"
"""Status, headers and body; headers are found by their names in lower case."""


class HttpClient(Protocol):
    """Sends a request and waits for the whole answer.

    A protocol so small that an emulator in the same process can stand in for a server.
    """

    async def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout: float,  # noqa: ASYNC109 - every implementation can bound a request better than a cancellation from outside
    ) -> Answer:
        """Post a body and return the status, headers and body of the answer, whatever the status.

        Args:
            url: Where to.
            headers: Sent as they are.
            body: What is sent.
            timeout: Seconds until it gives up, waiting for a connection included.

        Raises:
            AwsTransientError: No whole answer came; the request may have taken effect.
            AwsConfigurationError: The other side's certificate is not trusted, or a header holds what
                no header may.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...
