"""The operations of KMS."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import msgspec

from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.kms import shapes
from sourceflow.testing.local_aws.kms.ciphertext import Ciphertext
from sourceflow.testing.local_aws.kms.keys import Keys
from sourceflow.testing.local_aws.kms.rights import USES, check_account, check_identity
from sourceflow.testing.local_aws.policy import check_policy

if TYPE_CHECKING:
    from collections.abc import Callable

    from sourceflow.testing.local_aws.identities import Identity

__all__ = ("Kms",)

SECONDS_OF_A_DAY: Final = 86_400
_DATA_KEY_BYTES: Final = {"AES_128": 16, "AES_256": 32}
_ALGORITHM: Final = "SYMMETRIC_DEFAULT"


class Kms:
    """Every key of one account in one region.

    Args:
        region: The region.
        account_id: The account.

    Attributes:
        keys: The keys.
    """

    def __init__(self, *, region: str, account_id: str) -> None:
        self.keys = Keys(region=region, account_id=account_id)
        self._account_id = account_id
        self._operations: dict[str, tuple[msgspec.json.Decoder[Any], Callable[..., Any]]] = {
            name: (msgspec.json.Decoder(request), method)
            for name, request, method in (
                ("CreateKey", shapes.CreateKey, self._create_key),
                ("DescribeKey", shapes.Named, self._describe_key),
                ("ListKeys", shapes.Nothing, self._list_keys),
                ("EnableKey", shapes.Named, self._enable_key),
                ("DisableKey", shapes.Named, self._disable_key),
                ("RotateKeyOnDemand", shapes.Named, self._rotate_key),
                ("ScheduleKeyDeletion", shapes.ScheduleKeyDeletion, self._schedule_deletion),
                ("CancelKeyDeletion", shapes.Named, self._cancel_deletion),
                ("PutKeyPolicy", shapes.PutKeyPolicy, self._put_policy),
                ("CreateAlias", shapes.Alias, self._create_alias),
                ("UpdateAlias", shapes.Alias, self._update_alias),
                ("DeleteAlias", shapes.DeleteAlias, self._delete_alias),
                ("ListAliases", shapes.ListAliases, self._list_aliases),
                ("GenerateDataKey", shapes.GenerateDataKey, self._generate),
                (
                    "GenerateDataKeyWithoutPlaintext",
                    shapes.GenerateDataKey,
                    self._generate_hidden,
                ),
                ("Encrypt", shapes.Encrypt, self._encrypt),
                ("Decrypt", shapes.Decrypt, self._decrypt),
            )
        }

    def call(
        self, operation: str, body: bytes, now: float, identity: Identity | None = None
    ) -> bytes:
        """Run an operation.

        Args:
            operation: Its name.
            body: The request.
            now: Seconds since 1970.
            identity: Who asks; None is the account itself.

        Raises:
            AwsFault: It is refused.
        """
        known = self._operations.get(operation)
        if known is None:
            raise AwsFault("UnknownOperationException", f"LocalAws has no operation {operation}.")
        decoder, method = known
        request = _decoded(decoder, body)
        self.keys.delete_due(now)
        if identity is not None:
            check_identity(identity, operation, request, self.keys)
        elif operation in USES:
            check_account(self._account_id, operation, request, self.keys)
        return _ENCODER.encode(method(request, now) or {})

    def _create_key(self, request: shapes.CreateKey, now: float) -> shapes.Answer:
        if (request.key_spec, request.key_usage) != (_ALGORITHM, "ENCRYPT_DECRYPT"):
            raise AwsFault(
                "UnsupportedOperationException", "LocalAws has symmetric keys that encrypt only."
            )
        if request.policy is not None:
            _check_key_policy(request.policy)
        key = self.keys.create(now, description=request.description, policy=request.policy)
        return {"KeyMetadata": key.described(self._account_id)}

    def _describe_key(self, request: shapes.Named, now: float) -> shapes.Answer:  # noqa: ARG002 - one shape for all
        key = self.keys.find(request.key_id)
        return {"KeyMetadata": key.described(self._account_id)}

    def _list_keys(self, request: shapes.Nothing, now: float) -> shapes.Answer:  # noqa: ARG002 - one shape for all
        return {"Keys": [{"KeyId": key.id, "KeyArn": key.arn} for key in self.keys]}

    def _enable_key(self, request: shapes.Named, now: float) -> None:  # noqa: ARG002 - one shape for all
        self.keys.of_id(request.key_id).enable()

    def _disable_key(self, request: shapes.Named, now: float) -> None:  # noqa: ARG002 - one shape for all
        self.keys.of_id(request.key_id).disable()

    def _rotate_key(self, request: shapes.Named, now: float) -> shapes.Answer:  # noqa: ARG002 - one shape for all
        key = self.keys.of_id(request.key_id)
        key.rotate()
        return {"KeyId": key.id}

    def _schedule_deletion(self, request: shapes.ScheduleKeyDeletion, now: float) -> shapes.Answer:
        key = self.keys.of_id(request.key_id)
        days = request.pending_window_in_days
        key.schedule_deletion(now + days * SECONDS_OF_A_DAY)
        return {
            "KeyId": key.arn,
            "DeletionDate": key.deletion,
            "KeyState": key.state,
            "PendingWindowInDays": days,
        }

    def _cancel_deletion(self, request: shapes.Named, now: float) -> shapes.Answer:  # noqa: ARG002 - one shape for all
        key = self.keys.of_id(request.key_id)
        key.cancel_deletion()
        return {"KeyId": key.arn}

    def _put_policy(self, request: shapes.PutKeyPolicy, now: float) -> None:  # noqa: ARG002 - one shape for all
        _check_key_policy(request.policy)
        self.keys.of_id(request.key_id).policy = request.policy

    def _create_alias(self, request: shapes.Alias, now: float) -> None:  # noqa: ARG002 - one shape for all
        self.keys.create_alias(request.alias_name, self.keys.of_id(request.target_key_id))

    def _update_alias(self, request: shapes.Alias, now: float) -> None:  # noqa: ARG002 - one shape for all
        self.keys.move_alias(request.alias_name, self.keys.of_id(request.target_key_id))

    def _delete_alias(self, request: shapes.DeleteAlias, now: float) -> None:  # noqa: ARG002 - one shape for all
        self.keys.delete_alias(request.alias_name)

    def _list_aliases(self, request: shapes.ListAliases, now: float) -> shapes.Answer:  # noqa: ARG002 - one shape for all
        key = None if request.key_id is None else self.keys.of_id(request.key_id)
        return {"Aliases": list(map(self.keys.described, self.keys.aliases_of(key)))}

    def _generate(self, request: shapes.GenerateDataKey, now: float) -> shapes.Answer:  # noqa: ARG002 - one shape for all
        return self._data_key(request)

    def _generate_hidden(self, request: shapes.GenerateDataKey, now: float) -> shapes.Answer:  # noqa: ARG002 - one shape for all
        answer = self._data_key(request)
        del answer["Plaintext"]
        return answer

    def _data_key(self, request: shapes.GenerateDataKey) -> shapes.Answer:
        if (request.key_spec is None) == (request.number_of_bytes is None):
            raise AwsFault(
                "ValidationException", "Please specify either number of bytes or key spec."
            )
        size = request.number_of_bytes or _DATA_KEY_BYTES[request.key_spec or "AES_256"]
        key = self.keys.find(request.key_id)
        plaintext = os.urandom(size)
        ciphertext = key.encrypt(plaintext, request.encryption_context)
        _check_dry_run(dry_run=request.dry_run)
        return {"KeyId": key.arn, "Plaintext": plaintext, "CiphertextBlob": ciphertext}

    def _encrypt(self, request: shapes.Encrypt, now: float) -> shapes.Answer:  # noqa: ARG002 - one shape for all
        key = self.keys.find(request.key_id)
        ciphertext = key.encrypt(request.plaintext, request.encryption_context)
        _check_dry_run(dry_run=request.dry_run)
        return {"KeyId": key.arn, "CiphertextBlob": ciphertext, "EncryptionAlgorithm": _ALGORITHM}

    def _decrypt(self, request: shapes.Decrypt, now: float) -> shapes.Answer:  # noqa: ARG002 - one shape for all
        ciphertext = Ciphertext.from_bytes(request.ciphertext_blob)
        key = self.keys.find(request.key_id or ciphertext.key_id)
        if key.id != ciphertext.key_id:
            raise AwsFault(
                "IncorrectKeyException",
                "The key ID in the request does not identify a CMK that can perform this "
                "operation.",
            )
        plaintext = key.decrypt(ciphertext, request.encryption_context)
        _check_dry_run(dry_run=request.dry_run)
        return {"KeyId": key.arn, "Plaintext": plaintext, "EncryptionAlgorithm": _ALGORITHM}


_ENCODER: Final = msgspec.json.Encoder()


def _decoded(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    try:
        return decoder.decode(body or b"{}")
    except msgspec.ValidationError as error:
        raise AwsFault("ValidationException", f"1 validation error detected: {error}") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise AwsFault("SerializationException", str(error)) from None


def _check_key_policy(policy: str) -> None:
    try:
        check_policy(policy)
    except ValueError as error:
        raise AwsFault("MalformedPolicyDocumentException", str(error)) from None


def _check_dry_run(*, dry_run: bool) -> None:
    """End a dry run here, where everything else would have succeeded.

    Raises:
        AwsFault: It is one.
    """
    if dry_run:
        raise AwsFault(
            "DryRunOperationException",
            "The request would have succeeded, but the DryRun option is set.",
        )
