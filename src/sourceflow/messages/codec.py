"""Messages as CloudEvents 1.0 documents, and back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET

from sourceflow.errors import InvalidMessageError, MalformedError, WrongKindError
from sourceflow.messages.envelope import (
    RESERVED_HEADERS,
    Envelope,
    check_headers,
    check_message_id,
)
from sourceflow.messages.key import key_problem, key_text
from sourceflow.messages.limits import LimitError, check_text, limits_of
from sourceflow.messages.meta import MAX_NAME, validate
from sourceflow.messages.misfit import field_of, scrub
from sourceflow.messages.quick_look import is_plainly_right
from sourceflow.messages.trace import TraceContext
from sourceflow.messages.type_info import type_info

if TYPE_CHECKING:
    from sourceflow.messages.registry import Registry
    from sourceflow.messages.type_info import Kind, TypeInfo

__all__ = ("Codec",)

DataT = TypeVar("DataT")
StateT = TypeVar("StateT")

SPEC_VERSION: Final = "1.0"
CONTENT_TYPE: Final = "application/json"

_ENCODER: Final = msgspec.json.Encoder(decimal_format="string", uuid_format="canonical")

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


class _Document(msgspec.Struct, Generic[DataT], kw_only=True):
    """The document; attributes that are not ours are passed over."""

    specversion: Literal["1.0"]
    id: str
    source: _Name
    type: _Name
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    data: DataT
    subject: str | msgspec.UnsetType = UNSET
    datacontenttype: str | msgspec.UnsetType = UNSET
    kind: Literal["command", "event"]
    dataversion: _Count = 1
    entitysequence: _Count | msgspec.UnsetType = UNSET
    correlationid: str | msgspec.UnsetType = UNSET
    causationid: str | msgspec.UnsetType = UNSET
    depth: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0
    # CloudEvents' distributed tracing extension. Whatever stands there, the message counts.
    traceparent: Any = UNSET
    tracestate: Any = UNSET


class _OwnDocument(_Document[DataT], Generic[DataT], kw_only=True, forbid_unknown_fields=True):
    """The document with nothing but our own attributes: decoded in one pass, data and all."""


class _Version(msgspec.Struct):
    """Of a document, the version only."""

    dataversion: _Count = 1


_VERSION: Final = msgspec.json.Decoder(_Version)
_ATTRIBUTES: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT: Final = msgspec.json.Decoder(str)
_RAW_DOCUMENT: Final = msgspec.json.Decoder(_Document[msgspec.Raw])
_OWN: Final = frozenset(_Document.__struct_fields__)

_UNREADABLE: Final = (msgspec.MsgspecError, RecursionError, OverflowError, ValueError, TypeError)


class Codec:
    """Writes and reads messages and state.

    Args:
        registry: The types that may be read.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._upcasters = registry.upcasters
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
            time=_in_utc(envelope.time),
            data=message,
            subject=key_text(info.key_of(message)),
            datacontenttype=CONTENT_TYPE,
            kind=info.kind,
            dataversion=info.version,
            entitysequence=UNSET if envelope.sequence is None else envelope.sequence,
            correlationid=envelope.correlation_id,
            causationid=UNSET if envelope.causation_id is None else envelope.causation_id,
            depth=envelope.depth,
        )
        trace = envelope.trace
        if trace is not None:
            document.traceparent = trace.traceparent
            document.tracestate = trace.tracestate or UNSET
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
            return self._read(body, type_hint, kind)
        except _UNREADABLE as error:
            raise _malformed(error) from None

    def _read(self, body: bytes, type_hint: str | None, kind: Kind | None) -> Envelope[Any]:
        info, document = self._read_own(body, type_hint)
        headers: dict[str, str] = {}
        if document is None:
            document = _RAW_DOCUMENT.decode(body)
            headers = _headers_of(body)
        if type_hint is not None and document.type != type_hint:
            raise MalformedError("the type beside the document is not the type inside")
        if kind is not None and document.kind != kind:
            raise WrongKindError(f"this is an {document.kind}; only {kind}s belong here")
        if info is None:
            info = self._registry.resolve(document.type, document.dataversion)
            document.data = self._data(info, document.dataversion, document.data)
        if document.kind != info.kind:
            raise WrongKindError(f"{info.name} is an {info.kind}; the document says otherwise")
        return _envelope(document, info, headers)

    def _read_own(
        self, body: bytes, type_hint: str | None
    ) -> tuple[TypeInfo | None, _Document[Any] | None]:
        """Read a document of the expected type in one pass, where it holds no headers."""
        info = None if type_hint is None else self._registry.find(type_hint)
        if info is None:
            return None, None
        try:
            document = self._document(info).decode(body)
        except msgspec.ValidationError:  # headers, another version, or wrong: a closer look tells
            return None, None
        if document.type != type_hint:
            return None, None
        version = document.dataversion
        if version != info.version and (
            version > info.version or self._upcasters.take(info, version)
        ):
            return None, None
        return info, document

    def _data(self, info: TypeInfo, version: int, data: bytes) -> Any:
        """Read a message's data, brought up to the current version."""
        if self._upcasters.take(info, version):
            data = self._upcasters.upcast(info, version, data)
        return self._value(info.type).decode(data)

    def encode_data(self, message: Any) -> bytes:
        """Write a message without its metadata.

        Raises:
            InvalidMessageError: It holds something that cannot be written.
        """
        validate(message)
        return _encode(message, type(message).__name__)

    def knows(self, message_type: type[Any]) -> bool:
        """Whether messages of this very class are read, not of another one of the same name."""
        info = self._registry.find(type_info(message_type).name)
        return info is not None and info.type is message_type

    @staticmethod
    def version_in(body: bytes) -> int | None:
        """Return the version that a document says its data has, or None where it can't be read."""
        try:
            return _VERSION.decode(body).dataversion
        except _UNREADABLE:
            return None

    def decode_data(self, name: str, version: int, data: bytes) -> Any:
        """Read a message without its metadata.

        Raises:
            MalformedError: It is not one of this type.
            UnknownTypeError: The type is not known, or not in this version.
        """
        info = self._registry.resolve(name, version)
        try:
            message = self._data(info, version, data)
            limits_of(info.type).check(message)
        except _UNREADABLE as error:
            raise _malformed(error) from None
        return message

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
            raise _malformed(error, of=f"the stored {state_type.__name__}") from None
        return state

    def _document(self, info: TypeInfo) -> msgspec.json.Decoder[Any]:
        found = self._documents.get(info.type)
        if found is None:
            document: Any = _OwnDocument
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
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise InvalidMessageError(f"{name} cannot be written: {type(error).__name__}") from None


