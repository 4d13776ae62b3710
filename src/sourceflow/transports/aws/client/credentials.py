"""Whose requests these are: credentials from botocore's chain, renewed before they expire."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from sourceflow.clock import Clock, SystemClock
from sourceflow.errors import AwsCredentialsError, MissingExtraError
from sourceflow.transports.aws.client._botocore import new_session

if TYPE_CHECKING:
    from collections.abc import Callable

    import botocore.credentials

    _Found = tuple[botocore.credentials.Credentials, "Credentials"]

__all__ = ("ChainCredentials", "Credentials", "CredentialsProvider", "StaticCredentials")

_log = logging.getLogger(__name__)

#: Ask for new credentials when the present ones have less than this many seconds left: botocore's advisory window.
ADVISORY_WINDOW = 15 * 60
#: With fewer seconds left nobody goes on with the old ones; every caller waits for the new.
MANDATORY_WINDOW = 60
#: Seconds between two looks at how much time is left.
CHECK_INTERVAL = 1.0
#: Seconds until renewal is tried again within the advisory window. Sessions of 15 minutes are born inside it.
RENEWAL_INTERVAL = 60.0

_HELP = (
    "no AWS credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile with AWS_PROFILE, "
    "log in (aws sso login), or give the task, pod or instance a role"
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What requests are signed with.

    Attributes:
        access_key: The access key id; AWS sees it in clear.
        secret_key: The secret; never sent, never shown.
        token: The session token of temporary credentials; sent, never shown.
    """

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


class CredentialsProvider(Protocol):
    """Where a client gets its credentials from, before each request."""

    async def get(self) -> Credentials:
        """Return credentials that are good for at least this request.

        Raises:
            AwsCredentialsError: There are none, or they could not be renewed.
        """
        ...

    async def refresh(self, refused: Credentials) -> Credentials:
        """Return other credentials than those that AWS has just refused, where there are any.

        Args:
            refused: The ones AWS refused. If they were replaced meanwhile, nothing is asked again.

        Raises:
            AwsCredentialsError: There are none.
        """
        ...


class StaticCredentials:
    """Credentials that never change, for emulators and tests."""

    __slots__ = ("_credentials",)

    def __init__(self, access_key: str, secret_key: str, token: str | None = None) -> None:
        self._credentials = Credentials(access_key, secret_key, token)

    async def get(self) -> Credentials:
        """Return them."""
        return self._credentials

    async def refresh(self, refused: Credentials) -> Credentials:  # noqa: ARG002 - there are no others
        """Return them again."""
        return self._credentials


class ChainCredentials:
    """Credentials through botocore's chain: environment, files, SSO, processes, roles, containers, instances.

    botocore blocks, so it runs in a thread. One caller at a time renews. Within the advisory window the
    others go on with what they have; in the last minute they wait. Nothing runs in the background.

    Args:
        profile: A profile of the shared AWS files; None takes ``AWS_PROFILE`` or the default one.
        clock: Paces how often the remaining time is looked at; the expiry itself is botocore's business.
    """

    __slots__ = (
        "_check_at",
        "_clock",
        "_current",
        "_failure",
        "_lock",
        "_lookups",
        "_profile",
        "_source",
    )

    def __init__(self, *, profile: str | None = None, clock: Clock | None = None) -> None:
        self._profile = profile
        self._clock = SystemClock() if clock is None else clock
        self._source: botocore.credentials.Credentials | None = None
        self._current: Credentials | None = None
        self._check_at = 0.0
        self._lock = asyncio.Lock()
        self._lookups = 0
        self._failure: AwsCredentialsError | None = None

    async def get(self) -> Credentials:
        """Return credentials; looks them up the first time, renews them ahead of expiry.

        Raises:
            AwsCredentialsError: There are none, or they are about to expire and could not be renewed.
            MissingExtraError: botocore is not installed.
        """
        current = self._current
        if current is None:
            return await self._look_up(self._resolve)
        now = self._clock.monotonic()
        if now < self._check_at:
            return current
        if not self._expire_within(ADVISORY_WINDOW):
            self._check_at = now + CHECK_INTERVAL
            return current
        if self._expire_within(MANDATORY_WINDOW):
            return await self._look_up(self._renewed)
        # Set before the wait: meanwhile the other callers go on with the present credentials.
        self._check_at = now + RENEWAL_INTERVAL
        try:
            return await self._look_up(self._renewed)
        except AwsCredentialsError as error:
            _log.warning(
                "AWS credentials expire within %d s and could not be renewed yet: %s",
                ADVISORY_WINDOW,
                error,
            )
            return current

    async def refresh(self, refused: Credentials) -> Credentials:
        """Resolve the whole chain afresh: files are read again, roles are assumed again.

        Raises:
            AwsCredentialsError: There are none.
        """
        if self._current is not None and self._current != refused:
            return self._current
        return await self._look_up(self._resolve)

    async def _look_up(self, ask: Callable[[], _Found]) -> Credentials:
        """Ask botocore in a thread, one caller at a time; those who waited share what came of it."""
        lookups = self._lookups
        async with self._lock:
            if self._lookups == lookups:
                await self._ask(ask)
            if self._failure is not None:
                raise self._failure
            assert self._current is not None
            return self._current

    async def _ask(self, ask: Callable[[], _Found]) -> None:
        try:
            source, found = await asyncio.to_thread(_guarded, ask)
        except AwsCredentialsError as error:
            self._failure = error
        else:
            self._failure = None
            self._source = source
            if found != self._current:  # the signer recognises an object, not its value
                self._current = found
            self._check_at = max(self._check_at, self._clock.monotonic() + CHECK_INTERVAL)
        self._lookups += 1

    def _resolve(self) -> _Found:
        source = new_session(self._profile).get_credentials()
        if source is None:
            raise AwsCredentialsError(_HELP, code="NoCredentials")
        return source, _frozen(source)

    def _renewed(self) -> _Found:
        source = self._source
        assert source is not None
        return source, _frozen(source)  # within its own windows botocore renews here

    def _expire_within(self, seconds: int) -> bool:
        needed = getattr(self._source, "refresh_needed", None)
        return needed is not None and bool(needed(refresh_in=seconds))


def _frozen(source: botocore.credentials.Credentials) -> Credentials:
    frozen = source.get_frozen_credentials()
    if not frozen.access_key or not frozen.secret_key:
        raise AwsCredentialsError(_HELP, code="NoCredentials")
    return Credentials(frozen.access_key, frozen.secret_key, frozen.token or None)


def _guarded(ask: Callable[[], _Found]) -> _Found:
    try:
        return ask()
    except (AwsCredentialsError, MissingExtraError):
        raise
    except Exception as error:
        # Credential processes, plugins and token files each fail in their own way; here it is all the same.
        raise AwsCredentialsError(str(error), code=type(error).__name__) from error
