"""What the clients of all services share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING

from sourceflow.clock import Clock, SystemClock
from sourceflow.transports.aws.client.caller import Caller, Request
from sourceflow.transports.aws.client.retry import Retrier, RetryPolicy, RetryStats
from sourceflow.transports.aws.client.signer import RequestTemplate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sourceflow.errors import AwsError
    from sourceflow.transports.aws.client.credentials import CredentialsProvider
    from sourceflow.transports.aws.client.endpoints import Endpoint
    from sourceflow.transports.aws.client.http import HttpClient

__all__ = ("ServiceClient",)


class ServiceClient(ABC):
    """A client of one service in one region: a budget of retries, a signer, and where to send.

    It holds no connection and needs no closing; any number of tasks of one event loop may use it.

    Args:
        endpoint: Where the service answers.
        credentials: Whose requests these are.
        http: Sends them; whoever made it closes it.
        clock: Dates the signatures, measures deadlines and waits.
        retry: Which failed calls are made again.
        request_timeout: How long one attempt may take, besides the time that a long poll waits.
    """

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        credentials: CredentialsProvider,
        http: HttpClient,
        clock: Clock | None = None,
        retry: RetryPolicy | None = None,
        request_timeout: timedelta = timedelta(seconds=15),
    ) -> None:
        clock = SystemClock() if clock is None else clock
        self._endpoint = endpoint
        self._stats = RetryStats()
        self._retrier = Retrier(RetryPolicy() if retry is None else retry, clock, self._stats)
        self._caller = Caller(
            endpoint=endpoint,
            credentials=credentials,
            http=http,
            clock=clock,
            stats=self._stats,
            read_error=self._read_error,
        )
        self._request_timeout = request_timeout.total_seconds()
        self._templates: dict[str, RequestTemplate] = {}

    @property
    def endpoint(self) -> Endpoint:
        """Where the service answers."""
        return self._endpoint

    @property
    def stats(self) -> RetryStats:
        """What this client has counted; the object goes on counting."""
        return self._stats

    @staticmethod
    @abstractmethod
    def _read_error(
        status: int, headers: Mapping[str, str], body: bytes, *, operation: str
    ) -> AwsError:
        """Read an error answer of the service's protocol."""

    @staticmethod
    @abstractmethod
    def _headers(operation: str) -> Mapping[str, str]:
        """Return the headers that mark an operation in the service's protocol."""

    async def _call(self, operation: str, body: bytes, *, waiting: float = 0.0) -> bytes:
        """Call an operation and return the body of the successful answer.

        Args:
            operation: Its name.
            body: The request in the service's protocol.
            waiting: Seconds that AWS may take on purpose.

        Raises:
            AwsError: The subclass says what to do about it.
        """
        template = self._templates.get(operation)
        if template is None:
            template = RequestTemplate(self._endpoint.url, self._headers(operation))
            self._templates[operation] = template
        request = Request(operation, template, body)
        return await self._retrier.call(
            self._caller, request, seconds=self._request_timeout, waiting=waiting
        )
