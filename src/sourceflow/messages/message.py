"""What commands and events have in common."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from sourceflow.messages.masking import masked_repr, masked_rich_repr
from sourceflow.messages.meta import SourceflowMeta

__all__ = ("Message",)


class Message(msgspec.Struct, metaclass=SourceflowMeta, frozen=True, kw_only=True):
    """Base of commands and events: frozen data with one ``Key``."""

    __sourceflow_taken__: ClassVar[tuple[str, ...]] = ("name", "version", "aliases")

    __repr__ = masked_repr
    __rich_repr__ = masked_rich_repr

    def __init_subclass__(
        cls,
        *,
        name: str | None = None,
        version: int = 1,
        aliases: tuple[str, ...] = (),
        **config: Any,
    ) -> None:
        """Declare the options for type checkers; the metaclass reads them."""
        del name, version, aliases
        super().__init_subclass__(**config)
