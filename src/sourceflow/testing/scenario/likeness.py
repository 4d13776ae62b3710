"""What must be there, or must have happened, as far as its fields are known."""

from __future__ import annotations

from typing import Any

from sourceflow.messages.sensitive import REDACTED
from sourceflow.messages.showing import masked_fields
from sourceflow.messages.shown_fields import names_of

__all__ = ("Likeness", "like")


class Likeness:
    """Equals every object of one class whose named fields have these values.

    Attributes:
        kind: The class.
        fields: The named fields.
    """

    __slots__ = ("fields", "kind")

    def __init__(self, kind: type[Any], fields: dict[str, Any]) -> None:
        self.kind = kind
        self.fields = fields

    def __eq__(self, other: object) -> bool:
        return type(other) is self.kind and not self.differing(other)

    __hash__ = None  # type: ignore[assignment] # what it equals has other hashes

    def differing(self, other: Any) -> list[str]:
        """Return the names of the fields that another object has other values of."""
        return [name for name, value in self.fields.items() if getattr(other, name) != value]

    def __repr__(self) -> str:
        masked = masked_fields(self.kind)
        fields = (
            f"{name}={REDACTED if name in masked else repr(value)}"
            for name, value in self.fields.items()
        )
        return f"like({', '.join((self.kind.__name__, *fields))})"


def like(kind: type[Any], /, **fields: Any) -> Likeness:
    """Return what ``then`` takes for a message or a state of which only some fields are known.

    Args:
        kind: Its class.
        fields: The fields that must be equal; of an entity or a row, the key is one of them.

    Raises:
        TypeError: The class has no such field.
    """
    unknown = fields.keys() - set(names_of(kind))
    if unknown:
        raise TypeError(f"{kind.__name__} has no field {min(unknown)!r}")
    return Likeness(kind, fields)
