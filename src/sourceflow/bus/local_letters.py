"""Dead letters of work in this process: how they are named, and how they are tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sourceflow.bus.changes import Changes, Destination, OutboxRow, Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sourceflow.bus.ports import Stores
    from sourceflow.clock import Clock
    from sourceflow.messages import Codec

__all__ = ("LocalLetters", "local_source")

_LOCAL: Final = "local:"

_NO_ENTITY: Final = ""
"""Stands for the source stream of what is tried again: that of the letter is not kept."""


def local_source(destination: Destination) -> str:
    """Return where a letter was taken from that the outbox has given up."""
    return f"{_LOCAL}{destination}"


def _destination_of(source: str) -> Destination | None:
    """Return where a letter was on its way to; None where it was taken from a queue."""
    if not source.startswith(_LOCAL):
        return None
    kind, _, name = source.removeprefix(_LOCAL).partition(":")
    return Destination(kind, name)


class LocalLetters:
    """Puts dead letters of the outbox back into it.

    Args:
        stores: Where they are kept.
        take: Takes committed rows on their way.
        codec: Reads them.
        clock: The time.
    """

    def __init__(
        self,
        *,
        stores: Stores,
        take: Callable[[Sequence[OutboxRow]], None],
        codec: Codec,
        clock: Clock,
    ) -> None:
        self._stores = stores
        self._take = take
        self._codec = codec
        self._clock = clock

    async def redrive(self, letter_id: str) -> None:
        """Let a message go where it was on its way to, from the first try on.

        Who has handled it meanwhile knows it as a duplicate.

        Raises:
            LookupError: There is no such letter.
            ValueError: It was taken from a queue.
            MessageError: It can no longer be read.
        """
        letter = await self._stores.dead_letters.get(letter_id)
        if letter is None:
            raise LookupError(f"there is no dead letter {letter_id!r}")
        destination = _destination_of(letter.source)
        if destination is None:
            raise ValueError(
                f"the dead letter {letter_id!r} was taken from the queue {letter.source}: redrive "
                "that queue's dead letters"
            )
        envelope = self._codec.decode(letter.body, type_hint=letter.type_name)
        body = None if destination.is_local else letter.body
        row = OutboxRow(envelope, destination, Stream(_NO_ENTITY, envelope.key), body)
        async with self._stores.begin() as uow:
            rows = await uow.commit(Changes(outbox=[row]))
        await self._stores.dead_letters.mark_replayed(letter_id, self._clock.now())
        self._take(rows)
