"""``sourceflow``: where the command line begins."""

from __future__ import annotations

import sys

from sourceflow.errors import MissingExtraError
from sourceflow.host.cli.codes import INTERRUPTED

__all__ = ("main",)


def main() -> None:
    """Run the command line."""
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
    program()
