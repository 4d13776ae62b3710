"""One attempt at a call: sign, post, sort out what came back, and mend what can be mended."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Protocol

from sourceflow.errors import AwsError
from sourceflow.transports.aws.client.errors import blames_the_clock, name_operation
from sourceflow.transports.aws.client.signer import Signer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sourceflow.clock import Clock
    from sourceflow.transports.aws.client.credentials import Credentials, CredentialsProvider
    from sourceflow.transports.aws.client.endpoints import Endpoint
    from sourceflow.transports.aws.client.http import HttpClient
    from sourceflow.transports.aws.client.retry import RetryStats
    from sourceflow.transports.aws.client.signer import RequestTemplate

__all__ = ("Caller", "ErrorReader", "Failure", "Request")

_OK = 200
#: A clock that is less wrong than this is not why AWS refused: signatures are good for five minutes.
_TOLERATED_SKEW = timedelta(minutes=4)


@dataclass(slots=True)
class Request:
    """One call in all its attempts.

    Attributes:
        operation: The API operation.
        template: What all requests of the operation share.
        body: The request in the service's protocol.
        credentials: What the last attempt was signed with.
        time: When the last attempt was signed.
        refreshed: Whether credentials were renewed for it.
        clock_corrected: Whether the clock was corrected for it.
    """

    operation: str
    template: RequestTemplate
    body: bytes
    credentials: Credentials | None = None
    time: datetime | None = None
    refreshed: bool = False
    clock_corrected: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that failed.

    Attributes:
        error: What it comes to.
        headers: The headers of the answer, names in lower case; empty where none came.
    """

    error: AwsError
    headers: Mapping[str, str] = field(default_factory=dict)


class ErrorReader(Protocol):
    """Reads an error answer of one protocol."""

    def __call__(
        self, status: int, headers: Mapping[str, str], body: bytes, *, operation: str
    ) -> AwsError:
        """Return the error that stands for the answer."""
        ...


class Caller:
    """Makes single attempts, with the present credentials and the time as AWS sees it.

    Args:
        endpoint: Where the service answers.
        credentials: Whose requests these are.
        http: Sends them.
        clock: Dates the signatures.
        stats: Where it counts what it mended.
        read_error: Reads an error answer of the service's protocol.
    """

    __slots__ = ("_clock", "_credentials", "_http", "_offset", "_read_error", "_signer", "_stats")

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        credentials: CredentialsProvider,
        http: HttpClient,
        clock: Clock,
        stats: RetryStats,
        read_error: ErrorReader,
    ) -> None:
        self._credentials = credentials
        self._http = http
        self._clock = clock
        self._stats = stats
        self._read_error = read_error
        self._signer = Signer(service=endpoint.service, region=endpoint.region)
        self._offset = timedelta(0)

    async def attempt(self, request: Request, seconds: float) -> bytes | Failure:
        """Make the call once and return the answer's body, or what went wrong.

        Args:
            request: What is called.
            seconds: How long it may take.

        Raises:
            AwsCredentialsError: There are no credentials to sign with.
        """
        request.credentials = credentials = await self._credentials.get()
        request.time = time = self._clock.now() + self._offset
        headers = self._signer.sign(request.template, request.body, credentials, time)
        try:
            status, answered, body = await self._http.post(
                request.template.url, headers, request.body, seconds
            )
        except AwsError as error:
            name_operation(error, request.operation)
            return Failure(error)
        if status == _OK:
            return body
        lowered = {name.lower(): value for name, value in answered.items()}
        return Failure(
            self._read_error(status, lowered, body, operation=request.operation), lowered
        )

    async def mend(self, request: Request, failure: Failure) -> bool:
        """Correct the clock or renew the credentials, once each for a request; return whether to try again.

        Args:
            request: What was refused.
            failure: How: its error is about the signature or the credentials.

        Raises:
            AwsCredentialsError: There are no other credentials.
        """
        if not request.clock_corrected and self._correct_clock(request, failure):
            request.clock_corrected = True
            self._stats.clock_corrections += 1
            return True
        if request.refreshed or request.credentials is None:
            return False
        request.refreshed = True
        self._stats.refreshes += 1
        renewed = await self._credentials.refresh(request.credentials)
        return renewed != request.credentials

    def _correct_clock(self, request: Request, failure: Failure) -> bool:
        if request.time is None or not blames_the_clock(failure.error):
            return False
        theirs = _date(failure.headers.get("date", ""))
        if theirs is None or abs(theirs - request.time) <= _TOLERATED_SKEW:
            return False
        self._offset = theirs - self._clock.now()
        return True


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
