"""Messages as CloudEvents 1.0 documents, and back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec

from sourceflow.errors import InvalidMessageError, MalformedError, UnknownTypeError, WrongKindError
from sourceflow.messages.envelope import RESERVED_HEADERS, Envelope, check_headers
from sourceflow.messages.key import key_text
from sourceflow.messages.limits import LimitError, limits_of
from sourceflow.messages.meta import scrub, validate

if TYPE_CHECKING:
    from sourceflow.messages.registry import Registry
    from sourceflow.messages.type_info import Kind, TypeInfo

__all__ = ("Codec",)

DataT = TypeVar("DataT")
StateT = TypeVar("StateT")

SPEC_VERSION: Final = "1.0"
CONTENT_TYPE: Final = "application/json"
MAX_DEPTH: Final = 1_000_000

_ENCODER: Final = msgspec.json.Encoder(decimal_format="string", uuid_format="canonical")


class _Document(msgspec.Struct, Generic[DataT], kw_only=True, forbid_unknown_fields=True):
    """The document with nothing but our own attributes: decoded in one pass."""

    specversion: str
    id: str
    source: str
    type: str
    time: datetime
    data: DataT
    subject: str | msgspec.UnsetType = msgspec.UNSET
    datacontenttype: str | msgspec.UnsetType = msgspec.UNSET
    kind: str
    dataversion: int = 1
    entitysequence: int | msgspec.UnsetType = msgspec.UNSET
    correlationid: str | msgspec.UnsetType = msgspec.UNSET
    causationid: str | msgspec.UnsetType = msgspec.UNSET
    depth: int = 0


_ANY: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT: Final = msgspec.json.Decoder(str)
_RAW_DOCUMENT: Final = msgspec.json.Decoder(_Document[msgspec.Raw])
_OWN: Final = frozenset(_Document.__struct_fields__)

_UNREADABLE: Final = (
    msgspec.MsgspecError,
    UnicodeError,
    RecursionError,
    OverflowError,
    ValueError,
    TypeError,
)


class Codec:
    """Writes and reads messages and state.

    Args:
        registry: The types that may be read.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._documents: dict[type[Any], msgspec.json.Decoder[Any]] = {}
        self._values: dict[type[Any], msgspec.json.Decoder[Any]] = {}

    def encode(self, envelope: Envelope[Any]) -> bytes:
        """Write a message.

        Raises:
            InvalidMessageError: It holds something that cannot be sent.
        """
        message = envelope.message
        info = envelope.info
        validate(message)
        document = _Document(
            specversion=SPEC_VERSION,
            id=envelope.id,
            source=envelope.source,
            type=info.name,
            time=envelope.time.astimezone(UTC),
            data=message,
            subject=key_text(info.key_of(message)),
            datacontenttype=CONTENT_TYPE,
            kind=info.kind,
            dataversion=info.version,
            entitysequence=msgspec.UNSET if envelope.sequence is None else envelope.sequence,
            correlationid=envelope.correlation_id,
            causationid=msgspec.UNSET if envelope.causation_id is None else envelope.causation_id,
            depth=envelope.depth,
        )
        written = _encode(document, info.name)
        if not envelope.headers:
            return written
        return b"%b,%b" % (written[:-1], _encode(envelope.headers, info.name)[1:])

    def decode(
        self, body: bytes, *, type_hint: str | None = None, kind: Kind | None = None
    ) -> Envelope[Any]:
        """Read a message.

        Args:
            body: The document.
            type_hint: The wire name that stands beside it; must be the one inside.
            kind: What is expected here; None takes both.

        Raises:
            MalformedError: It is not one of our documents.
            UnknownTypeError: Its type is not known, or not in this version.
            WrongKindError: It is of the other kind.
        """
        try:
            document, info, headers = self._read(body, type_hint)
        except _UNREADABLE as error:
            raise _malformed(error) from None
        if type_hint is not None and document.type != type_hint:
            raise MalformedError("the type beside the document is not the type inside")
        if kind is not None and info.kind != kind:
            raise WrongKindError(f"{info.name} is an {info.kind}; only {kind}s belong here")
        return self._envelope(document, info, headers)

    def _read(
        self, body: bytes, type_hint: str | None
    ) -> tuple[_Document[Any], TypeInfo, dict[str, str]]:
        if type_hint is not None:
            info = self._registry.find(type_hint)
            if info is not None:
                try:
                    document = self._document(info).decode(body)
                except msgspec.ValidationError:
                    pass  # headers, another version, or truly wrong: the slow way tells
                else:
                    if document.type == type_hint and document.dataversion <= info.version:
                        return document, info, {}
        return self._read_slowly(body)

    def _read_slowly(self, body: bytes) -> tuple[_Document[Any], TypeInfo, dict[str, str]]:
        parts = _ANY.decode(body)
        own = {name: value for name, value in parts.items() if name in _OWN}
        document: _Document[Any] = _RAW_DOCUMENT.decode(_ENCODER.encode(own))
        if document.specversion != SPEC_VERSION:
            raise MalformedError("it is not a CloudEvents 1.0 document")
        info = self._resolve(document)
        document.data = self._value(info.type).decode(document.data)
        headers = {name: _TEXT.decode(value) for name, value in parts.items() if name not in _OWN}
        check_headers({name: headers[name] for name in headers if name not in RESERVED_HEADERS})
        return document, info, headers

    def _resolve(self, document: _Document[Any]) -> TypeInfo:
        if document.kind not in {"command", "event"}:
            raise MalformedError("its kind is neither command nor event")
        info = self._registry.resolve(document.type, document.dataversion)
        if info.kind != document.kind:
            raise WrongKindError(f"{info.name} is an {info.kind}; the document says otherwise")
        return info

    def _envelope(
        self, document: _Document[Any], info: TypeInfo, headers: dict[str, str]
    ) -> Envelope[Any]:
        problem = _problem(document, info)
        if problem is not None:
            raise MalformedError(problem)
        return Envelope(
            message=document.data,
            id=document.id,
            source=document.source,
            time=document.time,
            correlation_id=_or(document.correlationid, document.id),
            causation_id=_or(document.causationid, None),
            depth=document.depth,
            sequence=_or(document.entitysequence, None),
            headers=headers,
        )

    def encode_data(self, message: Any) -> bytes:
        """Write a message without its metadata.

        Raises:
            InvalidMessageError: It holds something that cannot be written.
        """
        validate(message)
        return _encode(message, type(message).__name__)

    def decode_data(self, name: str, version: int, data: bytes) -> Any:
        """Read a message without its metadata.

        Raises:
            MalformedError: It is not one of this type.
            UnknownTypeError: The type is not known, or not in this version.
        """
        info = self._registry.resolve(name, version)
        return self.decode_state(info.type, data)

    def encode_state(self, state: Any) -> bytes:
        """Write an entity or a row.

        Raises:
            InvalidMessageError: It holds something that cannot be written.
        """
        return self.encode_data(state)

    def decode_state(self, state_type: type[StateT], data: bytes) -> StateT:
        """Read an entity or a row.

        Raises:
            MalformedError: It is not one of this type.
        """
        try:
            state: StateT = self._value(state_type).decode(data)
            limits_of(state_type).check(state)
        except _UNREADABLE as error:
            raise _malformed(error) from None
        return state

    def _document(self, info: TypeInfo) -> msgspec.json.Decoder[Any]:
        found = self._documents.get(info.type)
        if found is None:
            document: Any = _Document
            found = self._documents[info.type] = msgspec.json.Decoder(document[info.type])
        return found

    def _value(self, value_type: type[Any]) -> msgspec.json.Decoder[Any]:
        found = self._values.get(value_type)
        if found is None:
            found = self._values[value_type] = msgspec.json.Decoder(value_type)
        return found


