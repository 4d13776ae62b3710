"""``sourceflow``: where the command line begins."""

from __future__ import annotations

import signal
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING

from sourceflow.errors import MissingExtraError
from sourceflow.host.cli.codes import INTERRUPTED, WRONG_INPUT

if TYPE_CHECKING:
    from types import FrameType

__all__ = ("main",)


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGTERM, _interrupt)
    _write_anywhere()
    try:
        from sourceflow.host.cli.program import program
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "rich"}:
            raise
        sys.exit(str(MissingExtraError("cli", error.name)))
    except MissingExtraError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    if any(not _is_text(each) for each in sys.argv):
        sys.stderr.write(
            f"error: an argument cannot be read as {sys.getfilesystemencoding()}: set LC_ALL to the "
            "locale that it was typed in\n"
        )
        sys.exit(WRONG_INPUT)
    program()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """End as Ctrl-C does, so that what was begun is cleaned up.

    ``run`` and ``local`` take the signal themselves, to drain.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so shells start what runs aside
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.raise_signal(signal.SIGINT)


def _write_anywhere() -> None:
    """Write out what the encoding of standard output has no sign for, instead of failing."""
    if isinstance(sys.stdout, TextIOWrapper):  # it may have been closed
        sys.stdout.reconfigure(errors="backslashreplace")


def _is_text(argument: str) -> bool:
    """Whether an argument is text: bytes that were none in the locale's encoding are surrogates."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True
