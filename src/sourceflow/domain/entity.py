"""State on the write side."""

from __future__ import annotations

from typing import Any, ClassVar, dataclass_transform

import msgspec

from sourceflow.messages import SourceflowMeta, masked_repr, masked_rich_repr

__all__ = ("Entity",)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class Entity(msgspec.Struct, metaclass=SourceflowMeta, frozen=True, kw_only=True):
    """What commands change: frozen data with one ``Key``.

    Handlers return a new one, made with ``msgspec.structs.replace``. ``name=`` gives it a stable
    name in the stores; the class's name is the default.
    """

    __sourceflow_taken__: ClassVar[tuple[str, ...]] = ("name",)

    __repr__ = masked_repr
    __rich_repr__ = masked_rich_repr

    def __init_subclass__(cls, *, name: str | None = None, **config: Any) -> None:
        """Declare the options for type checkers; the metaclass reads them."""
        del name
        super().__init_subclass__(**config)
