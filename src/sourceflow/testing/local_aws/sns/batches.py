"""What SNS refuses a batch for as a whole; what else is wrong fails one entry."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.sns.publishing import check_attributes_of, check_order

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sourceflow.testing.local_aws.sns.publishing import Publication
    from sourceflow.testing.local_aws.sns.topic import Topic

__all__ = ("check_ids", "check_publications")

MAX_ENTRIES: Final = 10
_ENTRY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")


def check_ids(entries: Sequence[Mapping[str, str]]) -> None:
    """Check number and ids of entries (SNS API reference, ``PublishBatch``, errors).

    Raises:
        AwsFault: There are none or too many, or ids are not valid or not distinct.
    """
    if not entries:
        raise AwsFault("EmptyBatchRequest", "The batch request doesn't contain any entries.")
    if len(entries) > MAX_ENTRIES:
        raise AwsFault(
            "TooManyEntriesInBatchRequest",
            "The batch request contains more entries than permissible.",
        )
    ids = [entry.get("Id", "") for entry in entries]
    if not all(map(_ENTRY_ID.fullmatch, ids)):
        raise AwsFault(
            "InvalidBatchEntryId",
            "The Id of a batch entry in the request doesn't abide by the rules.",
        )
    if len(set(ids)) < len(ids):
        raise AwsFault(
            "BatchEntryIdsNotDistinct", "Two or more batch entries in the request have the same Id."
        )


def check_publications(topic: Topic, publications: Sequence[Publication]) -> None:
    """Check what AWS refuses the batch for, though one message alone is wrong.

    Raises:
        AwsFault: Attributes are not allowed, ids that a FIFO topic asks for are missing, or the
            messages are too large together.
    """
    for publication in publications:
        check_attributes_of(publication)
        check_order(topic, publication)
    if sum(publication.size for publication in publications) > topic.max_bytes:
        raise AwsFault(
            "BatchRequestTooLong",
            "The length of all the messages put together is more than the limit.",
        )
