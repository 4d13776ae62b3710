"""``sourceflow history``: what an entity was asked to do."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from sourceflow.host.cli.output import AsJson, Output
from sourceflow.host.cli.parts import entity_of, key_of, operate
from sourceflow.host.cli.target import Target  # noqa: TC001 - typer reads the hints
from sourceflow.messages import masked

if TYPE_CHECKING:
    from sourceflow.bus.ports import LoggedCommand
    from sourceflow.host.app import App

__all__ = ("Entity", "Key", "history")

LAST: Final = 2**63 - 1
"""The last number that a command can have."""

Entity = Annotated[
    str, typer.Argument(metavar="ENTITY", help="The entity's name.", show_default=False)
]
Key = Annotated[str, typer.Argument(metavar="KEY", help="Its key.", show_default=False)]


def history(
    target: Target,
    entity: Entity,
    key: Key,
    after: Annotated[
        int, typer.Option(min=0, max=LAST, help="Only commands behind this number.")
    ] = 0,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Print an entity's commands in the order of their effects.

    Sensitive values are masked.
    """

    async def work(app: App) -> list[dict[str, Any]]:
        entity_type = entity_of(app, entity)
        rows: list[dict[str, Any]] = []
        commands = app.history(entity_type, key_of(entity_type, key), after=after)
        async with aclosing(commands) as found:
            async for each in found:
                rows.append(_row(each))
                if len(rows) == limit:
                    break
        return rows

    rows = operate(target, work, needs_database=True)
    Output(as_json=as_json).table(
        ("position", "handled_at", "type", "message_id", "command"),
        rows,
        empty=f"{entity} {key} has no command behind number {after}",
    )


def _row(logged: LoggedCommand) -> dict[str, Any]:
    envelope = logged.envelope
    return {
        "position": logged.position,
        "handled_at": logged.handled_at,
        "type": envelope.type_name,
        "message_id": envelope.id,
        "source": envelope.source,
        "time": envelope.time,
        "correlation_id": envelope.correlation_id,
        "causation_id": envelope.causation_id,
        "command": msgspec.Raw(masked(envelope.message).encode()),
    }
