"""What commands print: a table for people, or JSON for programs."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console
    from rich.text import Text

__all__ = ("AsJson", "Output", "printable", "say")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, an object a line.")]
"""The option ``--json`` of every command that lists something."""

_WIDTH: Final = 10_000
"""Columns of a table that no terminal shows: nothing is wrapped for who reads a pipe."""


class Output:
    """Prints rows in one of the two forms; the members of each row are the same in both.

    Args:
        as_json: Whether programs read it.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def table(
        self, columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, empty: str
    ) -> None:
        """Print rows: those columns of a table, or all members as JSON, an object a line.

        Args:
            columns: The members that people see, in order; they are the heads, too.
            rows: The rows.
            empty: What to tell people where there are none.
        """
        if self.as_json:
            for row in rows:
                _write_json(row)
            return
        from rich.table import Table

        table = Table(*columns, box=None, pad_edge=False, header_style="bold")
        for row in rows:
            table.add_row(*(_cell(row[name]) for name in columns))
        if table.row_count:
            _console().print(table)
        else:
            say(empty)

    def record(self, record: Mapping[str, Any]) -> None:
        """Print one thing: a line for each of its members, or one JSON object."""
        if self.as_json:
            _write_json(record)
            return
        from rich.table import Table
        from rich.text import Text

        table = Table("", "", box=None, pad_edge=False, show_header=False)
        for name, value in record.items():
            table.add_row(Text(name, style="bold"), _cell(value))
        _console().print(table)


def say(text: str, style: str = "") -> None:
    """Print a sentence for people."""
    from rich.console import Console
    from rich.text import Text

    console = Console(soft_wrap=True, highlight=False)
    console.print(Text(printable(text), style=style))


def printable(text: str) -> str:
    """Return a text with what would steer a terminal written out: messages come from strangers."""
    if text.isprintable():
        return text
    return "".join(
        each if each == "\n" or each.isprintable() else ascii(each)[1:-1] for each in text
    )


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH)


def _cell(value: object) -> Text:
    from rich.text import Text

    if isinstance(value, Text):
        return value
    return Text(printable(_shown(value)), overflow="fold")


def _shown(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds").replace("+00:00", "Z")
    if isinstance(value, (str, int, float, Decimal, timedelta)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_shown, value)) or "-"
    return msgspec.json.encode(value).decode()


def _write_json(value: object) -> None:
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
