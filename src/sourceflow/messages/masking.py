"""Messages and state as people may see them: documents, ``repr``, and texts about them."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from sourceflow.messages.sensitive import REDACTED, SensitiveKind, mask, text_of
from sourceflow.messages.showing import show, shows_all
from sourceflow.messages.shown_fields import Fields, has_fields, names_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("Masked", "mask_dataclass", "masked", "masked_repr", "masked_rich_repr", "redacted")


def _written(value: Any) -> Any:
    """Return what stands in a document for something that JSON has no form of."""
    return value.document() if isinstance(value, Fields) else f"<{type(value).__name__}>"


_ENCODER: Final = msgspec.json.Encoder(
    enc_hook=_written, decimal_format="string", uuid_format="canonical"
)
_UNWRITABLE: Final = (TypeError, ValueError, OverflowError)
_MASKS: Final = "__sourceflow_masks__"
_NOTHING: Final = msgspec.json.encode(REDACTED)


def masked(value: Any) -> str:
    """Return a message, an entity, a row or an envelope as JSON that people may read.

    Sensitive values are masked, wherever in it they are. It is JSON whatever the value: what cannot
    be written is redacted. To pay nothing when nobody reads it, log ``Masked(value)``.
    """
    try:
        return _document(show(value, mask)).decode()
    except RecursionError:
        return _NOTHING.decode()


class Masked:
    """A message or state that is masked when, and if, its text is asked for.

    ``log.debug("placed %s", Masked(order))`` costs next to nothing while the level is off.

    Args:
        value: What ``masked`` takes.
    """

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __str__(self) -> str:
        return masked(self._value)

    __repr__ = __str__


def _document(shown: Any) -> bytes:
    """Write what may be seen; a part that cannot be written takes nothing else with it."""
    try:
        return _ENCODER.encode(shown)
    except _UNWRITABLE:
        if not isinstance(shown, Fields):
            return _NOTHING
        members = {name: msgspec.Raw(_document(each)) for name, each in shown.document().items()}
        return _ENCODER.encode(members)


def masked_repr(self: Any) -> str:
    """Return the ``repr`` of a struct, masked; that of msgspec where nothing is sensitive."""
    cls = type(self)
    if shows_all(cls):
        return msgspec.Struct.__repr__(self)
    return _shown_repr(self)


def masked_rich_repr(self: Any) -> list[tuple[str, Any]]:
    """Return the fields that the library rich prints, masked."""
    if shows_all(type(self)):
        return [(name, getattr(self, name)) for name in names_of(type(self))]
    try:
        return list(show(self, mask).values.items())
    except RecursionError:
        return [("fields", REDACTED)]


def mask_dataclass(cls: type[Any]) -> None:
    """Give a dataclass a ``repr`` that masks what is sensitive.

    It does not name the one that it wraps: ``pprint`` goes by the fields where it finds that a
    ``repr`` was generated.
    """
    plain: Any = cls.__repr__
    if getattr(plain, _MASKS, False):
        return

    def masking_repr(self: Any) -> str:
        return plain(self) if shows_all(type(self)) else _shown_repr(self)

    setattr(masking_repr, _MASKS, True)
    setattr(cls, "__repr__", masking_repr)  # noqa: B010 - of a class that may be any


def _shown_repr(value: Any) -> str:
    try:
        return repr(show(value, mask))
    except RecursionError:
        return f"{type(value).__name__}({REDACTED})"


def redacted(text: str, message: Any) -> str:
    """Return a text about a message without the message's sensitive values.

    Errors that handlers raise may quote them. Each occurrence is replaced, as the value is written,
    as ``repr`` writes it, or as JSON does.

    Args:
        text: What is to be shown.
        message: The message or state that it is about; None leaves the text as it is.
    """
    if message is None:
        return text
    secrets: set[str] = set()

    def collect(_kind: SensitiveKind, value: Any) -> None:
        secrets.update(_forms(value))

    try:
        show(message, collect)
    except RecursionError:
        return REDACTED
    longest_first = sorted(secrets - {""}, key=len, reverse=True)
    if not longest_first:
        return text
    return re.sub("|".join(map(re.escape, longest_first)), REDACTED, text)


def _forms(value: Any) -> Iterator[str]:
    """Yield the ways in which a text may quote a value, and the parts of it if it has some."""
    if isinstance(value, Mapping):
        for item in value.items():
            yield from _forms(item)
    elif has_fields(type(value)):
        for name in names_of(type(value)):
            yield from _forms(getattr(value, name, None))
    elif isinstance(value, (list, tuple, set, frozenset)):
        for each in value:
            yield from _forms(each)
    elif value is not None and not isinstance(value, bool):
        yield from _forms_of_leaf(value)


def _forms_of_leaf(value: Any) -> Iterator[str]:
    text = text_of(value)
    if text is None:
        with contextlib.suppress(Exception):  # an object of users may refuse to be told of
            yield from (str(value), repr(value))
        if isinstance(value, (bytes, bytearray)):
            yield from (value.decode(errors="replace"), base64.b64encode(value).decode())
        return
    yield from (text, repr(text)[1:-1], json.dumps(text)[1:-1])
    yield json.dumps(text, ensure_ascii=False)[1:-1]
