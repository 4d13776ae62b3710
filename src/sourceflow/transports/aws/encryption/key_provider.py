"""Whoever makes data keys and decrypts them again: AWS KMS, or any other key service."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from sourceflow.errors import DecryptionFailedError, DependencyError, KeyUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ("CheckedKeyProvider", "GeneratedKey", "KeyProvider", "asking", "key_context")


class GeneratedKey(NamedTuple):
    """A new data key.

    Attributes:
        key_id: What encrypted it, as ``decrypt`` is to be told; it travels in clear.
        plaintext: The 32 bytes of the key; its repr leaves them out.
        encrypted: The key encrypted, to travel with what it encrypts. With ``key_id``, at most 1,024
            bytes.
    """

    key_id: str
    plaintext: bytes
    encrypted: bytes

    def __repr__(self) -> str:
        """Leave the key out: what is written to a log is no secret."""
        return f"GeneratedKey(key_id={self.key_id!r})"


class KeyProvider(Protocol):
    """Makes data keys and decrypts them again.

    It may be called several times at once. What it returns is kept for a while, and asked for anew
    after that: it need not keep anything itself.
    What it raises besides the errors named here counts as ``DependencyError``.
    """

    async def generate(self, context: Mapping[str, str]) -> GeneratedKey:
        """Make a data key.

        Args:
            context: What the key is for; must be given again to decrypt it. It is no secret.

        Raises:
            DependencyError: There is none to have now. Who sends gets this error; what is in an
                outbox waits there.
        """
        ...

    async def decrypt(self, key_id: str, encrypted: bytes, context: Mapping[str, str]) -> bytes:
        """Decrypt a data key.

        Args:
            key_id: What the message says encrypted it. Anybody can write anything there: only keys
                that are allowed may be used.
            encrypted: The encrypted key.
            context: What it was made for.

        Raises:
            DecryptionFailedError: It never will be: another key, another context, changed bytes, a
                key that is not allowed. The message becomes a dead letter at once.
            DependencyError: It cannot be decrypted now. The listener pauses until it can.
        """
        ...


@runtime_checkable
class CheckedKeyProvider(KeyProvider, Protocol):
    """A key service that can say whether it would serve, without making or decrypting anything.

    Health reports ask it each time; a provider without these methods is probed once a minute, with
    a data key of its own.
    """

    async def check_generate(self, context: Mapping[str, str]) -> None:
        """Return if ``generate`` would succeed now, and raise what it would raise otherwise."""
        ...

    async def check_decrypt(
        self, key_id: str, encrypted: bytes, context: Mapping[str, str]
    ) -> None:
        """Return if ``decrypt`` would succeed now, and raise what it would raise otherwise."""
        ...


def key_context(source: str, destination: str) -> dict[str, str]:
    """Return what a data key is for: messages of one App to one queue or topic."""
    return {"source": source, "destination": destination}


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Ask a key service for something; whatever it raises, the key is not to be had now.

    Raises:
        DecryptionFailedError: It said so.
        DependencyError: Anything else went wrong.
    """
    try:
        yield
    except (DecryptionFailedError, DependencyError):
        raise
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        raise KeyUnavailableError(f"no data key can be had of {what}: {text}") from error
