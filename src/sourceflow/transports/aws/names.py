"""What queues and topics may be called."""

from __future__ import annotations

import re
from typing import Final

__all__ = (
    "check_queue_name",
    "check_topic_name",
    "dead_letter_name",
    "display_name",
    "event_queue_name",
    "is_fifo",
)

FIFO: Final = ".fifo"

MAX_QUEUE_NAME: Final = 80
"""Characters, ``.fifo`` included (SQS API reference, ``CreateQueue``)."""

MAX_TOPIC_NAME: Final = 256
"""Characters, ``.fifo`` included (SNS API reference, ``CreateTopic``)."""

_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")


def check_queue_name(name: str, *, prefix: str = "") -> str:
    """Check a queue's name and return it with its prefix.

    Raises:
        ValueError: It cannot be one.
    """
    return _check("queue", name, prefix, MAX_QUEUE_NAME)


def check_topic_name(name: str, *, prefix: str = "") -> str:
    """Check a topic's name and return it with its prefix.

    Raises:
        ValueError: It cannot be one.
    """
    return _check("topic", name, prefix, MAX_TOPIC_NAME)


def _check(what: str, name: str, prefix: str, longest: int) -> str:
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"the {what}'s name is blank: give a name such as 'orders.fifo'")
    if re.match(r"(?i)https?://", name):
        raise ValueError(f"the {what}'s name {name!r} is a URL: {_give_only(name, '/')}")
    if name.lower().startswith("arn:"):
        raise ValueError(f"the {what}'s name {name!r} is an ARN: {_give_only(name, ':')}")
    if not _NAME.fullmatch(name.removesuffix(FIFO)):
        raise ValueError(
            f"the {what}'s name {name!r} may hold letters, digits, '-' and '_' only, and end in "
            "'.fifo'"
        )
    full = prefix + name
    if len(full) > longest:
        raise ValueError(
            f"the {what}'s name {full!r} has {len(full)} characters; AWS takes {longest}"
        )
    return full


def _give_only(name: str, separator: str) -> str:
    return f"give the name only, {name.rstrip(separator).rpartition(separator)[2]!r}"


def is_fifo(name: str) -> bool:
    """Whether a queue or topic of this name keeps order."""
    return name.endswith(FIFO)


def dead_letter_name(queue: str) -> str:
    """Return the name of a queue's dead letter queue: it has to be of the same kind."""
    if is_fifo(queue):
        return f"{queue.removesuffix(FIFO)}-dlq{FIFO}"
    return f"{queue}-dlq"


def event_queue_name(app: str, *, fifo: bool) -> str:
    """Return the name of an App's own event queue for standard or for FIFO topics."""
    return f"{app}-events{FIFO if fifo else ''}"


def display_name(topic: str) -> str:
    """Return a topic's display name: ``order-events`` is shown as ``Order Events``."""
    words = re.split(r"[-_]+", topic.removesuffix(FIFO))
    return " ".join(word[:1].upper() + word[1:] for word in words if word)[:100]
