"""What is shown of messages in their wire form: nobody knows there which part is sensitive."""

from __future__ import annotations

from typing import Any

__all__ = ("bodiless_repr", "bodiless_rich_repr")


class _Size:
    """Stands for a body: says how long it is."""

    __slots__ = ("_text",)

    def __init__(self, body: bytes | str) -> None:
        self._text = f"<{len(body)} {'bytes' if isinstance(body, bytes) else 'characters'}>"

    def __repr__(self) -> str:
        return self._text


def bodiless_rich_repr(self: Any) -> list[tuple[str, Any]]:
    """Return the fields of a struct or named tuple; of its ``body``, only the length."""
    names = getattr(self, "_fields", None) or self.__struct_fields__
    fields = {name: getattr(self, name) for name in names}
    if fields["body"] is not None:
        fields["body"] = _Size(fields["body"])
    return list(fields.items())


def bodiless_repr(self: Any) -> str:
    """Return the ``repr`` of a struct or named tuple; of its ``body``, only the length."""
    fields = ", ".join(f"{name}={field!r}" for name, field in bodiless_rich_repr(self))
    return f"{type(self).__name__}({fields})"
