"""What commands do with an App: open it without working, and find its parts by name."""

from __future__ import annotations

import asyncio
import sys
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import typer

from sourceflow.bus.wiring import entity_name
from sourceflow.domain.view import View
from sourceflow.errors import MessageError
from sourceflow.host.cli.exits import WrongInputError, exits
from sourceflow.host.cli.output import aside
from sourceflow.host.cli.target import load_app
from sourceflow.messages import Codec, parse_key, state_info

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from sourceflow.bus.wiring import Wiring
    from sourceflow.host.app import App
    from sourceflow.messages import KeyType
    from sourceflow.transports.aws import AwsTransport

__all__ = (
    "ask",
    "aws_of",
    "aws_or_none",
    "choose",
    "entity_of",
    "key_of",
    "message_of",
    "operate",
    "stdin_or",
    "view_of",
    "wiring_of",
)

ResultT = TypeVar("ResultT")


def operate(
    target: str, work: Callable[[App], Awaitable[ResultT]], *, needs_database: bool = False
) -> ResultT:
    """Open the App that ``MODULE:APP`` names without working, do something with it, and close it.

    It ends as all commands do; see ``exits``. What the App prints meanwhile goes to standard error.

    Args:
        target: Where the App is.
        work: What is done.
        needs_database: Whether that is about what the App has stored: with stores in memory that
            is within the processes that run.
    """
    with exits(), aside():
        app = load_app(target)
        if needs_database and not app._stores.durable:  # noqa: SLF001 - part of the host
            raise WrongInputError(
                f"the App {app.name!r} has its stores in memory: another process finds nothing there"
            )
        return asyncio.run(_operate(app, work))
    raise AssertionError("unreachable: errors end the command")


async def _operate(app: App, work: Callable[[App], Awaitable[ResultT]]) -> ResultT:
    async with app.operating():
        return await work(app)


def wiring_of(app: App) -> Wiring:
    """Return who handles what in an App.

    Raises:
        WiringError: It is not sound.
    """
    assembly = app._assemble()  # noqa: SLF001 - part of the host
    assembly.raise_faults()
    return assembly.wiring


def aws_of(app: App) -> AwsTransport:
    """Return the transport of an App that uses AWS.

    Raises:
        WrongInputError: It does not.
    """
    transport = aws_or_none(app)
    if transport is None:
        raise WrongInputError(f"the App {app.name!r} does not use AWS: it has no AwsTransport")
    return transport


def aws_or_none(app: App) -> AwsTransport | None:
    """Return the transport of an App that uses AWS; None where it does not."""
    from sourceflow.transports.aws import AwsTransport

    return app.transport if isinstance(app.transport, AwsTransport) else None


def choose(what: str, name: str, known: Mapping[str, ResultT]) -> ResultT:
    """Return what has a name.

    Raises:
        WrongInputError: Nothing has; suggests a name that is near.
    """
    if name in known:
        return known[name]
    near = get_close_matches(name, known, n=1)
    hint = f", did you mean {near[0]!r}?" if near else f": there are {_listed(known)}"
    raise WrongInputError(f"the App has no {what} {name!r}{hint}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "none"


def entity_of(app: App, name: str) -> type[Any]:
    """Return the entity type of a name.

    Raises:
        WrongInputError: No saga is of one.
    """
    types = (each.state_type for each in wiring_of(app).commands.values())
    return choose("entity", name, {entity_name(each): each for each in types if each is not None})


def view_of(app: App, name: str) -> type[View[Any]]:
    """Return the view of a name.

    Raises:
        WrongInputError: There is none.
    """
    views = {each.__name__: each for each in wiring_of(app).arguments if issubclass(each, View)}
    return choose("view", name, views)


def key_of(entity_type: type[Any], text: str) -> KeyType:
    """Return the key that a text stands for.

    Raises:
        WrongInputError: It stands for none of the entity's type.
    """
    key_type = state_info(entity_type).key_type
    assert key_type is not None  # the App is sound
    try:
        return parse_key(text, key_type)
    except ValueError:
        raise WrongInputError(
            f"the key of {entity_type.__name__} is of the type {key_type.__name__}"
        ) from None


def message_of(app: App, name: str, data: str, *, kind: str) -> Any:
    """Return the message that JSON stands for.

    Raises:
        WrongInputError: There is no such type, it is of the other kind, or the JSON does not fit,
            or has a field that the type has not; the text names the field and no value.
    """
    registry = wiring_of(app).registry
    infos = {each: info for info in registry for each in info.names if info.kind == kind}
    info = choose(kind, name, infos)
    try:
        message = Codec(registry).decode_data(info.name, info.version, data.encode())
    except UnicodeEncodeError:
        raise WrongInputError(f"{name}: the JSON is not valid UTF-8") from None
    except MessageError as error:
        raise WrongInputError(f"{name}: {error}") from None
    _refuse_unknown(name, type(message), msgspec.json.decode(data))
    return message


def _refuse_unknown(name: str, message_type: type[Any], given: Mapping[str, Any]) -> None:
    """Refuse a field that the type does not have: of messages that arrive it would be left aside."""
    known = {each.encode_name for each in msgspec.structs.fields(message_type)}
    for field in given:
        if field not in known:
            near = get_close_matches(field, known, n=1)
            hint = f", did you mean {near[0]!r}?" if near else f": there are {_listed(known)}"
            raise WrongInputError(f"{name} has no field {field!r}{hint}")


def ask(question: str, *, otherwise: str) -> None:
    """Ask for consent on standard error, outside of any event loop: Ctrl-C ends the waiting at once.

    Args:
        question: What is asked.
        otherwise: What is said where the answer is no, or nobody answers; the command ends then.
    """
    with exits():
        typer.echo(f"{question} [y/N]: ", nl=False, err=True)
        answer = _line()
        if not answer.endswith("\n") or not sys.stdin.isatty():  # nothing has ended the line
            typer.echo(err=True)
        if not answer:
            raise WrongInputError(f"{otherwise}: --yes does it unasked")
        if answer.strip().lower() not in {"y", "yes"}:
            raise WrongInputError(otherwise)


def _line() -> str:
    """Return a line of standard input; nothing where nobody is there to answer."""
    if sys.stdin is None:  # it was closed
        return ""
    try:
        return sys.stdin.readline()
    except UnicodeDecodeError:
        return "?\n"


def stdin_or(text: str) -> str:
    """Return a text, or what standard input holds where it is ``-``."""
    if text != "-":
        return text
    with exits():
        if sys.stdin is None:
            raise WrongInputError("there is no standard input to read")
        try:
            return sys.stdin.read()
        except UnicodeDecodeError:
            raise WrongInputError("standard input is not valid UTF-8") from None
    raise AssertionError("unreachable: errors end the command")
