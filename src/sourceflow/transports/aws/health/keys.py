"""Key services: whether messages could be encrypted and decrypted now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sourceflow.bus.ports import Finding
from sourceflow.errors import AwsThrottledError
from sourceflow.transports.aws.encryption import CheckedKeyProvider, KeySection, key_context

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sourceflow.clock import Clock
    from sourceflow.transports.aws.encryption import KeyProvider

__all__ = ("KeyHealth", "KeyUse")

SAMPLE_LIFETIME: Final = 300.0
"""Seconds that a data key is decrypted again and again, as a dry run, before another one is made."""

PROBE_EVERY: Final = 60.0
"""Seconds between two data keys that are made only to see that a key service serves, where it has
no dry runs."""

_NOTHING_YET: Final = "decrypting is looked at as soon as a message has been decrypted"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUse:
    """What an App does with keys.

    Attributes:
        source: The source of what it sends, ``/{app}``.
        encrypts: ARNs of the queues and topics that it sends to encrypted; ``stores`` where it
            encrypts those.
        decrypts: ARNs of the queues and topics whose messages it receives; ``stores`` likewise.
        latest: Returns the data key that was decrypted last.
    """

    source: str
    encrypts: Collection[str]
    decrypts: Collection[str]
    latest: Callable[[], KeySection | None]


class KeyHealth:
    """See that data keys can be made and decrypted, as far as this App does either.

    Actions: ``kms:GenerateDataKey`` where the App sends encrypted, ``kms:Decrypt`` where it
    receives; both as dry runs. To decrypt there must be something encrypted: a data key that the
    App makes for a queue or topic of its own that it also receives from, one in five minutes; else
    the one that was decrypted last.

    Args:
        keys: The key service.
        clock: The time.
    """

    def __init__(self, keys: KeyProvider, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._sample: KeySection | None = None
        self._sample_until = 0.0
        self._probed_until = 0.0

    async def look(self, use: KeyUse) -> Finding:
        """Look at what the App needs of its keys."""
        try:
            if isinstance(self._keys, CheckedKeyProvider):
                return await self._dry_run(self._keys, use)
            return await self._probe(use)
        except AwsThrottledError as error:
            return Finding.degraded(f"KMS asks to slow down ({error.code})")

    async def _dry_run(self, keys: CheckedKeyProvider, use: KeyUse) -> Finding:
        done = []
        if use.encrypts:
            await keys.check_generate(key_context(use.source, min(use.encrypts)))
            done.append("encrypt")
        own = _own(use)
        section = None if own is None else await self._sampled(use.source, own)
        section = section or (use.latest() if use.decrypts else None)
        if section is not None:
            await self._check_decrypt(keys, section)
            done.append("decrypt")
        return _found(done, use)

    async def _check_decrypt(self, keys: CheckedKeyProvider, section: KeySection) -> None:
        try:
            await _check(keys, section)
        except Exception:
            if section is not self._sample:
                raise
            # The alias may lead to another key by now: only what is made anew tells.
            self._sample = None
            await _check(keys, await self._sampled(section.source, section.destination))

    async def _sampled(self, source: str, destination: str) -> KeySection:
        now = self._clock.monotonic()
        if self._sample is None or now >= self._sample_until:
            self._sample = await self._made(source, destination)
            self._sample_until = now + SAMPLE_LIFETIME
        return self._sample

    async def _made(self, source: str, destination: str) -> KeySection:
        made = await self._keys.generate(key_context(source, destination))
        return KeySection(made.key_id, made.encrypted, source, destination)

    async def _probe(self, use: KeyUse) -> Finding:
        """Make and decrypt a data key, once in a while; at each look while that fails."""
        now = self._clock.monotonic()
        if now < self._probed_until:
            return Finding.healthy("it has made and decrypted a data key less than a minute ago")
        done = []
        section = use.latest() if use.decrypts else None
        if use.encrypts:
            own = _own(use)
            made = await self._made(use.source, own or min(use.encrypts))
            section = section if own is None else made
            done.append("encrypt")
        if section is not None:
            context = key_context(section.source, section.destination)
            await self._keys.decrypt(section.key_id, section.encrypted_key, context)
            done.append("decrypt")
        if done:
            self._probed_until = now + PROBE_EVERY
        return _found(done, use)


async def _check(keys: CheckedKeyProvider, section: KeySection) -> None:
    context = key_context(section.source, section.destination)
    await keys.check_decrypt(section.key_id, section.encrypted_key, context)


def _own(use: KeyUse) -> str | None:
    """Return a destination that the App sends to encrypted, and receives from."""
    return min(set(use.encrypts) & set(use.decrypts), default=None)


def _found(done: list[str], use: KeyUse) -> Finding:
    text = f"it can {' and '.join(done)}" if done else "nothing to look at yet"
    if use.decrypts and "decrypt" not in done:
        text = f"{text}; {_NOTHING_YET}"
    return Finding.healthy(text)
