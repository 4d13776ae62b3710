"""The client's HTTP without sockets: LocalAws answers."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sourceflow.testing import LocalAws

__all__ = ("CountingHttp", "DirectHttp")


class DirectHttp:
    """Stands in for the client's HTTP: what passes is neither sockets' nor the wait for them."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass

    async def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout: float,  # noqa: ASYNC109 - as HttpClient has it
    ) -> tuple[int, Mapping[str, str], bytes]:
        return await self._aws.post(url, headers, body, timeout)

    async def aclose(self) -> None:
        pass


class CountingHttp(DirectHttp):
    """Counts what is handed out.

    Attributes:
        received: How often each message was handed out, by its SQS message id.
    """

    def __init__(self, aws: LocalAws) -> None:
        super().__init__(aws)
        self.received: Counter[str] = Counter()

    async def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout: float,  # noqa: ASYNC109 - as HttpClient has it
    ) -> tuple[int, Mapping[str, str], bytes]:
        answer = await super().post(url, headers, body, timeout)
        if headers.get("X-Amz-Target", "").endswith(".ReceiveMessage"):
            messages = json.loads(answer[2]).get("Messages", [])
            self.received.update(message["MessageId"] for message in messages)
        return answer
