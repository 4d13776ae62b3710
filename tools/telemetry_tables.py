"""Writes the tables of docs/guide/telemetry.md from the catalogue of names.

Run it in the project's folder after a change there: ``python tools/telemetry_tables.py``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from sourceflow.telemetry.names import ATTRIBUTES, METRICS, SPANS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sourceflow.telemetry.kinds import Attribute, Metric, Span

GUIDE = Path("docs/guide/telemetry.md")


def with_tables(text: str) -> str:
    """Return the guide with its tables as the catalogue has them."""
    rows = {
        "spans": [
            ("span", "scope", "kind", "made", "covers", "attributes"),
            *map(_span_row, SPANS),
        ],
        "metrics": [
            ("metric", "scope", "kind", "unit", "says", "told apart by"),
            *map(_metric_row, METRICS),
        ],
        "attributes": [("attribute", "says", "values"), *map(_attribute_row, ATTRIBUTES)],
    }
    for name, (head, *body) in rows.items():
        before, mark, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        text = before + mark + _table(head, body) + end + after
    return text


def _table(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |\n" for row in (head, *body)]
    return lines[0] + "|---" * len(head) + "|\n" + "".join(lines[1:])


def _span_row(span: Span) -> Sequence[str]:
    return (
        f"`{span.name}`",
        f"`{span.scope}`",
        f"`{span.kind}`",
        "with details" if span.is_detail else "always",
        _prose(span.description),
        _codes(span.attributes),
    )


def _metric_row(metric: Metric) -> Sequence[str]:
    return (
        f"`{metric.name}`",
        f"`{metric.scope}`",
        metric.kind,
        f"`{metric.unit}`",
        _prose(metric.description),
        _codes(metric.attributes),
    )


def _attribute_row(attribute: Attribute) -> Sequence[str]:
    return f"`{attribute.name}`", _prose(attribute.description), _codes(attribute.values)


def _codes(names: Sequence[object]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _prose(text: str) -> str:
    """Return a description as Markdown: without its full stop, which cells do not have."""
    return re.sub("`+", "`", text).removesuffix(".")


if __name__ == "__main__":
    GUIDE.write_text(with_tables(GUIDE.read_text()))
