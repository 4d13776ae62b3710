"""A KMS key: its materials and its state."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.kms.ciphertext import Ciphertext, invalid_ciphertext

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sourceflow.testing.local_aws.kms.shapes import Answer

__all__ = ("Key",)

SECRET_BYTES: Final = 32
MAX_ROTATIONS: Final = 25
"""On-demand rotations of one key (KMS developer guide, "Perform on-demand key rotation")."""


def _secrets() -> list[bytes]:
    return [os.urandom(SECRET_BYTES)]


@dataclass(slots=True, eq=False, kw_only=True)
class Key:
    """A symmetric key: it encrypts with its newest material, and decrypts what any of them encrypted.

    Attributes:
        id: Its id.
        arn: Its ARN.
        created: When it was made, in seconds since 1970.
        description: What people say of it.
        policy: The key policy, JSON; None lets the account do everything.
        is_enabled: Whether it may be used.
        deletion: When it will be deleted, in seconds since 1970; None means it will not.
    """

    id: str
    arn: str
    created: float
    description: str = ""
    policy: str | None = None
    is_enabled: bool = True
    deletion: float | None = None
    _materials: list[bytes] = field(default_factory=_secrets, repr=False)

    @property
    def state(self) -> str:
        """Its state, as KMS calls it."""
        if self.deletion is not None:
            return "PendingDeletion"
        return "Enabled" if self.is_enabled else "Disabled"

    def enable(self) -> None:
        """Let it be used.

        Raises:
            AwsFault: It is about to be deleted.
        """
        self.check_stays()
        self.is_enabled = True

    def disable(self) -> None:
        """Let nobody use it. AWS may take up to a minute until that counts everywhere; here it does at once.

        Raises:
            AwsFault: It is about to be deleted.
        """
        self.check_stays()
        self.is_enabled = False

    def rotate(self) -> None:
        """Encrypt with a new material from now on; what the old ones encrypted can be decrypted still.

        Raises:
            AwsFault: It may not be used, or was rotated too often.
        """
        self.check_usable()
        if len(self._materials) > MAX_ROTATIONS:
            raise AwsFault(
                "LimitExceededException",
                "The on-demand rotations limit has been reached for the given keyId. No more "
                f"on-demand rotations can be performed for this key: {self.arn}",
            )
        self._materials += _secrets()

    def schedule_deletion(self, at: float) -> None:
        """Let nobody use it, and delete it later.

        Raises:
            AwsFault: It is about to be deleted already.
        """
        self.check_stays()
        self.deletion = at

    def cancel_deletion(self) -> None:
        """Keep it; it is disabled then.

        Raises:
            AwsFault: It is not about to be deleted.
        """
        if self.deletion is None:
            raise AwsFault("KMSInvalidStateException", f"{self.arn} is not pending deletion.")
        self.deletion = None
        self.is_enabled = False

    def encrypt(self, plaintext: bytes, context: Mapping[str, str]) -> bytes:
        """Encrypt something.

        Raises:
            AwsFault: The key may not be used.
        """
        self.check_usable()
        newest = len(self._materials) - 1
        sealed = Ciphertext.seal(
            plaintext, context, key_id=self.id, material=newest, secret=self._materials[newest]
        )
        return sealed.to_bytes()

    def decrypt(self, ciphertext: Ciphertext, context: Mapping[str, str]) -> bytes:
        """Return what was encrypted by this key.

        Raises:
            AwsFault: The key may not be used, or ciphertext or context is not what it was.
        """
        self.check_usable()
        if ciphertext.material >= len(self._materials):
            raise invalid_ciphertext()
        return ciphertext.open(context, self._materials[ciphertext.material])

    def check_usable(self) -> None:
        """Check that it may be used.

        Raises:
            AwsFault: It is disabled or about to be deleted.
        """
        self.check_stays()
        if not self.is_enabled:
            raise AwsFault("DisabledException", f"{self.arn} is disabled.")

    def check_stays(self) -> None:
        """Check that it is not about to be deleted.

        Raises:
            AwsFault: It is.
        """
        if self.deletion is not None:
            raise AwsFault("KMSInvalidStateException", f"{self.arn} is pending deletion.")

    def described(self, account_id: str) -> Answer:
        """Return what KMS says of it."""
        answer: Answer = {
            "AWSAccountId": account_id,
            "KeyId": self.id,
            "Arn": self.arn,
            "CreationDate": self.created,
            "Enabled": self.state == "Enabled",
            "Description": self.description,
            "KeyUsage": "ENCRYPT_DECRYPT",
            "KeyState": self.state,
            "Origin": "AWS_KMS",
            "KeyManager": "CUSTOMER",
            "KeySpec": "SYMMETRIC_DEFAULT",
            "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
            "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
            "MultiRegion": False,
        }
        if self.deletion is not None:
            answer["DeletionDate"] = self.deletion
        return answer
