"""Messages travel encrypted: a data key encrypts them, a key service encrypts the data key."""

from sourceflow.transports.aws.encryption.choices import (
    check_keys,
    encrypted_destinations,
    requires_encryption,
)
from sourceflow.transports.aws.encryption.cipher import Cipher
from sourceflow.transports.aws.encryption.format import (
    CONTENT_TYPE,
    KeySection,
    is_sealed,
    largest_size,
    read_sealed,
    sealed_id,
)
from sourceflow.transports.aws.encryption.key_provider import (
    CheckedKeyProvider,
    GeneratedKey,
    KeyProvider,
    key_context,
)
from sourceflow.transports.aws.encryption.local_provider import LocalKeyProvider
from sourceflow.transports.aws.encryption.opening import open_keys, open_record_cipher
from sourceflow.transports.aws.encryption.receiver import DecryptingReceiver
from sourceflow.transports.aws.encryption.record_cipher import STORES
from sourceflow.transports.aws.encryption.sending_cache import DEFAULT_LIFETIME

__all__ = (
    "CONTENT_TYPE",
    "DEFAULT_LIFETIME",
    "STORES",
    "CheckedKeyProvider",
    "Cipher",
    "DecryptingReceiver",
    "GeneratedKey",
    "KeyProvider",
    "KeySection",
    "LocalKeyProvider",
    "check_keys",
    "encrypted_destinations",
    "is_sealed",
    "key_context",
    "largest_size",
    "open_keys",
    "open_record_cipher",
    "read_sealed",
    "requires_encryption",
    "sealed_id",
)
