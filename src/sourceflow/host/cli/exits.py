"""How commands end."""

from __future__ import annotations

from typing import Final, NoReturn

import typer

__all__ = ("INTERRUPTED", "WRONG_INPUT", "fail", "refuse")

WRONG_INPUT: Final = 2
INTERRUPTED: Final = 130


def refuse(problem: str) -> NoReturn:
    """End because the call or its input is wrong."""
    typer.echo(f"error: {problem}", err=True)
    raise typer.Exit(WRONG_INPUT)


def fail(problem: str) -> NoReturn:
    """End because something came out wrong."""
    typer.echo(f"error: {problem}", err=True)
    raise typer.Exit(1)
