"""All commands in one program."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from sourceflow.host.cli.check import check
from sourceflow.host.cli.db import db
from sourceflow.host.cli.dead_letters import dead_letters
from sourceflow.host.cli.demo import demo
from sourceflow.host.cli.describe import describe
from sourceflow.host.cli.health import health
from sourceflow.host.cli.history import history
from sourceflow.host.cli.iam import iam
from sourceflow.host.cli.local import local
from sourceflow.host.cli.outbox import outbox
from sourceflow.host.cli.provision import provision
from sourceflow.host.cli.rebuild import rebuild
from sourceflow.host.cli.replay import replay
from sourceflow.host.cli.run import run
from sourceflow.host.cli.schedule import schedule
from sourceflow.host.cli.send import send

__all__ = ("program",)


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"sourceflow {version('sourceflow')}")
        raise typer.Exit


def begin(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_tell_version, is_eager=True, help="Print the version, and end."
        ),
    ] = False,
) -> None:
    """CQRS over Amazon SQS and SNS."""


program = typer.Typer(
    name="sourceflow",
    callback=begin,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: half as long to wait, and legible wherever it goes
)
for command in (
    demo,
    local,
    run,
    check,
    describe,
    health,
    iam,
    provision,
    send,
    history,
    replay,
    rebuild,
):
    program.command()(command)
for name, group in (
    ("db", db),
    ("dead-letters", dead_letters),
    ("outbox", outbox),
    ("schedule", schedule),
):
    program.add_typer(group, name=name, no_args_is_help=True)
