"""The language in which queries say which rows they ask for: pure data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = (
    "And",
    "Comparison",
    "Condition",
    "Field",
    "IsIn",
    "IsNone",
    "Not",
    "Operator",
    "Or",
    "StartsWith",
    "field",
)

Operator = Literal["==", "!=", "<", "<=", ">", ">="]


class Condition:
    """What a row must be like; made by comparing ``field(...)``, combined with ``&``, ``|``, ``~``.

    ``and``, ``or`` and ``not`` would ask whether the condition itself is true, which it never is
    without a row: that raises ``TypeError``.
    """

    __slots__ = ()

    def __and__(self, other: Condition) -> Condition:
        if not isinstance(other, Condition):
            return NotImplemented
        return And((*_parts(And, self), *_parts(And, other)))

    def __or__(self, other: Condition) -> Condition:
        if not isinstance(other, Condition):
            return NotImplemented
        return Or((*_parts(Or, self), *_parts(Or, other)))

    def __invert__(self) -> Condition:
        return Not(self)

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "a condition is not true or false by itself: combine conditions with &, | and ~ "
            "(each in parentheses), not with and, or, not, in or chained comparisons"
        )


@dataclass(frozen=True, slots=True)
class Comparison(Condition):
    """A field stands in some relation to a value that is not None.

    None is unequal to each value, and neither smaller nor greater than any.
    """

    field: str
    operator: Operator
    value: Any


@dataclass(frozen=True, slots=True)
class IsNone(Condition):
    """A field is None."""

    field: str


@dataclass(frozen=True, slots=True)
class IsIn(Condition):
    """A field equals one of the values; none of them is None."""

    field: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class StartsWith(Condition):
    """A text begins with another one; letters count as they are written."""

    field: str
    prefix: str


@dataclass(frozen=True, slots=True)
class And(Condition):
    """All of the parts are true."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or(Condition):
    """At least one of the parts is true."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not(Condition):
    """The part is not true."""

    part: Condition


def _parts(kind: type[And | Or], condition: Condition) -> tuple[Condition, ...]:
    """Return what a condition adds to one of a kind: chains stay flat."""
    return condition.parts if isinstance(condition, kind) else (condition,)


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A field of a view model; comparing it makes a condition."""

    name: str

    def __eq__(self, value: object) -> Condition:  # type: ignore[override]
        return IsNone(self.name) if value is None else Comparison(self.name, "==", value)

    def __ne__(self, value: object) -> Condition:  # type: ignore[override]
        return Not(IsNone(self.name)) if value is None else Comparison(self.name, "!=", value)

    __hash__ = None  # type: ignore[assignment]

    def __lt__(self, value: object) -> Condition:
        return self._ordered("<", value)

    def __le__(self, value: object) -> Condition:
        return self._ordered("<=", value)

    def __gt__(self, value: object) -> Condition:
        return self._ordered(">", value)

    def __ge__(self, value: object) -> Condition:
        return self._ordered(">=", value)

    def _ordered(self, operator: Operator, value: object) -> Condition:
        if value is None:
            raise TypeError(f"{self.name!r} is not smaller or greater than None: use is_none()")
        return Comparison(self.name, operator, value)

    def is_none(self) -> Condition:
        """Return the condition that the field is None."""
        return IsNone(self.name)

    def in_(self, values: Iterable[object]) -> Condition:
        """Return the condition that the field equals one of some values; None may be among them.

        Raises:
            TypeError: The values are a single text.
        """
        if isinstance(values, (str, bytes)):
            raise TypeError(f"{self.name!r}: in_ takes a list of values, not one text")
        wanted = tuple(values)
        known = IsIn(self.name, tuple(value for value in wanted if value is not None))
        return known | IsNone(self.name) if len(known.values) < len(wanted) else known

    def startswith(self, prefix: str) -> Condition:
        """Return the condition that the field is a text which begins like this, letter by letter."""
        return StartsWith(self.name, prefix)

    def __bool__(self) -> NoReturn:
        raise TypeError(f"compare the field {self.name!r}: field({self.name!r}) == True")


def field(name: str) -> Field:
    """Return a field to compare in a query.

    ``(field("total") >= 100) & ~field("country").in_(["Chile", "Peru"])``: each comparison stands
    in parentheses, for ``&`` and ``|`` bind tighter than it.

    Args:
        name: The key, or one of the fields that the view model names in ``indexes``.
    """
    return Field(name)
