"""Many statements as one: how a transaction on PostgreSQL takes a single round trip."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sourceflow.stores.sql.database.port import Step

__all__ = ("Combined", "combine")

_PLACEHOLDER: Final = re.compile(r"\$(\d+)")


class Combined(NamedTuple):
    """Several statements joined.

    Attributes:
        text: The SQL; its placeholders are numbered through.
        checks: How many of its columns only check; those behind them are results.
    """

    text: str
    checks: int


def combine(steps: Sequence[Step]) -> Combined:
    """Join steps into one statement of common table expressions.

    All of them see the same snapshot and run in one transaction, whether the outer query reads
    them or not (PostgreSQL manual, 7.8.4, data-modifying statements in WITH). A step that touches
    another number of rows than it must makes the statement divide by zero, which undoes all.
    """
    parts: list[str] = []
    checks: list[str] = []
    results: list[str] = []
    offset = 0
    for index, step in enumerate(steps):
        text, count = _shift(step.statement.text, offset)
        offset += count
        name = f"s{index}"
        if step.statement.returns:
            results.append(f"(SELECT array_agg(value ORDER BY position) FROM {name})")  # nosec B608 # noqa: S608 - our own names
        elif step.rows is not None:
            text += " RETURNING 1"
        if step.rows is not None:
            touched = f"(SELECT count(*) FROM {name})"  # nosec B608 # noqa: S608 - our own name
            checks.append(f"1 / (CASE {touched} WHEN {step.rows} THEN 1 ELSE 0 END)")
        parts.append(f"{name} AS ({text})")
    columns = ", ".join((*checks, *results)) or "1"
    return Combined(f"WITH {', '.join(parts)} SELECT {columns}", len(checks))


def _shift(text: str, offset: int) -> tuple[str, int]:
    """Number a statement's placeholders on; return also how many there are."""
    highest = max((int(each) for each in _PLACEHOLDER.findall(text)), default=0)
    return _PLACEHOLDER.sub(lambda each: f"${int(each[1]) + offset}", text), highest
