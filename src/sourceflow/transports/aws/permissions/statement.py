"""The statements of a policy, and the documents that they fit into."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ("MAX_CHARACTERS", "Statement", "documents_of", "without_repeats")

MAX_CHARACTERS: Final = 6_144
"""Characters of a managed policy, white space not counted (IAM user guide, "IAM and AWS STS quotas")."""

VERSION: Final = "2012-10-17"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Allows some actions on some resources.

    Attributes:
        sid: What it is for, in letters and digits.
        actions: Such as ``sqs:SendMessage``.
        resources: ARNs.
        condition: Where it counts, as IAM writes it; everywhere if empty.
    """

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return it as IAM takes it."""
        document: dict[str, Any] = {
            "Sid": self.sid,
            "Effect": "Allow",
            "Action": list(self.actions),
            "Resource": list(self.resources),
        }
        if self.condition:
            document["Condition"] = {name: dict(keys) for name, keys in self.condition.items()}
        return document


def without_repeats(statements: Iterable[Statement]) -> list[Statement]:
    """Leave out what the statements before allow already, under the same condition."""
    kept: list[Statement] = []
    allowed: dict[bytes, set[tuple[str, str]]] = {}
    for each in statements:
        known = allowed.setdefault(msgspec.json.encode(each.condition), set())
        news = {(a, r) for a in each.actions for r in each.resources} - known
        if not news:
            continue
        known |= news
        actions = tuple(a for a in each.actions if any(a == action for action, _ in news))
        resources = tuple(r for r in each.resources if any(r == resource for _, resource in news))
        kept.append(replace(each, actions=actions, resources=resources))
    return kept


def documents_of(statements: Iterable[Statement]) -> tuple[dict[str, Any], ...]:
    """Return policies that IAM takes, as few as it can; none of no statement.

    Each statement is in the first policy that has room for it: one policy has them in their order.
    A statement that fills more than a policy is split, by its resources or by its condition.

    Raises:
        ValueError: One resource or one value of a condition alone is too much.
    """
    documents: list[list[Statement]] = []
    for each in statements:
        for piece in [each] if _fits(each) else _pieces(each):
            place = next((some for some in documents if _fits(*some, piece)), None)
            if place is None:
                documents.append([piece])
            else:
                place.append(piece)
    return tuple(map(_document, documents))


def _pieces(statement: Statement) -> list[Statement]:
    """Split a statement into as few as fit into policies.

    It is split by its resources. Where the condition alone takes too much, it is split by the
    longest list of values there: one of them has to match, so the pieces allow what it allows.
    """
    if not statement.condition or _fits(_piece(statement, 1, statement.resources[:1])):
        return _packed(statement, statement.resources, partial(_piece, statement))
    operator, key, values = _longest_list(statement)
    return _packed(statement, values, partial(_piece_of_condition, statement, operator, key))


def _packed(
    statement: Statement,
    values: tuple[str, ...],
    piece: Callable[[int, tuple[str, ...]], Statement],
) -> list[Statement]:
    """Return pieces, each with as many of the values as fit."""
    packed: list[tuple[str, ...]] = [()]
    for value in values:
        if _fits(piece(len(packed), (*packed[-1], value))):
            packed[-1] = (*packed[-1], value)
            continue
        packed = [*filter(None, packed), (value,)]
        if not _fits(piece(len(packed), packed[-1])):
            raise ValueError(
                f"the statement {statement.sid} takes more than the {MAX_CHARACTERS:,} characters "
                "of an IAM policy, and cannot be split: use the mode 'development', with a "
                "resource_prefix"
            )
    return [piece(number, some) for number, some in enumerate(packed, 1)]


def _longest_list(statement: Statement) -> tuple[str, str, tuple[str, ...]]:
    """Return the condition with the most values: its operator, its key, and the values."""
    lists = [
        (operator, key, (values,) if isinstance(values, str) else tuple(values))
        for operator, keys in statement.condition.items()
        for key, values in keys.items()
    ]
    return max(lists, key=lambda each: len("".join(each[2])))


def _piece(statement: Statement, number: int, resources: tuple[str, ...]) -> Statement:
    return replace(statement, sid=f"{statement.sid}{number}", resources=resources)


def _piece_of_condition(
    statement: Statement, operator: str, key: str, number: int, values: tuple[str, ...]
) -> Statement:
    keys = {**statement.condition[operator], key: list(values)}
    condition = {**statement.condition, operator: keys}
    return replace(statement, sid=f"{statement.sid}{number}", condition=condition)


def _fits(*statements: Statement) -> bool:
    return _size(statements) <= MAX_CHARACTERS


def _document(statements: Iterable[Statement]) -> dict[str, Any]:
    return {"Version": VERSION, "Statement": [each.to_dict() for each in statements]}


def _size(statements: Iterable[Statement]) -> int:
    return len("".join(msgspec.json.encode(_document(statements)).decode().split()))
