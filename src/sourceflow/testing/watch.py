"""Sees what an App under test handles, and wakes who waits for it."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

from sourceflow.bus.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Callable

    from sourceflow.bus.dead_letter import DeadLetter
    from sourceflow.messages import Envelope, KeyType

__all__ = ("Watch",)

FoundT = TypeVar("FoundT")

FEW = 10
"""Types and keys that an error names at most."""


class Watch(Observer):
    """Remembers what was handled and what was given up.

    Attributes:
        unexpected: Dead letters that nobody has waited for.
    """

    def __init__(self) -> None:
        self._handled: list[Any] = []
        self._named: Counter[tuple[str, KeyType]] = Counter()
        self.unexpected: list[DeadLetter] = []
        self._changed = asyncio.Event()

    def handled(
        self,
        envelope: Envelope[Any],
        sequence: int | None,  # noqa: ARG002 - that it was is enough
        seconds: float,  # noqa: ARG002
    ) -> None:
        """Note a command."""
        self._note(envelope)

    def projected(self, envelope: Envelope[Any], subscriber: str) -> None:  # noqa: ARG002 - one is enough
        """Note an event, for each of its subscribers."""
        self._note(envelope)

    def dead_lettered(self, letter: DeadLetter) -> None:
        """Note what was given up."""
        self.unexpected.append(letter)
        self._changed.set()

    def _note(self, envelope: Envelope[Any]) -> None:
        self._handled.append(envelope)
        self._named[envelope.type_name, envelope.key] += 1
        self._changed.set()

    def find(self, kind: type[Any], key: KeyType, times: int) -> Any | None:
        """Return the message of a type and a key that was handled for the n-th time, or None."""
        found = {
            (envelope.source, envelope.id): envelope.message
            for envelope in self._handled
            if type(envelope.message) is kind and envelope.key == key
        }
        return None if len(found) < times else list(found.values())[times - 1]

    def take_letter(self, type_name: str) -> DeadLetter | None:
        """Return a dead letter of a type, which is expected from now on, or None."""
        for letter in self.unexpected:
            if letter.type_name == type_name:
                self.unexpected.remove(letter)
                return letter
        return None

    async def until(self, look: Callable[[], FoundT | None]) -> FoundT:
        """Wait until a look finds something, and return it."""
        while True:
            self._changed.clear()
            found = look()
            if found is not None:
                return found
            await self._changed.wait()

    def told(self) -> str:
        """Say what was handled and what was given up, for people."""
        names = [
            f"{name} {key!r}" + (f" ({count} times)" if count > 1 else "")
            for (name, key), count in sorted(self._named.items(), key=str)
        ]
        if len(names) > FEW:
            names = [*names[:FEW], f"{len(names) - FEW} more"]
        letters = [
            f"{letter.type_name} is a dead letter ({letter.reason}: {letter.error})"
            for letter in self.unexpected
        ]
        handled = f"handled were {', '.join(names)}" if names else "nothing was handled"
        return "; ".join([handled, *letters])
