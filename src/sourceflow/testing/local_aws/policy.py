"""Policies of resources and of identities, evaluated as IAM does: nothing is allowed that no statement allows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from sourceflow.testing.local_aws.policy_grammar import check_document, check_ids, check_statement

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = (
    "Effect",
    "Principal",
    "allows",
    "check_identity_policy",
    "check_policy",
    "denies",
    "effect_of",
)

Effect = Literal["Allow", "Deny"]

MAX_BYTES: Final = 8_192
MAX_STATEMENTS: Final = 20

MAX_IDENTITY_CHARACTERS: Final = 6_144
"""Characters of a managed policy, white space not counted (IAM user guide, "IAM and AWS STS quotas")."""

_SECURE: Final = {"aws:securetransport": "true"}
"""AWS is reached by TLS; LocalAws stands for it, though it is not."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks.

    Attributes:
        service: A service, such as ``sns.amazonaws.com``.
        account: The id of an account.
        arn: The ARN of a user of that account; None is the account itself.
    """

    service: str | None = None
    account: str | None = None
    arn: str | None = None


def allows(
    document: str | None,
    *,
    action: str,
    resource: str,
    principal: Principal,
    context: Mapping[str, str | tuple[str, ...]],
) -> bool:
    """Whether a policy lets a principal do something; an explicit denial wins.

    Args:
        document: The policy, JSON; None allows nothing.
        action: Such as ``sqs:SendMessage``.
        resource: The ARN.
        principal: Who asks.
        context: Condition keys, such as ``aws:SourceArn``, and their values.
    """
    return document is not None and effect_of(document, action, resource, principal, context) == (
        "Allow"
    )


def effect_of(
    document: str,
    action: str,
    resource: str,
    principal: Principal | None,
    context: Mapping[str, str | tuple[str, ...]],
) -> Effect | None:
    """Return what a policy says of a request, or None where it says nothing; a denial wins.

    Args:
        document: The policy, JSON.
        action: Such as ``sqs:SendMessage``.
        resource: The ARN.
        principal: Who asks; None where the policy is that of who asks.
        context: Condition keys and their values; a key of several values has a tuple.
    """
    folded = {name.lower(): value for name, value in context.items()} | _SECURE
    effects = {
        statement["Effect"]
        for statement in _statements(document)
        if _matches(statement, action, resource, principal, folded)
    }
    if "Deny" in effects:
        return "Deny"
    return "Allow" if effects else None


def denies(document: str, *, action: str, resource: str, principal: Principal) -> bool:
    """Whether a policy forbids its own account something: there all is allowed but that."""
    context = {"aws:PrincipalAccount": principal.account or ""}
    return effect_of(document, action, resource, principal, context) == "Deny"


def check_policy(document: str) -> None:
    """Check a policy of a resource that is being set.

    Raises:
        ValueError: It is no policy, too long, or says what LocalAws cannot evaluate.
    """
    if len(document.encode()) > MAX_BYTES:
        raise ValueError(f"The policy is longer than {MAX_BYTES} bytes.")
    statements = check_document(_decoded(document))
    if len(statements) > MAX_STATEMENTS:
        raise ValueError(f"The policy has more than {MAX_STATEMENTS} statements.")
    for statement in statements:
        check_statement(statement, operators=_OPERATORS, has_principal=True)


def check_identity_policy(document: str) -> None:
    """Check a policy that somebody is given.

    Raises:
        ValueError: It is no policy, too long, or says what LocalAws cannot evaluate.
    """
    if len("".join(document.split())) > MAX_IDENTITY_CHARACTERS:
        raise ValueError(f"The policy is longer than {MAX_IDENTITY_CHARACTERS} characters.")
    statements = check_document(_decoded(document))
    if not statements:
        raise ValueError("The policy has no Statement.")
    for statement in statements:
        check_statement(statement, operators=_OPERATORS, has_principal=False)
    check_ids(statements)


def _decoded(document: str) -> Any:
    try:
        return msgspec.json.decode(document)
    except msgspec.MsgspecError:
        raise ValueError("The policy is not valid JSON.") from None


@lru_cache(maxsize=1_000)
def _statements(document: str) -> tuple[dict[str, Any], ...]:
    return check_document(_decoded(document))


def _matches(
    statement: dict[str, Any],
    action: str,
    resource: str,
    principal: Principal | None,
    context: Mapping[str, str | tuple[str, ...]],
) -> bool:
    return (
        any(_like(pattern.lower(), action.lower()) for pattern in _listed(statement.get("Action")))
        and any(_covers(pattern, resource) for pattern in _listed(statement.get("Resource")))
        and (principal is None or _is_principal(statement, principal))
        and _conditions_hold(statement.get("Condition", {}), context)
    )


def _is_principal(statement: dict[str, Any], principal: Principal) -> bool:
    wanted = statement.get("Principal")
    if not isinstance(wanted, dict):
        return bool(wanted == "*")
    named = _listed(wanted.get("AWS"))
    if "*" in named:
        return True
    if principal.service is not None:
        return principal.service in _listed(wanted.get("Service"))
    if principal.arn is not None and principal.arn in named:
        return True
    is_account = principal.account in named or f"arn:aws:iam::{principal.account}:root" in named
    # What an account is allowed it may pass on to its users; what it is denied, all of them are
    # (IAM user guide, "AWS JSON policy elements: Principal").
    return is_account and (principal.arn is None or statement["Effect"] == "Deny")


def _conditions_hold(
    conditions: dict[str, Any], context: Mapping[str, str | tuple[str, ...]]
) -> bool:
    """All operators and all keys must match; of a key's values, one."""
    for operator, keys in conditions.items():
        compare = _OPERATORS[operator]
        for key, values in keys.items():
            actual = context.get(key.lower(), ())
            if not any(compare(value, each) for value in _listed(values) for each in _all(actual)):
                return False
    return True


