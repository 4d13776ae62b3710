"""All commands in one program."""

from __future__ import annotations

import typer

from sourceflow.host.cli.db import db
from sourceflow.host.cli.demo import demo
from sourceflow.host.cli.health import health
from sourceflow.host.cli.iam import iam
from sourceflow.host.cli.local import local
from sourceflow.host.cli.run import run

__all__ = ("program",)

program = typer.Typer(
    name="sourceflow",
    help="CQRS over Amazon SQS and SNS.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
program.command()(demo)
program.command()(health)
program.command()(local)
program.command()(run)
program.command()(iam)
program.add_typer(db, name="db", no_args_is_help=True)
