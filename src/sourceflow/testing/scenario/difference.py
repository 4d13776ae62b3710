"""What was expected beside what came, for people: sensitive values are masked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sourceflow.messages.shown_fields import names_of
from sourceflow.testing.scenario.likeness import Likeness

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ("difference", "kind_of")


def difference(expected: Sequence[Any], came: Sequence[Any]) -> str:
    """Return the lines of both: ``-`` for what was expected only, ``+`` for what came only."""
    return "\n".join(_lines(expected, came))


def _lines(expected: Sequence[Any], came: Sequence[Any]) -> Iterator[str]:
    missing: list[Any] = []
    further: list[Any] = []
    for mark, value in [*_marked(expected, came), ("end", None)]:
        if mark == "-":
            missing.append(value)
        elif mark == "+":
            further.append(value)
        else:
            yield from _block(missing, further)
            missing, further = [], []
            if mark == " ":
                yield f"    {value!r}"


def _block(missing: Sequence[Any], further: Sequence[Any]) -> Iterator[str]:
    """Yield what differs in one place; values of one type beside each other, with their fields."""
    rest = list(further)
    for value in missing:
        yield f"  - {value!r}"
        at = next((at for at, each in enumerate(rest) if type(each) is kind_of(value)), None)
        if at is not None:
            twin = rest.pop(at)
            yield f"  + {twin!r}"
            yield f"    differs in {', '.join(_fields(value, twin))}"
    for value in rest:
        yield f"  + {value!r}"


def _fields(one: Any, other: Any) -> list[str]:
    if isinstance(one, Likeness):
        return one.differing(other)
    return [name for name in names_of(type(one)) if getattr(one, name) != getattr(other, name)]


def kind_of(expected: Any) -> type[Any]:
    """Return the class that is expected."""
    return expected.kind if isinstance(expected, Likeness) else type(expected)


def _marked(expected: Sequence[Any], came: Sequence[Any]) -> list[tuple[str, Any]]:
    """Return both sequences as one: the longest that they have in common keeps its place."""
    ends = [[0] * (len(came) + 1) for _ in range(len(expected) + 1)]
    for row in reversed(range(len(expected))):
        for column in reversed(range(len(came))):
            ends[row][column] = (
                ends[row + 1][column + 1] + 1
                if expected[row] == came[column]
                else max(ends[row + 1][column], ends[row][column + 1])
            )
    marked: list[tuple[str, Any]] = []
    row = column = 0
    while row < len(expected) or column < len(came):
        both = row < len(expected) and column < len(came)
        if both and expected[row] == came[column]:
            marked.append((" ", came[column]))
            row, column = row + 1, column + 1
        elif column == len(came) or (both and ends[row + 1][column] >= ends[row][column + 1]):
            marked.append(("-", expected[row]))
            row += 1
        else:
            marked.append(("+", came[column]))
            column += 1
    return marked
