"""``sourceflow describe``: what an App is made of."""

from __future__ import annotations

from typing import Any

from sourceflow.host.cli.exits import exits
from sourceflow.host.cli.output import AsJson, Output, say
from sourceflow.host.cli.target import Target, load_app

__all__ = ("describe",)


def describe(target: Target, as_json: AsJson = False) -> None:
    """Print an App's messages, their handlers, queues and topics.

    Nothing is started.
    """
    with exits():
        found = load_app(target).describe()
        output = Output(as_json=as_json)
        if as_json:
            output.record(found)
            return
        output.record({"app": found["app"], "stores": found["stores"], **_plain(found)})
        say("")
        output.table(
            ("name", "version", "handler", "entity", "queue"),
            found["commands"],
            empty="no commands",
        )
        say("")
        output.table(
            ("name", "version", "topic", "subscribers"),
            [_event(each) for each in found["events"]],
            empty="no events",
        )
        for warning in found["warnings"]:
            say(f"warning: {warning}", "yellow")


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    """Return what is told of the transport beside its routes, which stand with the messages."""
    transport = found["transport"] or {"kind": None}
    return {
        ("transport" if name == "kind" else name): value
        for name, value in transport.items()
        if name not in {"commands", "events"}
    }


def _event(event: dict[str, Any]) -> dict[str, Any]:
    subscribers = [f"{each['name']} ({each['runs']})" for each in event["subscribers"]]
    return {**event, "subscribers": subscribers}
