"""Plain dataclasses as messages."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from sourceflow.messages.masking import mask_dataclass
from sourceflow.messages.meta import OPTIONS, make_options
from sourceflow.messages.type_info import KIND

if TYPE_CHECKING:
    from sourceflow.messages.type_info import Kind

__all__ = ("mark_plain",)


def mark_plain(
    cls: type[Any] | None,
    kind: Kind,
    *,
    name: str | None,
    version: int,
    aliases: tuple[str, ...],
) -> Any:
    """Mark a dataclass as a message, or return the decorator that does.

    It is checked when it is sent, not when it is constructed: its class stays as it is, but for a
    ``repr`` that masks what is sensitive.
    """

    def mark(dataclass: type[Any]) -> type[Any]:
        if not dataclasses.is_dataclass(dataclass):
            raise TypeError(
                f"@{kind} marks dataclasses; {dataclass!r} is none: write @dataclass below @{kind}"
            )
        options = make_options(dataclass.__name__, name=name, version=version, aliases=aliases)
        setattr(dataclass, OPTIONS, options)
        setattr(dataclass, KIND, kind)
        mask_dataclass(dataclass)
        return dataclass

    return mark if cls is None else mark(cls)
