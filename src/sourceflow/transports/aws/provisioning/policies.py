"""Queue policies that let SNS topics deliver."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

import msgspec

from sourceflow.errors import AwsConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ("allowed_topics", "may_allow", "with_topics", "without_topic")

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


def without_topic(policy: str, queue_arn: str, topic: str) -> str | None:
    """Return a policy whose statement of ours no longer names a topic, or None where it does not.

    A statement that names none is left out, and a policy without statements is empty: SQS takes it
    off the queue then. Statements of others stay as they are.

    Raises:
        AwsConfigurationError: The policy is no JSON.
    """
    document = _document(policy, queue_arn)
    statements: list[dict[str, Any]] = document["Statement"]
    ours = next((each for each in statements if each.get("Sid") == STATEMENT), None)
    known = _sources(ours)
    if topic not in known:
        return None
    left = [each for each in known if each != topic]
    kept = [each for each in statements if each is not ours]
    document["Statement"] = [*kept, _statement(queue_arn, left)] if left else kept
    return msgspec.json.encode(document).decode() if document["Statement"] else ""


def allowed_topics(policy: str, queue_arn: str) -> tuple[str, ...]:
    """Return the ARNs of the topics that our statement of a policy lets deliver.

    Raises:
        AwsConfigurationError: The policy is no JSON.
    """
    statements = _document(policy, queue_arn)["Statement"]
    return tuple(
        _sources(next((each for each in statements if each.get("Sid") == STATEMENT), None))
    )


def may_allow(policy: str, queue_arn: str, topic_arn: str) -> bool:
    """Whether a policy may let a topic deliver, by our statement or by anybody's.

    It does not do IAM's work: a statement whose principal or conditions it does not understand may
    allow it. What it denies is surely not allowed.
    """
    return any(
        statement.get("Effect") == "Allow"
        and _covers(statement.get("Action", "*"))
        and _is_from(statement, topic_arn)
        for statement in _document(policy, queue_arn)["Statement"]
    )


def _covers(actions: str | list[str]) -> bool:
    """Whether actions of a statement include sending; case does not matter to IAM."""
    named = [actions] if isinstance(actions, str) else actions
    return any(fnmatchcase("sqs:sendmessage", each.lower()) for each in named)


def _is_from(statement: dict[str, Any], topic_arn: str) -> bool:
    """Whether a statement's conditions on the source let a topic pass; it may have none."""
    for operator, condition in statement.get("Condition", {}).items():
        if not operator.lower().removeprefix("forallvalues:").startswith(("arn", "string")):
            continue
        for key, wanted in condition.items():
            patterns = [wanted] if isinstance(wanted, str) else wanted
            if key.lower() == "aws:sourcearn" and "not" not in operator.lower():
                return any(fnmatchcase(topic_arn, each) for each in patterns)
    return True


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
