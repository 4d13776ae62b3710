"""Commands, events and how they are written: pure data."""

from sourceflow.messages.codec import Codec
from sourceflow.messages.command import Command, command
from sourceflow.messages.envelope import Envelope, check_headers, check_message_id
from sourceflow.messages.event import Event, event
from sourceflow.messages.ids import new_message_id
from sourceflow.messages.index import Index, IndexKind
from sourceflow.messages.key import Key, KeyType, is_possible_key, key_text, parse_key
from sourceflow.messages.masking import Masked, masked, masked_repr, masked_rich_repr, redacted
from sourceflow.messages.meta import SourceflowMeta, validate
from sourceflow.messages.registry import Registry
from sourceflow.messages.sensitive import (
    API_KEY,
    CARD,
    CUSTOM,
    EMAIL,
    IP_ADDRESS,
    NAME,
    PASSWORD,
    PHONE,
    SSN,
    Sensitive,
    SensitiveKind,
)
from sourceflow.messages.trace import TraceContext
from sourceflow.messages.type_info import (
    Kind,
    StateInfo,
    TypeInfo,
    is_message,
    key_of_state,
    state_info,
    type_info,
)
from sourceflow.messages.upcasters import is_upcaster, upcasts

__all__ = (
    "API_KEY",
    "CARD",
    "CUSTOM",
    "EMAIL",
    "IP_ADDRESS",
    "NAME",
    "PASSWORD",
    "PHONE",
    "SSN",
    "Codec",
    "Command",
    "Envelope",
    "Event",
    "Index",
    "IndexKind",
    "Key",
    "KeyType",
    "Kind",
    "Masked",
    "Registry",
    "Sensitive",
    "SensitiveKind",
    "SourceflowMeta",
    "StateInfo",
    "TraceContext",
    "TypeInfo",
    "check_headers",
    "check_message_id",
    "command",
    "event",
    "is_message",
    "is_possible_key",
    "is_upcaster",
    "key_of_state",
    "key_text",
    "masked",
    "masked_repr",
    "masked_rich_repr",
    "new_message_id",
    "parse_key",
    "redacted",
    "state_info",
    "type_info",
    "upcasts",
    "validate",
)