def _malformed(error: Exception, *, of: str = "it") -> MalformedError:
    """Return the error to raise, without a value of the message in its text."""
    if isinstance(error, msgspec.ValidationError):
        return MalformedError(f"{of} does not fit: {scrub(error)}", field=field_of(error))
    if isinstance(error, LimitError):
        return MalformedError(str(error) if of == "it" else f"{of}: {error}", field=error.field)
    if isinstance(error, InvalidMessageError):
        return MalformedError(str(error))
    return MalformedError(f"{of} is not JSON that can be read ({type(error).__name__})")


def _headers_of(body: bytes) -> dict[str, str]:
    headers = {
        name: _TEXT.decode(value)
        for name, value in _ATTRIBUTES.decode(body).items()
        if name not in _OWN
    }
    try:
        check_headers({name: headers[name] for name in headers if name not in RESERVED_HEADERS})
    except InvalidMessageError:  # its text names the header, which only the sender may see
        raise MalformedError("it holds an attribute that no header can be") from None
    return headers


def _envelope(document: _Document[Any], info: TypeInfo, headers: dict[str, str]) -> Envelope[Any]:
    """Return the message, after what its decoder could not check."""
    key = info.key_of(document.data)
    if not is_plainly_right(document.data):
        limits_of(info.type).check(document.data)
        problem = key_problem(key)
        if problem is not None:
            raise MalformedError(f"its key {problem}", field=info.key_field)
    if document.subject is not UNSET and document.subject != key_text(key):
        raise MalformedError("its subject is not its key")
    check_text(document.source)
    if not document.source.isprintable():  # it is a key of databases, and stands in logs
        raise MalformedError("its source holds a character that is not printed")
    check_message_id(document.id)
    correlation_id, causation_id = document.correlationid, document.causationid
    if correlation_id is UNSET:
        correlation_id = document.id
    elif correlation_id != document.id:
        check_message_id(correlation_id)
    if causation_id is not UNSET:
        check_message_id(causation_id)
    return Envelope(
        message=document.data,
        id=document.id,
        source=document.source,
        time=_in_utc(document.time),
        correlation_id=correlation_id,
        causation_id=None if causation_id is UNSET else causation_id,
        depth=document.depth,
        sequence=None if document.entitysequence is UNSET else document.entitysequence,
        headers=headers,
        trace=None
        if document.traceparent is UNSET
        else TraceContext.read(document.traceparent, document.tracestate),
    )


def _in_utc(time: datetime) -> datetime:
    return time if time.tzinfo is UTC else time.astimezone(UTC)
