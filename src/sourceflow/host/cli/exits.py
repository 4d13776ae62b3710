"""How commands end."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NoReturn

import typer

from sourceflow.errors import (
    InvalidMessageError,
    MessageTooLargeError,
    SettingsError,
    SourceflowError,
    StoreConfigurationError,
    WiringError,
)
from sourceflow.host.cli.codes import CAME_OUT_WRONG, INTERRUPTED, WRONG_INPUT

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("WrongInputError", "exits", "fail", "refuse")

_OF_THE_CALL: Final = (
    InvalidMessageError,
    MessageTooLargeError,
    SettingsError,
    StoreConfigurationError,
    WiringError,
)
"""Errors that show that a call, or the App it names, is wrong before anything is done."""


class WrongInputError(Exception):
    """Raised when a call or its input is wrong; the text says what to do about it."""


@contextmanager
def exits() -> Iterator[None]:
    """Turn what commands raise into one line on standard error and the documented exit code.

    A call or an App that is wrong ends with 2, any other error of this library or of the system
    with 1, an interruption with 130. What is none of them is a fault of ours, and keeps its stack.
    """
    try:
        yield
    except (WrongInputError, *_OF_THE_CALL) as error:
        refuse(str(error))
    except BrokenPipeError:  # who reads our output has gone: click ends without a word
        raise
    except (SourceflowError, OSError) as error:  # TimeoutError is an OSError
        fail(str(error))
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        raise typer.Exit(INTERRUPTED) from None


def refuse(problem: str) -> NoReturn:
    """End because the call or its input is wrong."""
    typer.echo(f"error: {problem}", err=True)
    raise typer.Exit(WRONG_INPUT) from None


def fail(problem: str) -> NoReturn:
    """End because something came out wrong."""
    typer.echo(f"error: {problem}", err=True)
    raise typer.Exit(CAME_OUT_WRONG) from None
