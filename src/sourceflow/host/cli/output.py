"""What commands print: a table for people, or JSON for programs."""

from __future__ import annotations

import json
import re
import sys
from contextlib import redirect_stdout
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final, TextIO

import msgspec
import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

__all__ = ("AsJson", "Output", "aside", "printable", "say", "write")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, an object a line.")]
"""The option ``--json`` of every command that lists something."""

_WIDTH: Final = 10_000
"""Columns of a table that no terminal shows: nothing is wrapped for who reads a pipe."""

_LAST: Final = 20
"""Columns that the last cell of a row needs at least: it is folded, the others never are."""

_GAP: Final = 2

_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]")


class Output:
    """Prints rows in one of the two forms; the members of each row are the same in both.

    Args:
        as_json: Whether programs read it.
        aside: Whether it is no answer, but part of a question: then it goes to standard error.
    """

    def __init__(self, *, as_json: bool, aside: bool = False) -> None:
        self.as_json = as_json
        self._aside = aside

    def table(
        self, columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, empty: str
    ) -> None:
        """Print rows: those columns of a table, or all members as JSON, an object a line.

        Where a terminal is too narrow for the table, each row is a block of lines: what is to be
        copied, such as an id, stays in one piece.

        Args:
            columns: The members that people see, in order; they are the heads, too.
            rows: The rows.
            empty: What to tell people where there are none.
        """
        if self.as_json:
            for row in rows:
                _write_json(row)
            return
        cells = [[_cell(row[name]) for name in columns] for row in rows]
        if not cells:
            say(empty)
            return
        console = _console(aside=self._aside)
        if _width(columns, cells) <= console.width:
            console.print(_table(columns, cells))
            return
        for number, block in enumerate(cells):
            if number:
                console.print()
            console.print(_block(zip(columns, block, strict=True)))

    def record(self, record: Mapping[str, Any]) -> None:
        """Print one thing: a line for each of its members, or one JSON object."""
        if self.as_json:
            _write_json(record)
            return
        block = _block((name, _cell(value)) for name, value in record.items())
        _console(aside=self._aside).print(block)


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


def write(text: str) -> None:
    """Write to standard output, where there is one."""
    typer.echo(text, nl=False)


def aside() -> redirect_stdout[TextIO]:
    """Let what the App's own code prints go to standard error: standard output is the command's."""
    return redirect_stdout(sys.stderr)


def _console(*, aside: bool) -> Console:
    from rich.console import Console

    console = Console(highlight=False, stderr=aside)
    if console.is_terminal:
        return console
    return Console(highlight=False, stderr=aside, width=_WIDTH)


def _width(columns: Sequence[str], cells: Sequence[Sequence[Text]]) -> int:
    """Return how wide a table is at least in which only the last column is folded."""
    *widths, last = (
        max(len(name), *(row[index].cell_len for row in cells))
        for index, name in enumerate(columns)
    )
    return sum(widths) + _GAP * len(widths) + min(last, _LAST)


def _table(columns: Sequence[str], cells: Sequence[Sequence[Text]]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, no_wrap=name != columns[-1])
    for row in cells:
        table.add_row(*row)
    return table


def _block(record: Iterable[tuple[str, Text]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table("", "", box=None, pad_edge=False, show_header=False)
    for name, cell in record:
        table.add_row(Text(name, style="bold"), cell)
    return table


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
    text = msgspec.json.encode(value).decode()
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    if encoding.lower().replace("-", "") != "utf8":  # what others cannot write, JSON can escape
        text = _NOT_ASCII.sub(lambda each: json.dumps(each[0])[1:-1], text)
    write(text + "\n")
