"""The statements of a policy, and the documents that they fit into."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
    """Return policies that IAM takes, the statements in their order; none of none.

    A statement that fills more than a policy is split by its resources.

    Raises:
        ValueError: One resource of a statement alone is too much.
    """
    documents: list[list[Statement]] = [[]]
    for each in statements:
        if _size([each]) > MAX_CHARACTERS:
            pieces = _pieces(each)
            documents += [[piece] for piece in pieces]
        elif _size([*documents[-1], each]) > MAX_CHARACTERS:
            documents.append([each])
        else:
            documents[-1].append(each)
    return tuple(map(_document, filter(None, documents)))


def _pieces(statement: Statement) -> list[Statement]:
    """Split a statement into as few as fit, each into a policy of its own."""
    pieces: list[tuple[str, ...]] = [()]
    for name in statement.resources:
        longer = (*pieces[-1], name)
        if _size([_piece(statement, len(pieces), longer)]) <= MAX_CHARACTERS:
            pieces[-1] = longer
        elif pieces[-1]:
            pieces.append((name,))
        else:
            raise ValueError(
                f"the statement {statement.sid} takes more than the {MAX_CHARACTERS:,} characters "
                "of an IAM policy, and cannot be split: use the mode 'development', with a "
                "resource_prefix"
            )
    return [_piece(statement, number, names) for number, names in enumerate(pieces, 1)]


def _piece(statement: Statement, number: int, resources: tuple[str, ...]) -> Statement:
    return replace(statement, sid=f"{statement.sid}{number}", resources=resources)


def _document(statements: Iterable[Statement]) -> dict[str, Any]:
    return {"Version": VERSION, "Statement": [each.to_dict() for each in statements]}


def _size(statements: Iterable[Statement]) -> int:
    return len("".join(msgspec.json.encode(_document(statements)).decode().split()))
