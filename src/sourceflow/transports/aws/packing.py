"""Messages as they go to their destination: in clear, or encrypted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from sourceflow.transports.aws.client import AttributeValue
from sourceflow.transports.aws.encryption import largest_size
from sourceflow.transports.aws.wire import group_of, message_size, traced, wire_attributes

if TYPE_CHECKING:
    from sourceflow.bus.ports import Outgoing
    from sourceflow.messages import TraceContext
    from sourceflow.transports.aws.encryption import Cipher

__all__ = ("Packed", "Target", "largest_packed", "pack", "pack_encrypted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A queue or a topic as it is addressed.

    Attributes:
        name: For people.
        address: Queue URL or topic ARN.
        is_topic: Which of the two.
        is_fifo: Whether it keeps order.
        max_bytes: What one message, and one batch, takes at most.
        arn: Its ARN: what messages are encrypted for.
        encrypts: Whether its messages travel encrypted.
    """

    name: str
    address: str
    is_topic: bool
    is_fifo: bool
    max_bytes: int
    arn: str = ""
    encrypts: bool = False


class Packed(msgspec.Struct, frozen=True, gc=False):
    """A message as it goes on the wire.

    Attributes:
        body: The document, in clear or encrypted.
        attributes: Its message attributes.
        size: The bytes that SQS counts.
        group: Its message group; only FIFO destinations get one.
        deduplication_id: Never left to the content: two equal commands are two commands, and two
            encryptions of one command are one. Only FIFO destinations get one.
    """

    body: str
    attributes: Mapping[str, AttributeValue]
    size: int
    group: str | None
    deduplication_id: str | None


def pack(outgoing: Outgoing, target: Target, trace: TraceContext | None = None) -> Packed:
    """Return a message that travels in clear.

    Args:
        outgoing: The message.
        target: Where it goes.
        trace: Where it stands in its trace; None where nobody follows it.
    """
    envelope = outgoing.envelope
    size = len(outgoing.body)
    attributes = traced(wire_attributes(envelope.type_name), trace, target.max_bytes - size)
    return Packed(
        outgoing.body.decode(),
        attributes.values,
        size + attributes.size,
        group_of(envelope) if target.is_fifo else None,
        envelope.id if target.is_fifo else None,
    )


async def pack_encrypted(
    outgoing: Outgoing, target: Target, cipher: Cipher, trace: TraceContext | None = None
) -> Packed:
    """Return a message that travels encrypted; see ``pack``.

    Raises:
        DependencyError: There is no data key to have now.
    """
    envelope = outgoing.envelope
    body = await cipher.encrypt(
        outgoing.body,
        message_id=envelope.id,
        type_name=envelope.type_name,
        source=envelope.source,
        destination=target.arn,
    )
    attributes = wire_attributes(envelope.type_name, encrypted=True)
    attributes = traced(attributes, trace, target.max_bytes - len(body))
    return Packed(
        body,
        attributes.values,
        len(body) + attributes.size,
        group_of(envelope, hidden=True) if target.is_fifo else None,
        envelope.id if target.is_fifo else None,
    )


def largest_packed(outgoing: Outgoing, target: Target) -> int:
    """Return the bytes that SQS counts at most: the key of an encrypted message is not known yet."""
    if not target.encrypts:
        return message_size(outgoing)
    envelope = outgoing.envelope
    body = largest_size(
        len(outgoing.body), envelope.type_name, envelope.id, envelope.source, target.arn
    )
    return body + wire_attributes(envelope.type_name, encrypted=True).size
