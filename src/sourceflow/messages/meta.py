"""The metaclass of messages, entities and view models."""

from __future__ import annotations

import contextlib
import inspect
import sys
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec

from sourceflow.errors import InvalidMessageError
from sourceflow.messages.key import key_problem
from sourceflow.messages.limits import LimitError, limits_of
from sourceflow.messages.misfit import scrub
from sourceflow.messages.quick_look import is_plainly_right

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

__all__ = ("Options", "SourceflowMeta", "options_of", "validate")

OPTIONS: Final = "__sourceflow_options__"
TAKEN: Final = "__sourceflow_taken__"

MAX_NAME: Final = 255
"""Characters of a wire name; documents with longer ones are malformed."""

_KEPT: Final = (bytes, bytearray, datetime, date, time, timedelta, UUID, Decimal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a class statement says behind its bases.

    Attributes:
        name: The wire name; the class's name where None.
        version: The version of its fields.
        aliases: Old wire names that are still read.
        indexes: Fields that a view model is queried by.
    """

    name: str | None = None
    version: int = 1
    aliases: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()


_NO_OPTIONS: Final = Options()


def options_of(cls: type[Any]) -> Options:
    """Return what a class's own statement (or decorator) says."""
    found: Options = cls.__dict__.get(OPTIONS, _NO_OPTIONS)
    return found


def make_options(
    where: str,
    *,
    name: str | None = None,
    version: int = 1,
    aliases: tuple[str, ...] = (),
    indexes: tuple[str, ...] = (),
) -> Options:
    """Check and return options.

    Raises:
        TypeError: One is of the wrong type.
        ValueError: One is out of range.
    """
    if name is not None and not isinstance(name, str):
        raise TypeError(f"{where}: name is a text, not {type(name).__name__}")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ValueError(f"{where}: version is a whole number from 1, not {version!r}")
    for what, values in (("aliases", aliases), ("indexes", indexes)):
        if not isinstance(values, tuple) or not all(isinstance(each, str) for each in values):
            raise TypeError(f"{where}: {what} is a tuple of texts")
    for each in (where if name is None else name, *aliases):
        if not each.isprintable() or not each.strip() or len(each) > MAX_NAME:
            raise ValueError(
                f"{where}: a name is 1 to {MAX_NAME} printable characters and not blank"
            )
    return Options(name=name, version=version, aliases=tuple(aliases), indexes=tuple(indexes))


_make: Final = msgspec.StructMeta.__call__
"""What ``super().__call__`` would find: each message, entity and row is made by it."""


class SourceflowMeta(msgspec.StructMeta):
    """Makes structs that are frozen, keyword-only and checked when they are constructed.

    Decoding makes objects without calling the class, so messages that arrive are checked once,
    by their decoder.
    """

    def __new__(  # noqa: D102 - see the class
        mcs,
        class_name: str,
        bases: tuple[type[Any], ...],
        namespace: dict[str, Any],
        /,
        *,
        name: str | None = None,
        version: int = 1,
        aliases: tuple[str, ...] = (),
        indexes: tuple[str, ...] = (),
        **config: Any,
    ) -> Any:
        for setting in ("frozen", "kw_only"):
            if config.get(setting) is False:
                raise TypeError(f"{class_name} is always {setting}")
        options = make_options(
            class_name, name=name, version=version, aliases=aliases, indexes=indexes
        )
        _check_taken(class_name, bases, options)
        _resolve_annotations(namespace, sys._getframe(1))  # noqa: SLF001 - documented use
        cls = super().__new__(
            mcs, class_name, bases, namespace, **{**config, "frozen": True, "kw_only": True}
        )
        setattr(cls, OPTIONS, options)
        return cls

    if not TYPE_CHECKING:  # or checkers would take its answer for the type of every object

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 - of a metaclass
            """Make an object and check it.

            Raises:
                InvalidMessageError: A field's value is of the wrong type or outside of the limits.
                TypeError: A field is missing, unknown, or given by position.
            """
            try:
                made = _make(cls, *args, **kwargs)
            except TypeError:
                if not args:
                    raise
                fields = ", ".join(f"{name}=…" for name in cls.__struct_fields__)
                raise TypeError(
                    f"{cls.__name__} takes its fields by name: {cls.__name__}({fields})"
                ) from None
            if not is_plainly_right(made):
                validate(made)
            return made


def _check_taken(class_name: str, bases: tuple[type[Any], ...], options: Options) -> None:
    """Refuse options that mean nothing to this kind of class."""
    taken = next((found for base in bases if (found := getattr(base, TAKEN, None))), None)
    if taken is None:  # one of the bases themselves
        return
    for option in ("version", "aliases", "indexes"):
        if option not in taken and getattr(options, option) != getattr(_NO_OPTIONS, option):
            raise TypeError(
                f"{class_name}: {option}= means nothing here; it takes {', '.join(taken)}"
            )


def _resolve_annotations(namespace: dict[str, Any], enclosing: FrameType) -> None:
    """Turn annotations that are texts into types where everything they name is known by now.

    Types that are made inside a function are known only here: nobody could resolve them later.
    What cannot be resolved stays as it is, for msgspec to try, and is a wiring fault after that.
    """
    annotations: dict[str, Any] = namespace.get("__annotations__", {})
    names = _visible(enclosing)
    for field, hint in annotations.items():
        if isinstance(hint, str):
            with contextlib.suppress(NameError, AttributeError, TypeError):
                annotations[field] = eval(hint, enclosing.f_globals, names)  # nosec B307 # noqa: S307 - the class's own source


def _visible(frame: FrameType) -> Mapping[str, Any]:
    """Return the names of the frame that a class statement stands in, and of functions around it."""
    names: dict[str, Any] = dict(frame.f_locals)
    while frame.f_code.co_name != "<module>" and not frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        if frame.f_back is None:
            break
        frame = frame.f_back
        names = {**frame.f_locals, **names}
    return names


def validate(value: Any) -> None:
    """Check a message or state as its decoder would, and against the limits.

    Raises:
        InvalidMessageError: A field is wrong; names it, never its value.
    """
    if is_plainly_right(value):
        return
    cls = type(value)
    try:
        plain = msgspec.to_builtins(value, builtin_types=_KEPT)
        msgspec.convert(plain, cls, builtin_types=_KEPT)
        limits_of(cls).check(value)
    except msgspec.ValidationError as error:
        raise InvalidMessageError(f"{cls.__name__}: {scrub(error)}") from None
    except LimitError as error:
        raise InvalidMessageError(f"{cls.__name__}: {error}") from None
    except TypeError as error:  # its text tells of types
        raise InvalidMessageError(f"{cls.__name__} cannot be written: {error}") from None
    except (ValueError, RecursionError, OverflowError) as error:
        raise InvalidMessageError(
            f"{cls.__name__} cannot be written: {type(error).__name__}"
        ) from None
    _check_key(value, cls)


def _check_key(value: Any, cls: type[Any]) -> None:
    field = key_field_of(cls)
    problem = None if field is None else key_problem(getattr(value, field))
    if problem is not None:
        raise InvalidMessageError(f"{cls.__name__}: the key {field} {problem}")


_key_fields: dict[type[Any], str | None] = {}


def key_field_of(cls: type[Any]) -> str | None:
    """Return the field that is the key, or None where there is not exactly one."""
    try:
        return _key_fields[cls]
    except KeyError:
        from sourceflow.messages.fields import key_fields  # noqa: PLC0415 - needs the class made

        fields, _ = key_fields(cls)
        found = _key_fields[cls] = fields[0] if len(fields) == 1 else None
        return found
