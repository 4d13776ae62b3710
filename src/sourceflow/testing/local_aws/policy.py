"""Resource policies, evaluated as IAM does: nothing is allowed that no statement allows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ("Principal", "allows", "check_policy", "denies")

MAX_BYTES: Final = 8_192
MAX_STATEMENTS: Final = 20
_SECURE: Final = {"aws:securetransport": "true"}
"""AWS is reached by TLS; LocalAws stands for it, though it is not."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks.

    Attributes:
        service: A service, such as ``sns.amazonaws.com``.
        account: The id of an account.
    """

    service: str | None = None
    account: str | None = None


def allows(
    document: str | None,
    *,
    action: str,
    resource: str,
    principal: Principal,
    context: Mapping[str, str],
) -> bool:
    """Whether a policy lets a principal do something; an explicit denial wins.

    Args:
        document: The policy, JSON; None allows nothing.
        action: Such as ``sqs:SendMessage``.
        resource: The ARN.
        principal: Who asks.
        context: Condition keys, such as ``aws:SourceArn``, and their values.
    """
    if document is None:
        return False
    folded = {name.lower(): value for name, value in context.items()} | _SECURE
    effects = {
        statement["Effect"]
        for statement in _statements(document)
        if _matches(statement, action, resource, principal, folded)
    }
    return effects == {"Allow"}


def denies(document: str, *, action: str, resource: str, principal: Principal) -> bool:
    """Whether a policy forbids its own account something: there all is allowed but that."""
    context = {"aws:principalaccount": principal.account or "", **_SECURE}
    return any(
        statement["Effect"] == "Deny" and _matches(statement, action, resource, principal, context)
        for statement in _statements(document)
    )


def check_policy(document: str) -> None:
    """Check a policy that is being set.

    Raises:
        ValueError: It is no JSON object, too long, or says what LocalAws cannot evaluate.
    """
    if len(document.encode()) > MAX_BYTES:
        raise ValueError(f"The policy is longer than {MAX_BYTES} bytes.")
    try:
        statements = _statements(document)
    except (msgspec.MsgspecError, ValueError):
        raise ValueError("The policy is not valid JSON.") from None
    if len(statements) > MAX_STATEMENTS:
        raise ValueError(f"The policy has more than {MAX_STATEMENTS} statements.")
    for statement in statements:
        _check_statement(statement)


def _check_statement(statement: dict[str, Any]) -> None:
    if statement.get("Effect") not in {"Allow", "Deny"}:
        raise ValueError("A statement's Effect is neither Allow nor Deny.")
    for name in ("Principal", "Action", "Resource"):
        if name not in statement:
            raise ValueError(f"A statement has no {name}; LocalAws knows no Not{name}.")
    unknown = statement.get("Condition", {}).keys() - _OPERATORS.keys()
    if unknown:
        raise ValueError(f"LocalAws knows no condition operator {min(unknown)}.")


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
    principal: Principal,
    context: Mapping[str, str],
) -> bool:
    return (
        any(_like(pattern.lower(), action.lower()) for pattern in _listed(statement.get("Action")))
        and any(_like(pattern, resource) for pattern in _listed(statement.get("Resource")))
        and _is_principal(statement.get("Principal"), principal)
        and _conditions_hold(statement.get("Condition", {}), context)
    )


def _is_principal(wanted: Any, principal: Principal) -> bool:
    if not isinstance(wanted, dict):
        return bool(wanted == "*")
    accounts = _listed(wanted.get("AWS"))
    if "*" in accounts:
        return True
    if principal.service is not None:
        return principal.service in _listed(wanted.get("Service"))
    return principal.account in accounts or f"arn:aws:iam::{principal.account}:root" in accounts


def _conditions_hold(conditions: dict[str, Any], context: Mapping[str, str]) -> bool:
    """All operators and all keys must match; of a key's values, one."""
    for operator, keys in conditions.items():
        compare = _OPERATORS[operator]
        for key, values in keys.items():
            actual = context.get(key.lower())
            if actual is None or not any(compare(value, actual) for value in _listed(values)):
                return False
    return True


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
_OPERATORS: Final[dict[str, Callable[[str, str], bool]]] = {
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "StringEquals": lambda wanted, actual: wanted == actual,
    "StringLike": _like,
    "Bool": lambda wanted, actual: wanted.lower() == actual,
}
