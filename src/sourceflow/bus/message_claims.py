"""Claims on arrived messages, with which processes that share no stores filter each other's copies."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NoReturn

from sourceflow.bus.ports import ClaimState
from sourceflow.errors import DependencyError
from sourceflow.resilience.uncut import uncut

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from sourceflow.bus.ports import Idempotency
    from sourceflow.clock import Clock
    from sourceflow.messages import Envelope

__all__ = ("CLAIMS_LIVE", "LEASE", "MessageClaims", "MessageHold", "OwnedClaim")

log = logging.getLogger(__name__)

CLAIMS_LIVE: Final = timedelta(days=15)
"""How long claims of handled messages are kept: SQS keeps a message for 14 days at most
(SetQueueAttributes, MessageRetentionPeriod), so no copy can come later."""

LEASE: Final = timedelta(seconds=30)
"""How long a message stays claimed by a process that has ended without a word."""

RENEW_AFTER: Final = LEASE / 3
"""The age at which a claim is renewed: two renewals may fail before it ends."""


@dataclass(frozen=True, slots=True, eq=False)
class OwnedClaim:
    """A claim of this process.

    Attributes:
        key: What is claimed.
        token: Names this process as the owner.
        since: The monotonic second before it was taken.
    """

    key: str
    token: str
    since: float


@dataclass(slots=True)
class MessageHold:
    """The claims on one message, for those who handle it.

    Attributes:
        owned: Who may handle it now, each with its claim.
        busy: Whose work on a copy of it is under way elsewhere.
        remaining: How long the longest of their claims lasts.
        done: Those of ``owned`` whose effects are safe; to be filled by who handles the message.
    """

    owned: dict[str, OwnedClaim] = field(default_factory=dict)
    busy: list[str] = field(default_factory=list)
    remaining: timedelta = timedelta(0)
    done: list[str] = field(default_factory=list)


class MessageClaims:
    """Claims messages with the idempotency service.

    Invariants:

    - Whoever handles a message holds its claim from before the handler runs until its effects are
      safe; the claim is then completed. However else the handling ends, it is released.
    - A claim that is held is renewed; it ends with its lease only if this process stands still
      or has ended.

    Keys name the App: two Apps that share a service each handle a message once.

    Args:
        service: Keeps the claims.
        app: The App's name.
        clock: The time.
    """

    def __init__(self, service: Idempotency, *, app: str, clock: Clock) -> None:
        self._service = service
        self._app = app
        self._clock = clock
        self._held: dict[OwnedClaim, None] = {}

    @asynccontextmanager
    async def hold(
        self, message: Envelope[Any], subscribers: Iterable[str]
    ) -> AsyncIterator[MessageHold]:
        """Claim a message for each of its subscribers; the empty text stands for a command's saga.

        Raises:
            DependencyError: The service does not answer.
        """
        hold = MessageHold()
        try:
            for name in subscribers:
                # Uncut: a claim that was granted is known, and let go of, also when nobody waits.
                await uncut(self._claim(self._key(message, name), name, hold))
            yield hold
        finally:
            await uncut(self._settle(hold))

    def _key(self, message: Envelope[Any], subscriber: str) -> str:
        # Strangers choose their source: a space in it may not pass for the one before the id.
        source = message.source
        if " " in source or "%" in source:
            source = source.replace("%", "%25").replace(" ", "%20")
        return f"{self._app} {source} {message.id} {subscriber}".rstrip()

    async def _claim(self, key: str, name: str, hold: MessageHold) -> None:
        since = self._clock.monotonic()
        try:
            claim = await self._service.claim(key, LEASE)
        except DependencyError:
            raise
        except Exception as error:
            raise DependencyError(f"{self._service!r} does not answer: {error!r}") from error
        if claim.state is ClaimState.CLAIMED:
            owned = hold.owned[name] = OwnedClaim(key, claim.token, since)
            self._held[owned] = None
        elif claim.state is ClaimState.IN_PROGRESS:
            hold.busy.append(name)
            hold.remaining = max(hold.remaining, claim.remaining)

    async def _settle(self, hold: MessageHold) -> None:
        for name, owned in hold.owned.items():
            del self._held[owned]
            try:
                if name not in hold.done:
                    await self._service.release(owned.key, token=owned.token)
                elif not await self._service.complete(owned.key, CLAIMS_LIVE, token=owned.token):
                    log.warning("%s was claimed by others before it was done here", owned.key)
            except Exception as error:  # noqa: BLE001 - the message is settled; the lease ends by itself
                log.warning("the claim of %s is left to end with its lease: %r", owned.key, error)

    async def run(self) -> NoReturn:
        """Renew what is held, until cancelled."""
        while True:
            await self._clock.sleep(RENEW_AFTER.total_seconds())
            due = self._clock.monotonic() - RENEW_AFTER.total_seconds()
            async with asyncio.TaskGroup() as tasks:  # side by side: databases commit them together
                for owned in self._held:
                    if owned.since <= due:
                        tasks.create_task(self._renew(owned))

    async def _renew(self, owned: OwnedClaim) -> None:
        try:
            await self._service.extend(owned.key, LEASE, token=owned.token)
        except Exception as error:  # noqa: BLE001 - there is time for another try
            log.warning("the claim of %s was not renewed: %r", owned.key, error)
