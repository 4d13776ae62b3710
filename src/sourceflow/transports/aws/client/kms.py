"""AWS KMS: data keys, and what is known of the key that encrypts them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from sourceflow.errors import AwsRequestError
from sourceflow.transports.aws.client.base import ServiceClient
from sourceflow.transports.aws.client.errors import kms_error
from sourceflow.transports.aws.client.json_protocol import json_headers, read_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sourceflow.errors import AwsError

__all__ = ("DataKey", "DecryptedKey", "KeyDescription", "KmsClient")

#: What KMS says to a dry run that would have succeeded.
_WOULD_SUCCEED: Final = "DryRunOperationException"


class DataKey(msgspec.Struct, frozen=True, gc=False):
    """A new data key, in clear and encrypted.

    Attributes:
        key_arn: The ARN of the KMS key that encrypted it, also where an alias was asked.
        plaintext: The 32 bytes of the key; its repr leaves them out.
        ciphertext: The key encrypted, to travel with what it encrypts.
    """

    key_arn: str
    plaintext: bytes
    ciphertext: bytes

    def __repr__(self) -> str:
        """Leave the key out: what is written to a log is no secret."""
        return f"DataKey(key_arn={self.key_arn!r})"


class DecryptedKey(msgspec.Struct, frozen=True, gc=False):
    """A data key that was decrypted.

    Attributes:
        key_arn: The ARN of the KMS key that decrypted it.
        plaintext: The bytes of the key; its repr leaves them out.
    """

    key_arn: str
    plaintext: bytes

    def __repr__(self) -> str:
        """Leave the key out: what is written to a log is no secret."""
        return f"DecryptedKey(key_arn={self.key_arn!r})"


class KeyDescription(msgspec.Struct, frozen=True, gc=False):
    """What KMS says of a key.

    Attributes:
        key_arn: Its ARN; of an alias, the ARN of the key that the alias leads to now.
        state: ``Enabled``, ``Disabled``, ``PendingDeletion`` or a rarer one.
        usage: ``ENCRYPT_DECRYPT`` for keys that encrypt data keys.
        spec: ``SYMMETRIC_DEFAULT`` for keys that encrypt data keys.
    """

    key_arn: str
    state: str
    usage: str
    spec: str


class KmsClient(ServiceClient):
    """Calls KMS; every method raises a subclass of ``AwsError``, see ``ServiceClient``.

    ``AwsKeyError``, a ``DependencyError``: a key is missing, disabled, about to be deleted or forbidden;
    who receives waits until a person has mended that. ``AwsThrottledError`` and ``AwsTransientError`` come
    when the retries are used up: wait as well. ``AwsRequestError`` and its subclass ``AwsCiphertextError``:
    KMS will never decrypt this; the message is to be refused.
    """

    async def generate_data_key(self, key_id: str, *, context: Mapping[str, str]) -> DataKey:
        """Let KMS make a key of 256 bits.

        Args:
            key_id: The ARN, id or alias of the KMS key that encrypts it; an alias is ``alias/...`` or an ARN.
            context: Must be given again to decrypt it. It stands in clear in the logs of AWS.

        Raises:
            AwsKeyError: The KMS key is missing, disabled, about to be deleted or forbidden.
        """
        request = _Generate(key_id, _AES_256, dict(context))
        answer = await self._call("GenerateDataKey", _ENCODER.encode(request))
        found = read_answer(_GENERATED, answer, "GenerateDataKey")
        return DataKey(found.key_id, found.plaintext, found.ciphertext_blob)

    async def decrypt(
        self, ciphertext: bytes, *, key_id: str, context: Mapping[str, str]
    ) -> DecryptedKey:
        """Decrypt a data key.

        Args:
            ciphertext: The encrypted key.
            key_id: The KMS key that must have encrypted it. Its ARN, as an alias may have moved on since.
            context: What was given to encrypt it, neither more nor less.

        Raises:
            AwsCiphertextError: It was changed, or encrypted by another key or in another context.
            AwsRequestError: It is no ciphertext at all: empty, or longer than 6,144 bytes.
            AwsKeyError: The KMS key is missing, disabled, about to be deleted or forbidden.
        """
        request = _Decrypt(ciphertext, key_id, dict(context))
        answer = await self._call("Decrypt", _ENCODER.encode(request))
        found = read_answer(_DECRYPTED, answer, "Decrypt")
        return DecryptedKey(found.key_id, found.plaintext)

    async def check_generate_data_key(self, key_id: str, *, context: Mapping[str, str]) -> None:
        """Return if ``generate_data_key`` would succeed now, and raise what it would raise otherwise.

        Nothing is made: it is a dry run.
        """
        request = _Generate(key_id, _AES_256, dict(context), dry_run=True)
        await self._dry_run("GenerateDataKey", _ENCODER.encode(request))

    async def check_decrypt(
        self, ciphertext: bytes, *, key_id: str, context: Mapping[str, str]
    ) -> None:
        """Return if ``decrypt`` would succeed now, and raise what it would raise otherwise.

        Nothing is decrypted: it is a dry run.
        """
        request = _Decrypt(ciphertext, key_id, dict(context), dry_run=True)
        await self._dry_run("Decrypt", _ENCODER.encode(request))

    async def describe_key(self, key_id: str) -> KeyDescription:
        """Return what KMS says of a key; above all the ARN that an alias leads to now.

        Args:
            key_id: The ARN, id or alias of the key.

        Raises:
            AwsKeyError: It is missing or forbidden. A disabled key is described.
        """
        answer = await self._call("DescribeKey", _ENCODER.encode(_Describe(key_id)))
        found = read_answer(_DESCRIBED, answer, "DescribeKey").key_metadata
        return KeyDescription(found.arn, found.key_state, found.key_usage, found.key_spec)

    async def _dry_run(self, operation: str, body: bytes) -> None:
        # An emulator that ignores DryRun answers as if it were none, which says the same.
        try:
            await self._call(operation, body)
        except AwsRequestError as error:
            if error.code != _WOULD_SUCCEED:
                raise

    @staticmethod
    def _read_error(
        status: int, headers: Mapping[str, str], body: bytes, *, operation: str
    ) -> AwsError:
        return kms_error(status, headers, body, operation=operation)

    @staticmethod
    def _headers(operation: str) -> Mapping[str, str]:
        return json_headers("1.1", f"TrentService.{operation}")


class _Generate(msgspec.Struct, rename="pascal", omit_defaults=True):
    key_id: str
    key_spec: str
    encryption_context: dict[str, str] = {}
    dry_run: bool = False


class _Generated(msgspec.Struct, rename="pascal"):
    key_id: str
    plaintext: bytes
    ciphertext_blob: bytes


class _Decrypt(msgspec.Struct, rename="pascal", omit_defaults=True):
    ciphertext_blob: bytes
    key_id: str
    encryption_context: dict[str, str] = {}
    dry_run: bool = False


class _Decrypted(msgspec.Struct, rename="pascal"):
    key_id: str
    plaintext: bytes


class _Describe(msgspec.Struct, rename="pascal"):
    key_id: str


class _Metadata(msgspec.Struct, rename="pascal"):
    arn: str
    key_state: str
    key_usage: str = ""
    key_spec: str = ""


class _Described(msgspec.Struct, rename="pascal"):
    key_metadata: _Metadata


_AES_256: Final = "AES_256"

_ENCODER = msgspec.json.Encoder()
_GENERATED = msgspec.json.Decoder(_Generated)
_DECRYPTED = msgspec.json.Decoder(_Decrypted)
_DESCRIBED = msgspec.json.Decoder(_Described)
