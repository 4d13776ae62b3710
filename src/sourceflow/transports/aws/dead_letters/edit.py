"""An edited letter: a new message in the place of one that was given up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from sourceflow.errors import MalformedError, MessageError, UnknownTypeError
from sourceflow.messages import Envelope, new_message_id

if TYPE_CHECKING:
    from datetime import datetime

    from sourceflow.messages import Codec, Kind
    from sourceflow.transports.aws.wire import Arrived

__all__ = ("Edited", "edited_body", "edited_message")

_DOCUMENT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT: Final = msgspec.json.Decoder(str)
_UNREADABLE: Final = (msgspec.MsgspecError, RecursionError, ValueError)


class Edited(NamedTuple):
    """A message that takes the place of a dead letter.

    Attributes:
        id: Its own id, a new one.
        source: Who made it.
        type_name: The wire name.
        body: The document, in clear.
        envelope: The message, where this App knows its type.
    """

    id: str
    source: str
    type_name: str
    body: bytes
    envelope: Envelope[Any] | None


def edited_body(body: bytes, *, codec: Codec, kind: Kind) -> Edited:
    """Return an edited document under a new id; every other member stays as it is written.

    A type that this App does not know is left to whoever does.

    Raises:
        MalformedError: It is not one of our documents.
        WrongKindError: Its queue takes the other kind.
    """
    try:
        members = _DOCUMENT.decode(body)
        type_name = _TEXT.decode(members["type"])
        source = _TEXT.decode(members["source"])
    except (*_UNREADABLE, KeyError):
        raise MalformedError("the edited body is not one of our documents") from None
    message_id = new_message_id()
    members["id"] = msgspec.Raw(msgspec.json.encode(message_id))
    new = msgspec.json.encode(members)
    try:
        envelope = codec.decode(new, type_hint=type_name, kind=kind)
    except UnknownTypeError:
        return Edited(message_id, source, type_name, new, None)
    return Edited(message_id, source, type_name, new, envelope)


def edited_message(
    message: Any,
    letter: Arrived,
    *,
    codec: Codec,
    kind: Kind,
    source: str,
    now: datetime,
) -> Edited:
    """Return a command or event under a new id, with the other metadata of the letter.

    Args:
        message: The command or event.
        letter: The letter, in clear.
        codec: Reads and writes messages.
        kind: What its queue takes.
        source: Who made it, where the letter does not say so.
        now: The time.

    Raises:
        InvalidMessageError: It holds something that cannot be sent.
        WrongKindError: Its queue takes the other kind.
    """
    message_id = new_message_id()
    try:
        before: Envelope[Any] = codec.decode(letter.body, type_hint=letter.type_hint)
    except MessageError:  # what can't be read has no metadata to keep
        envelope = Envelope(
            message=message, id=message_id, source=source, time=now, correlation_id=message_id
        )
    else:
        envelope = msgspec.structs.replace(before, message=message, id=message_id, time=now)
    new = codec.encode(envelope)
    codec.decode(new, kind=kind)
    return Edited(message_id, envelope.source, envelope.type_name, new, envelope)
