"""Policies of resources and of identities, evaluated as IAM does: nothing is allowed that no statement allows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

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
        ValueError: It is no JSON object, too long, or says what LocalAws cannot evaluate.
    """
    if len(document.encode()) > MAX_BYTES:
        raise ValueError(f"The policy is longer than {MAX_BYTES} bytes.")
    statements = _read(document)
    if len(statements) > MAX_STATEMENTS:
        raise ValueError(f"The policy has more than {MAX_STATEMENTS} statements.")
    for statement in statements:
        _check_statement(statement, ("Principal", "Action", "Resource"))


def check_identity_policy(document: str) -> None:
    """Check a policy that somebody is given.

    Raises:
        ValueError: It is no JSON object, too long, or says what LocalAws cannot evaluate.
    """
    if len("".join(document.split())) > MAX_IDENTITY_CHARACTERS:
        raise ValueError(f"The policy is longer than {MAX_IDENTITY_CHARACTERS} characters.")
    statements = _read(document)
    if not statements:
        raise ValueError("The policy has no Statement.")
    for statement in statements:
        if "Principal" in statement:
            raise ValueError("A policy of an identity has no Principal: it is that of its owner.")
        _check_statement(statement, ("Action", "Resource"))


def _read(document: str) -> tuple[dict[str, Any], ...]:
    try:
        return _statements(document)
    except (msgspec.MsgspecError, ValueError):
        raise ValueError("The policy is not valid JSON.") from None


def _check_statement(statement: dict[str, Any], members: tuple[str, ...]) -> None:
    if statement.get("Effect") not in {"Allow", "Deny"}:
        raise ValueError("A statement's Effect is neither Allow nor Deny.")
    for name in members:
        if name not in statement:
            raise ValueError(f"A statement has no {name}; LocalAws knows no Not{name}.")
    unknown = statement.get("Condition", {}).keys() - _OPERATORS.keys()
    if unknown:
        raise ValueError(f"LocalAws knows no condition operator {min(unknown)}.")
    if "${" in msgspec.json.encode(statement).decode():
        raise ValueError("LocalAws knows no policy variables, such as ${aws:username}.")


@lru_cache(maxsize=1_000)
def _statements(document: str) -> tuple[dict[str, Any], ...]:
    found = msgspec.json.decode(document, type=dict[str, Any]).get("Statement", [])
    statements = found if isinstance(found, list) else [found]
    if not all(isinstance(statement, dict) for statement in statements):
        raise ValueError("a statement is no object")
    return tuple(statements)


def _matches(
    statement: dict[str, Any],
    action: str,
    resource: str,
    principal: Principal | None,
    context: Mapping[str, str | tuple[str, ...]],
) -> bool:
    return (
        any(_like(pattern.lower(), action.lower()) for pattern in _listed(statement.get("Action")))
        and any(_like(pattern, resource) for pattern in _listed(statement.get("Resource")))
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
    return [str(each) for each in values]


def _like(pattern: str, text: str) -> bool:
    return _pattern(pattern).fullmatch(text) is not None


def _arn_like(pattern: str, arn: str) -> bool:
    """Compare part by part: a wildcard does not reach over a colon of the first five."""
    wanted, actual = pattern.split(":", 5), arn.split(":", 5)
    return len(wanted) == len(actual) and all(map(_like, wanted, actual))


@lru_cache(maxsize=1_000)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


# IAM user guide, "IAM JSON policy elements: Condition operators": ArnEquals behaves like ArnLike.
_SINGLE: Final[dict[str, Callable[[str, str], bool]]] = {
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "StringEquals": lambda wanted, actual: wanted == actual,
    "StringLike": _like,
    "Bool": lambda wanted, actual: wanted.lower() == actual,
}

_OPERATORS: Final = _SINGLE | {f"ForAnyValue:{name}": compare for name, compare in _SINGLE.items()}
