"""``MODULE:APP``: the App that a command works on."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import sysconfig
import traceback
from contextlib import nullcontext
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sourceflow.host.app import App
from sourceflow.host.cli.exits import WrongInputError
from sourceflow.host.cli.output import aside

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

__all__ = ("Target", "load_app")

Target = Annotated[
    str,
    typer.Argument(
        metavar="MODULE:APP",
        help="Where the App is: a module, importable from here, and the App in it, or a function "
        "that returns one.",
        show_default=False,
    ),
]
"""The argument of every command that works on an App."""

_FORM: Final = "give the module and the App in it, as in 'shop.service:app'"


def load_app(target: str, *, may_print: bool = False) -> App:
    """Return the App that ``MODULE:APP`` names.

    Modules of the current directory can be imported, as other servers have it. ``APP`` may lead
    through attributes (``service.app``) and may be a function without arguments that returns an
    App.

    Args:
        target: What was given.
        may_print: Whether standard output is the App's; else what it prints goes to standard error.

    Raises:
        WrongInputError: There is no such module or App, or what is there cannot be imported or is
            none; says what to do.
    """
    module_name, colon, path = target.partition(":")
    if not (colon and module_name and path):
        raise WrongInputError(f"{target!r} names no App: {_FORM}")
    if module_name.endswith(".py") or "/" in module_name:
        dotted = module_name.removesuffix(".py").strip("./").replace("/", ".")
        raise WrongInputError(
            f"{module_name!r} is a file: name its module, {dotted + ':' + path!r}"
        )
    if not all(each.isidentifier() for each in module_name.split(".")):
        raise WrongInputError(f"{module_name!r} is no name of a module: {_FORM}")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    with nullcontext() if may_print else aside():
        return _app_of(_found(_imported(module_name), path), target)


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise WrongInputError(_broken(name, "cannot be imported", error)) from None
        near = _suggestion(error.name, _modules_near(error.name))
        raise WrongInputError(
            f"there is no module {error.name!r}{near} It is looked for in {Path.cwd()} and among what "
            "is installed"
            if near
            else f"there is no module {error.name!r}: it is looked for in {Path.cwd()} and among what "
            "is installed"
        ) from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the module does
        raise WrongInputError(_broken(name, "cannot be imported", error)) from None


def _found(module: ModuleType, path: str) -> Any:
    found: Any = module
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise WrongInputError(_missing(module, found, name)) from None
    return found


def _missing(module: ModuleType, owner: object, name: str) -> str:
    where = module.__name__ if owner is module else f"{module.__name__}: {type(owner).__name__}"
    apps = [each for each, value in vars(module).items() if isinstance(value, App)]
    others = [each for each in dir(owner) if not each.startswith("_")]
    near = (owner is module and _suggestion(name, apps)) or _suggestion(name, others)
    if near:
        return f"{where} has no {name!r}{near}"
    if not apps:
        return f"{where} has no {name!r}: {_FORM}"
    return f"{where} has no {name!r}: the App there is {', '.join(map(repr, apps))}"


def _app_of(found: object, target: str) -> App:
    if isinstance(found, App):
        return found
    if not callable(found):
        raise WrongInputError(
            f"{target!r} is of the type {type(found).__name__}, neither an App nor a function that "
            "returns one"
        )
    if isinstance(found, type) or not _takes_nothing(found):
        raise WrongInputError(
            f"{target!r} takes arguments, or is a class: name an App, or a function without "
            "arguments that returns one"
        )
    if inspect.iscoroutinefunction(found):
        raise WrongInputError(
            f"{target!r} is an async function: make the App in a plain one, nothing needs to be "
            "awaited for it"
        )
    try:
        made = found()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the function does
        raise WrongInputError(_broken(target, "made no App", error)) from None
    if not isinstance(made, App):
        raise WrongInputError(f"{target!r} returned a {type(made).__name__}, not an App")
    return made


def _takes_nothing(function: Any) -> bool:
    try:
        inspect.signature(function).bind()
    except (TypeError, ValueError):
        return False
    return True


def _broken(name: str, outcome: str, error: BaseException) -> str:
    """Say what a user's own code raised, and where: our frames would tell them nothing."""
    if isinstance(error, SyntaxError):
        where = _place(error.filename, error.lineno)
        return f"{name!r} {outcome}: {type(error).__name__}: {error.msg} ({where})"
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<") and frame.filename != __file__
    ]
    frames = [each for each in frames if _is_own(each.filename)] or frames
    where = f" ({_place(frames[-1].filename, frames[-1].lineno)})" if frames else ""
    return f"{name!r} {outcome}: {what}{where}"


def _is_own(filename: str) -> bool:
    """Whether a file is the user's own, rather than an installed one."""
    paths = sysconfig.get_paths()
    installed = [paths[each] for each in ("stdlib", "platstdlib", "purelib", "platlib")]
    return not filename.startswith((*installed, str(Path(__file__).parents[2])))


def _place(filename: str | None, line: int | None) -> str:
    path = os.path.relpath(filename or "")
    return f"{filename if path.startswith('..') else path}, line {line}"


def _suggestion(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f", did you mean {near[0]!r}?" if near else ""


def _modules_near(name: str) -> list[str]:
    """Return the modules beside the one that is missing."""
    package, _, _ = name.rpartition(".")
    folder = Path.cwd().joinpath(*package.split(".")) if package else Path.cwd()
    if not folder.is_dir():
        return []
    modules = [each.stem for each in folder.iterdir() if each.suffix == ".py" or each.is_dir()]
    return [f"{package}.{each}" if package else each for each in modules]
