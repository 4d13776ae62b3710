"""``sourceflow``: the commands, and what their exit codes mean.

==== =====================================================
code meaning
==== =====================================================
0    done
1    it ran, and something came out wrong
2    the call or its input is wrong; nothing was done
130  interrupted
==== =====================================================
"""

from __future__ import annotations

import sys

from sourceflow.errors import MissingExtraError

__all__ = ("main",)


def main() -> None:
    """Run the command line."""
    try:
        import typer  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError as error:
        if error.name != "typer":
            raise
        sys.exit(str(MissingExtraError("cli", "typer")))
    try:
        from sourceflow.host.cli.db import db  # noqa: PLC0415 - needs the extra
        from sourceflow.host.cli.demo import demo  # noqa: PLC0415 - needs the extra
        from sourceflow.host.cli.local import local  # noqa: PLC0415 - needs the extra
    except MissingExtraError as error:
        sys.exit(str(error))

    program = typer.Typer(
        name="sourceflow",
        help="CQRS over Amazon SQS and SNS.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    program.command()(demo)
    program.command()(local)
    program.add_typer(db, name="db", no_args_is_help=True)
    program()
