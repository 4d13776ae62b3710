"""Where in a handler's code an error was raised."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from sourceflow.bus.call import call_handler
from sourceflow.domain import binding

if TYPE_CHECKING:
    from types import FrameType

__all__ = ("place_in_handler",)


def place_in_handler(error: BaseException) -> str | None:
    """Return the last line of a handler's own code on the way to an error.

    Own is what lies in the package of the handler's class, or in the folder of its code; a library
    that it calls is not. A place has a file, a line and a function: no value of a message.

    Args:
        error: What was raised.

    Returns:
        The place, such as ``shop.py:47 in OrderSaga.confirm``; None where no handler ran.
    """
    package, steps = _steps_of_handler(error)
    if not steps:
        return None
    folder = PurePath(steps[0][0].f_code.co_filename).parent
    frame, line = [each for each in steps if _is_own(each[0], package, folder)][-1]
    return f"{_file_of(frame)}:{line} in {frame.f_code.co_qualname}"


def _steps_of_handler(error: BaseException) -> tuple[str, list[tuple[FrameType, int]]]:
    """Return the package of the handler's class, and the calls from the handler to the error."""
    package = ""
    steps: list[tuple[FrameType, int]] | None = None
    step = error.__traceback__
    while step is not None:
        frame = step.tb_frame
        if frame.f_code is call_handler.__code__:
            package = _package(frame.f_locals["handler"].component.__module__)
            steps = []
        elif steps is not None and _module_of(frame) != binding.__name__:
            steps.append((frame, step.tb_lineno))
        step = step.tb_next
    return package, steps or []


def _is_own(frame: FrameType, package: str, folder: PurePath) -> bool:
    return (
        _package(_module_of(frame)) == package
        or PurePath(frame.f_code.co_filename).parent == folder
    )


def _file_of(frame: FrameType) -> str:
    """Return a file below the folder of its package: ``shop/orders.py`` of ``shop.orders``."""
    path = PurePath(frame.f_code.co_filename)
    names = _module_of(frame).count(".") + 1 + (path.name == "__init__.py")
    return "/".join(path.parts[-names:])


def _module_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _package(module: str) -> str:
    return module.partition(".")[0]
