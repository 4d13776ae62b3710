"""All commands in one program."""

from __future__ import annotations

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

program = typer.Typer(
    name="sourceflow",
    help="CQRS over Amazon SQS and SNS.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
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
