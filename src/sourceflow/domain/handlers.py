"""The decorators that mark methods as handlers."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FunctionType, MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import FrameType

    from sourceflow.messages import KeyType

__all__ = (
    "DELETE",
    "Delete",
    "HandlerKind",
    "HandlerMark",
    "handles",
    "mark_of",
    "projects",
    "subscribes",
)

MethodT = TypeVar("MethodT", bound=Callable[..., Any])
HandlerKind = Literal["handles", "subscribes", "projects"]

_MARK: Final = "__sourceflow_handler__"


class Delete:
    """The type of ``DELETE``, for hints: ``-> Order | Delete``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "DELETE"


DELETE: Final = Delete()
"""What a handler returns to remove its entity or row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerMark:
    """What a decorator leaves on a method.

    Attributes:
        kind: Which decorator it was.
        creates: The handler makes the entity; one that exists is an error.
        name: The subscriber's name; ``Class.method`` where None.
        keys: Names the rows an event touches; the event's own key where None.
        namespace: The names around the class, so that hints of types made in a function resolve.
    """

    kind: HandlerKind
    creates: bool = False
    name: str | None = None
    keys: Callable[[Any], KeyType | Iterable[KeyType]] | None = None
    namespace: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


def mark_of(method: object) -> HandlerMark | None:
    """Return what a decorator left on a method, or None."""
    return getattr(method, _MARK, None)


@overload
def handles(method: MethodT, /) -> MethodT: ...
@overload
def handles(*, creates: bool = False) -> Callable[[MethodT], MethodT]: ...
def handles(
    method: MethodT | None = None, /, *, creates: bool = False
) -> MethodT | Callable[[MethodT], MethodT]:
    """Mark a saga's method as the handler of the command it takes.

    Args:
        method: The method, when the decorator stands without parentheses.
        creates: The entity must not exist yet; the handler returns it.
    """
    mark = HandlerMark(kind="handles", creates=creates, namespace=_enclosing(sys._getframe(1)))  # noqa: SLF001 - documented use
    return _marker(mark) if method is None else _marker(mark)(method)


@overload
def subscribes(method: MethodT, /) -> MethodT: ...
@overload
def subscribes(*, name: str | None = None) -> Callable[[MethodT], MethodT]: ...
def subscribes(
    method: MethodT | None = None, /, *, name: str | None = None
) -> MethodT | Callable[[MethodT], MethodT]:
    """Mark an aggregate's method as a subscriber of the event it takes.

    Args:
        method: The method, when the decorator stands without parentheses.
        name: The subscriber's stable name: what it has handled is remembered under it. Give one
            before you rename the class or the method.
    """
    mark = HandlerMark(kind="subscribes", name=name, namespace=_enclosing(sys._getframe(1)))  # noqa: SLF001 - documented use
    return _marker(mark) if method is None else _marker(mark)(method)


@overload
def projects(method: MethodT, /) -> MethodT: ...
@overload
def projects(
    *,
    key: Callable[[Any], KeyType | Iterable[KeyType]] | None = None,
    name: str | None = None,
) -> Callable[[MethodT], MethodT]: ...
def projects(
    method: MethodT | None = None,
    /,
    *,
    key: Callable[[Any], KeyType | Iterable[KeyType]] | None = None,
    name: str | None = None,
) -> MethodT | Callable[[MethodT], MethodT]:
    """Mark a view's method as the projection of the event it takes.

    Args:
        method: The method, when the decorator stands without parentheses.
        key: Names the row from the event, or several rows: the method runs for each. Without it
            the row is the event's own key.
        name: The subscriber's stable name, as for ``subscribes``.
    """
    mark = HandlerMark(
        kind="projects",
        name=name,
        keys=key,
        namespace=_enclosing(sys._getframe(1)),  # noqa: SLF001 - documented use
    )
    return _marker(mark) if method is None else _marker(mark)(method)


def _marker(mark: HandlerMark) -> Callable[[MethodT], MethodT]:
    def put(method: MethodT) -> MethodT:
        function: object = method
        if not isinstance(function, FunctionType):
            raise TypeError(f"@{mark.kind} marks methods, not {type(method).__name__}")
        setattr(function, _MARK, mark)
        return method

    return put


def _enclosing(class_body: FrameType) -> Mapping[str, Any]:
    """Return the names visible around a class body, up to the function it stands in.

    A class at module level needs none: its hints resolve in the module. The values are copied, so
    that no frame is kept alive.
    """
    names: dict[str, Any] = {}
    frame: FrameType | None = class_body
    while frame is not None and frame.f_code.co_name != "<module>":
        names = {**frame.f_locals, **names}
        if (
            frame.f_code.co_flags & inspect.CO_NEWLOCALS
            and frame.f_code.co_flags & inspect.CO_OPTIMIZED
        ):
            break
        frame = frame.f_back
    return MappingProxyType(names)
