"""Filter policies: which messages a subscription wants (SNS developer guide, "message filtering")."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sourceflow.testing.local_aws.attributes import MessageAttribute

__all__ = ("check_filter_policy", "wants_attributes", "wants_body")

MAX_KEYS: Final = 5
MAX_COMBINATIONS: Final = 150
_COMPARISONS: Final = {
    "=": lambda value, limit: value == limit,
    "<": lambda value, limit: value < limit,
    "<=": lambda value, limit: value <= limit,
    ">": lambda value, limit: value > limit,
    ">=": lambda value, limit: value >= limit,
}


def check_filter_policy(text: str, *, may_nest: bool) -> dict[str, Any]:
    """Return a filter policy that is being set.

    Args:
        text: The policy, JSON.
        may_nest: Whether keys may hold keys: those of a body may, attributes do not nest.

    Raises:
        ValueError: It is no valid one.
    """
    try:
        policy = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError:
        raise ValueError("failed to parse JSON.") from None
    if len(policy) > MAX_KEYS:
        raise ValueError(f"Filter policy can not have more than {MAX_KEYS} keys")
    leaves = list(_leaves(policy, 1, may_nest=may_nest))
    for _, rules in leaves:
        for rule in rules:
            _check_rule(rule)
    if prod(depth * len(rules) for depth, rules in leaves) > MAX_COMBINATIONS:
        raise ValueError("Filter policy is too complex")
    return policy


def _leaves(
    policy: dict[str, Any], depth: int, *, may_nest: bool
) -> Iterator[tuple[int, list[Any]]]:
    """Return every list of rules and how deep it lies: a rule counts once for each level."""
    for name, value in policy.items():
        if isinstance(value, dict):
            if not may_nest:
                raise ValueError(
                    "Filter policy scope MessageAttributes does not support nested filter policy"
                )
            yield from _leaves(value, depth + 1, may_nest=may_nest)
        elif not isinstance(value, list):
            raise ValueError(f'"{name}" must be an object or an array')  # noqa: TRY004 - AWS's text
        elif not value:
            raise ValueError("Empty arrays are not allowed")
        else:
            yield depth, value


def _check_rule(rule: Any) -> None:
    if isinstance(rule, list):
        raise ValueError("Match value must be String, number, true, false, or null")  # noqa: TRY004 - AWS's text
    if not isinstance(rule, dict):
        return
    if len(rule) != 1:
        raise ValueError("Only one key allowed in match expression")
    operator, wanted = next(iter(rule.items()))
    check = _CHECKS.get(operator)
    if check is None:
        raise ValueError(f"Unrecognized match type {operator}")
    if not check(wanted):
        raise ValueError(f"Bad value of {operator}: {wanted}")


def _is_anything_but_rule(wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return len(wanted) == 1 and all(
            operator in _TEXT_OPERATORS and isinstance(text, str)
            for operator, text in wanted.items()
        )
    refused = wanted if isinstance(wanted, list) else [wanted]
    return bool(refused) and all(isinstance(each, str | int | float) for each in refused)


def _is_numeric_rule(wanted: Any) -> bool:
    """A comparison, or two that make a range."""
    return (
        isinstance(wanted, list)
        and len(wanted) in {2, 4}
        and all(each in _COMPARISONS for each in wanted[::2])
        and all(isinstance(each, int | float) for each in wanted[1::2])
    )


_TEXT_OPERATORS: Final = ("prefix", "suffix", "equals-ignore-case")
_CHECKS: Final[dict[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(_TEXT_OPERATORS, lambda wanted: isinstance(wanted, str)),
    "exists": lambda wanted: isinstance(wanted, bool),
    "anything-but": _is_anything_but_rule,
    "numeric": _is_numeric_rule,
}


def wants_attributes(policy: dict[str, Any], attributes: Mapping[str, MessageAttribute]) -> bool:
    """Whether message attributes match: every key, by one of its rules."""
    return all(_matches(rules, _values_of(attributes.get(name))) for name, rules in policy.items())


def _values_of(attribute: MessageAttribute | None) -> list[Any] | None:
    """Return what an attribute may be compared with; None where it is missing or binary."""
    if attribute is None or attribute.string_value is None:
        return None
    if attribute.data_type.startswith("Number"):
        return [float(attribute.string_value)]
    if attribute.data_type == "String.Array":
        try:
            values = msgspec.json.decode(attribute.string_value)
        except msgspec.MsgspecError:
            return None
        return values if isinstance(values, list) else [values]
    return [attribute.string_value]


def wants_body(policy: dict[str, Any], body: str) -> bool:
    """Whether a JSON body matches: every key, by one of its rules, at any depth."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return isinstance(document, dict) and _matches_nested(policy, document)


def _matches_nested(policy: dict[str, Any], document: dict[str, Any]) -> bool:
    for name, rules in policy.items():
        value = document.get(name)
        if isinstance(rules, dict):
            if not isinstance(value, dict) or not _matches_nested(rules, value):
                return False
            continue
        values = None if name not in document else value if isinstance(value, list) else [value]
        if not _matches(rules, values):
            return False
    return True


def _matches(rules: list[Any], values: list[Any] | None) -> bool:
    return any(_matches_rule(rule, values) for rule in rules)


def _matches_rule(rule: Any, values: list[Any] | None) -> bool:
    if isinstance(rule, dict):
        operator, wanted = next(iter(rule.items()))
        if operator == "exists":
            return (values is not None) == bool(wanted)
        return values is not None and any(_compare(operator, wanted, each) for each in values)
    return values is not None and any(_equal(rule, each) for each in values)


def _equal(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, bool) or isinstance(value, bool):
        return wanted is value
    return bool(wanted == value)


def _compare(operator: str, wanted: Any, value: Any) -> bool:
    match operator:
        case "prefix":
            return isinstance(value, str) and value.startswith(wanted)
        case "suffix":
            return isinstance(value, str) and value.endswith(wanted)
        case "equals-ignore-case":
            return isinstance(value, str) and value.casefold() == str(wanted).casefold()
        case "anything-but":
            return _is_anything_but(wanted, value)
        case _:
            return _is_in_range(wanted, value)


def _is_anything_but(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, dict):
        operator, text = next(iter(wanted.items()))
        return not _compare(operator, text, value)
    refused = wanted if isinstance(wanted, list) else [wanted]
    return not any(_equal(each, value) for each in refused)


def _is_in_range(comparisons: list[Any], value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    pairs = zip(comparisons[::2], comparisons[1::2], strict=True)
    return all(_COMPARISONS[sign](value, limit) for sign, limit in pairs)