def _all(actual: str | tuple[str, ...]) -> tuple[str, ...]:
    return (actual,) if isinstance(actual, str) else actual


def _listed(value: Any) -> list[str]:
    if value is None:
        return []
    values = value if isinstance(value, list) else [value]
    return [str(each).lower() if isinstance(each, bool) else str(each) for each in values]


def _like(pattern: str, text: str) -> bool:
    return _pattern(pattern).fullmatch(text) is not None


def _covers(pattern: str, arn: str) -> bool:
    """Whether a pattern of resources includes an ARN.

    A wildcard stays within its part of the ARN; an asterisk that ends one goes on over colons (IAM
    user guide, "IAM JSON policy elements: Resource").
    """
    return _resource_pattern(pattern).fullmatch(arn) is not None


def _arn_like(pattern: str, arn: str) -> bool:
    """Compare part by part: a wildcard does not reach over a colon of the first five."""
    wanted, actual = pattern.split(":", 5), arn.split(":", 5)
    return len(wanted) == len(actual) and all(map(_like, wanted, actual))


@lru_cache(maxsize=1_000)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


@lru_cache(maxsize=1_000)
def _resource_pattern(pattern: str) -> re.Pattern[str]:
    within = re.escape(pattern).replace(r"\*", "[^:]*").replace(r"\?", "[^:]")
    return re.compile(re.sub(r"\[\^:\]\*(?=:|$)", ".*", within), re.DOTALL)


# IAM user guide, "IAM JSON policy elements: Condition operators": ArnEquals behaves like ArnLike.
_SINGLE: Final[dict[str, Callable[[str, str], bool]]] = {
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "StringEquals": lambda wanted, actual: wanted == actual,
    "StringLike": _like,
    "Bool": lambda wanted, actual: wanted.lower() == actual,
}

_OPERATORS: Final = _SINGLE | {f"ForAnyValue:{name}": compare for name, compare in _SINGLE.items()}
