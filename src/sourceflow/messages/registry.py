"""From wire names to types: the only way there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sourceflow.errors import UnknownTypeError
from sourceflow.messages.type_info import type_info
from sourceflow.messages.upcasters import Upcasters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sourceflow.messages.type_info import TypeInfo

__all__ = ("Registry",)


class Registry:
    """The message types that an App knows.

    A name in a message is looked up here and nowhere else: nothing is ever imported by it.

    Args:
        types: The types.
        upcasters: Functions marked ``@upcasts`` that read older versions of them.

    Attributes:
        upcasters: Brings data of older versions up to the current one.
        faults: Wire names that two types share, and upcasters that do not fit.
    """

    __slots__ = ("_by_name", "faults", "upcasters")

    def __init__(
        self, types: Iterable[type[Any]], upcasters: Iterable[Callable[..., Any]] = ()
    ) -> None:
        self._by_name: dict[str, TypeInfo] = {}
        faults: list[str] = []
        for message_type in dict.fromkeys(types):
            info = type_info(message_type)
            for name in info.names:
                other = self._by_name.setdefault(name, info)
                if other is not info:
                    faults.append(
                        f"{other.type.__qualname__} and {info.type.__qualname__} share the wire "
                        f"name {name!r}: give one of them name=…"
                    )
        self.upcasters = Upcasters(upcasters, self)
        self.faults = (*faults, *self.upcasters.faults)

    def find(self, name: str) -> TypeInfo | None:
        """Return what is known of a wire name, or None."""
        return self._by_name.get(name)

    def resolve(self, name: str, version: int) -> TypeInfo:
        """Return the type of a message.

        Raises:
            UnknownTypeError: The name is unknown, or the version is higher than the type's.
        """
        info = self._by_name.get(name)
        if info is None:
            raise UnknownTypeError(name)
        if version > info.version:
            raise UnknownTypeError(name, version)
        return info

    def __iter__(self) -> Iterator[TypeInfo]:
        return iter(dict.fromkeys(self._by_name.values()))

    def __len__(self) -> int:
        return len(set(self._by_name.values()))
