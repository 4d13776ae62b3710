"""What a policy may consist of: AWS refuses what it does not know, and so does LocalAws.

A member that is misspelt would else be no member, and the policy allow more than its author meant
(IAM user guide, "Grammar of the IAM JSON policy language").
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

__all__ = ("check_document", "check_ids", "check_statement")

Statement = dict[str, Any]

_VERSIONS: Final = frozenset({"2012-10-17", "2008-10-17"})
_DOCUMENT: Final = frozenset({"Version", "Id", "Statement"})
_STATEMENT: Final = frozenset({"Sid", "Effect", "Principal", "Action", "Resource", "Condition"})
_PRINCIPALS: Final = frozenset({"AWS", "Service"})
_SID: Final = re.compile("[A-Za-z0-9]*")
_ACTION: Final = re.compile(r"\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+")
_RESOURCE: Final = re.compile(r"\*|arn:([^:]*:){4}.+|arn:.*\*")


def check_document(document: object) -> tuple[Statement, ...]:
    """Return the statements of a policy.

    Raises:
        ValueError: It is none.
    """
    policy = _object("The policy", document)
    _check_members("The policy", policy, _DOCUMENT)
    if policy.get("Version", "2012-10-17") not in _VERSIONS:
        raise ValueError(f"The policy's Version is none: {' or '.join(sorted(_VERSIONS))}.")
    found = policy.get("Statement", [])
    statements = found if isinstance(found, list) else [found]
    return tuple(_object("A statement", statement) for statement in statements)


def check_statement(
    statement: Statement, *, operators: Collection[str], has_principal: bool
) -> None:
    """Check a statement.

    Args:
        statement: The statement.
        operators: The condition operators that can be evaluated.
        has_principal: Whether it says whom it is about, as one of a resource's policy does.

    Raises:
        ValueError: AWS would refuse it, or LocalAws cannot evaluate it.
    """
    _check_members("A statement", statement, _STATEMENT)
    if statement.get("Effect") not in ("Allow", "Deny"):
        raise ValueError("A statement's Effect is neither Allow nor Deny.")
    if has_principal:
        _check_principal(statement)
    elif "Principal" in statement:
        raise ValueError("A policy of an identity has no Principal: it is that of its owner.")
    for name, pattern in (("Action", _ACTION), ("Resource", _RESOURCE)):
        for value in _texts(f"A statement's {name}", statement.get(name)):
            if not pattern.fullmatch(value):
                raise ValueError(f"A statement's {name} {value!r} is none.")
    _check_condition(statement.get("Condition", {}), operators)
    if "${" in msgspec.json.encode(statement).decode():
        raise ValueError("LocalAws knows no policy variables, such as ${aws:username}.")


def check_ids(statements: Sequence[Statement]) -> None:
    """Check the ids of the statements of an identity's policy.

    Raises:
        ValueError: One has other signs than letters and digits, or two have the same.
    """
    ids = [each["Sid"] for each in statements if "Sid" in each]
    for sid, count in Counter(map(str, ids)).items():
        if not _SID.fullmatch(sid):
            raise ValueError(f"The Sid {sid!r} is none: it has letters and digits only.")
        if count > 1:
            raise ValueError(f"The Sid {sid!r} is that of {count} statements.")


def _check_members(whose: str, members: dict[str, Any], known: Collection[str]) -> None:
    for name in members:
        if name not in known:
            raise ValueError(f"{whose} has a {name}, which LocalAws does not know.")


def _check_principal(statement: Statement) -> None:
    principal = statement.get("Principal")
    if principal == "*":
        return
    named = _object("A statement's Principal", principal)
    _check_members("A statement's Principal", named, _PRINCIPALS)
    for name, values in named.items():
        _texts(f"A statement's {name} Principal", values)


def _check_condition(condition: object, operators: Collection[str]) -> None:
    for operator, keys in _object("A statement's Condition", condition).items():
        if operator not in operators:
            raise ValueError(f"LocalAws knows no condition operator {operator}.")
        for key, values in _object(f"A statement's {operator}", keys).items():
            several = values if isinstance(values, list) else [values]
            if not all(isinstance(each, str | int | float) for each in several):
                raise ValueError(f"A statement's {operator} has no value of {key}.")


def _object(what: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} is missing, or no object of JSON.")  # noqa: TRY004 - a policy is text
    return value


def _texts(what: str, values: object) -> list[str]:
    """Return one text, or several.

    Raises:
        ValueError: It is none, or something else.
    """
    found: list[Any] = values if isinstance(values, list) else [values]
    if not found or not all(isinstance(each, str) for each in found):
        raise ValueError(f"{what} is missing, or neither a text nor a list of texts.")
    return found
