"""``sourceflow provision``: the queues, topics, subscriptions and policies of an App."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from sourceflow.host.cli.exits import WrongInputError, exits, fail
from sourceflow.host.cli.output import AsJson, Output
from sourceflow.host.cli.parts import ask, aws_of, wiring_of
from sourceflow.host.cli.target import Target, load_app
from sourceflow.messages import type_info

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sourceflow.host.app import App
    from sourceflow.transports.aws.provisioning import Resource, Resources

__all__ = ("provision",)

ResultT = TypeVar("ResultT")

_COLUMNS = ("what", "kind", "name", "topic")


def provision(
    target: Target,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what would be made, and change nothing.")
    ] = False,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune",
            help="Remove what feeds the App's event queues and is no longer subscribed to, and "
            "those queues where nothing is.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Prune without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make an App's queues, topics, subscriptions and policies.

    It makes what the App makes when it starts. What is there is not changed.
    """
    output = Output(as_json=as_json)
    with exits():
        logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
        if plan and prune:
            raise WrongInputError("give --plan or --prune, not both")
        app = load_app(target)
        if prune:
            _prune(app, output, yes=yes)
            return
        missing = _with(app, lambda resources: resources.missing())
        if not plan:
            _with(app, lambda resources: resources.make())
        what = "missing" if plan else "made"
        output.table(
            _COLUMNS, [_row(what, each) for each in missing], empty="everything is there already"
        )


def _with(app: App, work: Callable[[Resources], Awaitable[ResultT]]) -> ResultT:
    subscribed = [name for event in wiring_of(app).events for name in type_info(event).names]

    async def run() -> ResultT:
        async with aws_of(app).resources(app.name, subscribed=subscribed) as resources:
            return await work(resources)

    return asyncio.run(run())


def _prune(app: App, output: Output, *, yes: bool) -> None:
    if not aws_of(app).options.enable_event_listener:
        raise WrongInputError(
            f"the App {app.name!r} does not listen to events as it is configured here: prune where "
            "it does, or what feeds its event queue would be taken for left over"
        )
    surplus = _with(app, lambda resources: resources.surplus())
    if surplus and not yes:
        rows = [_row("surplus", each) for each in surplus]
        Output(as_json=False, aside=True).table(_COLUMNS, rows, empty="")
        ask(f"Remove these {len(surplus)}?", otherwise="nothing was removed")
    gone = _with(app, lambda resources: _remove(resources, surplus))
    rows = [
        _row("removed" if done else "kept", each) for each, done in zip(surplus, gone, strict=True)
    ]
    output.table(_COLUMNS, rows, empty="nothing is left over")
    if not all(gone):
        fail("queues that hold messages were kept: redrive or purge what is in them")


async def _remove(resources: Resources, surplus: Sequence[Resource]) -> list[bool]:
    return [await resources.remove(each) for each in surplus]


def _row(what: str, resource: Resource) -> dict[str, Any]:
    return {
        "what": what,
        "kind": resource.kind,
        "name": resource.name,
        "topic": resource.topic,
        "address": resource.address,
        "messages": resource.keeps,
    }
