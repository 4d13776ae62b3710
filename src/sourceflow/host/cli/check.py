"""``sourceflow check``: whether an App is sound, without starting it."""

from __future__ import annotations

from typing import Annotated

import typer

from sourceflow.errors import WiringError
from sourceflow.host.cli.codes import CAME_OUT_WRONG, WRONG_INPUT
from sourceflow.host.cli.exits import exits
from sourceflow.host.cli.output import AsJson, Output, say
from sourceflow.host.cli.target import Target, load_app

__all__ = ("check",)


def check(
    target: Target,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with 1 where there are warnings.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what keeps an App from starting; start nothing.

    It warns of what may not be meant as it is.
    """
    with exits():
        app = load_app(target)
        faults: tuple[str, ...] = ()
        warnings: tuple[str, ...] = ()
        try:
            warnings = app.check()
        except WiringError as error:
            if not as_json:
                raise
            faults = error.faults
        if as_json:
            Output(as_json=True).record({"app": app.name, "faults": faults, "warnings": warnings})
        else:
            for warning in warnings:
                say(f"warning: {warning}", "yellow")
            say(f"{app.name} can start; {len(warnings)} warning(s)", "green")
    if faults:
        raise typer.Exit(WRONG_INPUT)
    if warnings and strict:
        raise typer.Exit(CAME_OUT_WRONG)
