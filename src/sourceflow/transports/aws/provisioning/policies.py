"""Queue policies that let SNS topics deliver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from sourceflow.errors import AwsConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ("allows", "with_topics")

STATEMENT: Final = "sourceflow-sns"
"""The id of the one statement that is ours: a policy holds 20 at most, so there is one for all topics."""

MAX_POLICY: Final = 8_192
"""Bytes of a queue policy (SQS developer guide, "Quotas related to policies")."""


def with_topics(policy: str, queue_arn: str, topics: Collection[str]) -> str | None:
    """Return a policy that also lets topics deliver, or None where it does so already.

    Statements of others stay as they are; topics that our statement names already stay in it.

    Args:
        policy: The queue's policy; empty where it has none.
        queue_arn: The queue.
        topics: ARNs of the topics.

    Raises:
        AwsConfigurationError: The policy is no JSON, or would become too long.
    """
    document = _document(policy, queue_arn)
    statements: list[dict[str, Any]] = document["Statement"]
    ours = next((each for each in statements if each.get("Sid") == STATEMENT), None)
    known = _sources(ours)
    wanted = sorted({*known, *topics})
    if ours is not None and wanted == sorted(known):
        return None
    others = [each for each in statements if each is not ours]
    document["Statement"] = [*others, _statement(queue_arn, wanted)]
    written = msgspec.json.encode(document).decode()
    if len(written.encode()) > MAX_POLICY:
        raise AwsConfigurationError(
            f"the policy of {queue_arn} would take more than {MAX_POLICY:,} bytes with "
            f"{len(wanted)} topics: use fewer topics, or another App for some of them",
            code="PolicyTooLong",
        )
    return written


def allows(policy: str, queue_arn: str, topics: Collection[str]) -> bool:
    """Whether our statement of a policy lets topics deliver."""
    statements = _document(policy, queue_arn)["Statement"]
    ours = next((each for each in statements if each.get("Sid") == STATEMENT), None)
    return set(topics) <= set(_sources(ours))


def _document(policy: str, queue_arn: str) -> dict[str, Any]:
    if not policy:
        return {"Version": "2012-10-17", "Statement": []}
    try:
        document: dict[str, Any] = msgspec.json.decode(policy, type=dict[str, Any])
    except msgspec.MsgspecError:
        raise AwsConfigurationError(
            f"the policy of {queue_arn} cannot be read", code="InvalidPolicy"
        ) from None
    statements = document.get("Statement", [])
    document["Statement"] = statements if isinstance(statements, list) else [statements]
    return document


def _sources(statement: dict[str, Any] | None) -> list[str]:
    if statement is None:
        return []
    found = statement.get("Condition", {}).get("ArnEquals", {}).get("aws:SourceArn", [])
    return [found] if isinstance(found, str) else list(found)


def _statement(queue_arn: str, topics: list[str]) -> dict[str, Any]:
    account = queue_arn.split(":")[4]
    return {
        "Sid": STATEMENT,
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {
            "ArnEquals": {"aws:SourceArn": topics},
            "StringEquals": {"aws:SourceAccount": account},
        },
    }
