"""``sourceflow replay``: an entity made anew from its commands."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from sourceflow.host.cli.exits import fail
from sourceflow.host.cli.history import Entity, Key  # noqa: TC001 - typer reads the hints
from sourceflow.host.cli.output import AsJson, Output, say
from sourceflow.host.cli.parts import entity_of, key_of, operate
from sourceflow.host.cli.target import Target  # noqa: TC001 - typer reads the hints

if TYPE_CHECKING:
    from sourceflow.bus.replay import Replayed
    from sourceflow.host.app import App

__all__ = ("replay",)


def replay(target: Target, entity: Entity, key: Key, as_json: AsJson = False) -> None:
    """Run an entity's commands again; send nothing.

    The result is swapped in. It ends with 1 where there are none.
    """

    async def work(app: App) -> Replayed:
        entity_type = entity_of(app, entity)
        return await app.replay(entity_type, key_of(entity_type, key))

    done = operate(target, work, needs_database=True)
    if as_json:
        Output(as_json=True).record(dataclasses.asdict(done))
    if not done.commands:
        fail(f"{entity} {key} has no commands: nothing was run again")
    if as_json:
        return
    say(f"{done.commands} command(s) of {entity} {key} were run again", "green")
    if done.rebuilt:
        say(f"rows built anew: {', '.join(done.rebuilt)}")
    if done.left_alone:
        say(f"left alone, as they gather several entities: {', '.join(done.left_alone)}", "yellow")
