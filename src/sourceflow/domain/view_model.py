"""State on the read side."""

from __future__ import annotations

from typing import Any, ClassVar, dataclass_transform

import msgspec

from sourceflow.messages import SourceflowMeta, masked_repr, masked_rich_repr

__all__ = ("ViewModel",)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class ViewModel(msgspec.Struct, metaclass=SourceflowMeta, frozen=True, kw_only=True):
    """What views project events into: rows of frozen data with one ``Key``.

    ``indexes=("total",)`` names the fields that ``App.query`` may compare and sort by.
    """

    __sourceflow_taken__: ClassVar[tuple[str, ...]] = ("name", "indexes")

    __repr__ = masked_repr
    __rich_repr__ = masked_rich_repr

    def __init_subclass__(
        cls, *, name: str | None = None, indexes: tuple[str, ...] = (), **config: Any
    ) -> None:
        """Declare the options for type checkers; the metaclass reads them."""
        del name, indexes
        super().__init_subclass__(**config)