def _encode(value: Any, name: str) -> bytes:
    try:
        return _ENCODER.encode(value)
    except (TypeError, UnicodeError, RecursionError, OverflowError) as error:
        raise InvalidMessageError(f"{name} cannot be written: {type(error).__name__}") from None


def _malformed(error: BaseException) -> Exception:
    """Return the error to raise, without a value of the message in its text."""
    if isinstance(error, (MalformedError, UnknownTypeError, WrongKindError)):
        return error
    if isinstance(error, msgspec.ValidationError):
        return MalformedError(f"it does not fit: {scrub(str(error))}")
    if isinstance(error, (LimitError, InvalidMessageError)):
        return MalformedError(str(error))
    return MalformedError(f"it is not JSON that can be read ({type(error).__name__})")


def _problem(document: _Document[Any], info: TypeInfo) -> str | None:
    """Return what is wrong with a document that its decoder let through."""
    if document.specversion != SPEC_VERSION:
        return "it is not a CloudEvents 1.0 document"
    if not document.id or not document.source:
        return "its id or its source is empty"
    if document.time.tzinfo is None:
        return "its time has no time zone"
    if document.kind != info.kind:
        return "its kind is not that of its type"
    if not 0 <= document.depth <= MAX_DEPTH:
        return "its depth is out of range"
    try:
        limits_of(info.type).check(document.data)
    except LimitError as error:
        return str(error)
    key = info.key_of(document.data)
    if key == "":
        return "its key is empty"
    if document.subject is not msgspec.UNSET and document.subject != key_text(key):
        return "its subject is not its key"
    return None


def _or(value: Any, default: Any) -> Any:
    return default if value is msgspec.UNSET else value
