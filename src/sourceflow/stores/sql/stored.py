"""Messages as they come back out of a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sourceflow.bus.changes import Stream
from sourceflow.errors import MessageError, ReplayError
from sourceflow.messages import key_text
from sourceflow.stores.sql.vault import in_clear

if TYPE_CHECKING:
    from sourceflow.messages import Codec, Envelope
    from sourceflow.stores.sql.vault import Record

__all__ = ("reread", "stream_of")


def reread(codec: Codec, body: Record, *, position: int, type_name: str) -> Envelope[Any]:
    """Return a stored message.

    Raises:
        ReplayError: It can no longer be read; names its position, type, version and field.
        DependencyError: Its key is not to be had now.
    """
    try:
        return codec.decode(in_clear(body), type_hint=type_name)
    except MessageError as error:
        version = codec.version_in(body) if isinstance(body, bytes) else None
        raise ReplayError.unreadable(
            error, position=position, type_name=type_name, version=version
        ) from error


def stream_of(entity: str | None, key: str, envelope: Envelope[Any]) -> Stream | None:
    """Return the stream that is stored beside a message; keys are stored as text.

    A message that is about another entity than its stream tells nothing of the key's type; the
    text stands for itself then.
    """
    if entity is None:
        return None
    if key_text(envelope.key) == key:
        return Stream(entity, envelope.key)
    return Stream(entity, key)
