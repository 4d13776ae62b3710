"""What a request to KMS needs the right to do, on which key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.kms import shapes
from sourceflow.testing.local_aws.kms.ciphertext import Ciphertext
from sourceflow.testing.local_aws.policy import Principal, allows

if TYPE_CHECKING:
    from sourceflow.testing.local_aws.identities import Identity
    from sourceflow.testing.local_aws.kms.key import Key
    from sourceflow.testing.local_aws.kms.keys import Keys

__all__ = ("USES", "check_account", "check_identity")

USES: Final = frozenset(
    {
        "DescribeKey",
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
        "Encrypt",
        "Decrypt",
    }
)
"""What the policy of a key may keep from its own account; it can always manage the key here."""


def check_account(account_id: str, operation: str, request: Any, keys: Keys) -> None:
    """Let the account itself use a key, if the policy of the key does.

    Raises:
        AwsFault: It does not, or there is no such key.
    """
    name = _used_key(request)
    key = keys.find(name)
    if key.policy is not None and not allows(
        key.policy,
        action=f"kms:{operation}",
        resource=key.arn,
        principal=Principal(account=account_id),
        context={"aws:PrincipalAccount": account_id, **_context(name, key, request, keys)},
    ):
        raise AwsFault(
            "AccessDeniedException",
            f"User: arn:aws:iam::{account_id}:root is not authorized to perform: "
            f"kms:{operation} on resource: {key.arn}",
        )


def check_identity(identity: Identity, operation: str, request: Any, keys: Keys) -> None:
    """Let somebody do what they ask for, or not.

    The policy of a key must let the account decide, as that of a new one does (KMS developer guide,
    "Default key policy"), or name the user.

    Raises:
        AwsFault: They may not, or there is no such key.
    """
    action = f"kms:{operation}"
    match request:
        case shapes.CreateKey() | shapes.Nothing() | shapes.ListAliases():
            identity.check(action, "*")
            return
        case shapes.DeleteAlias():
            identity.check(action, keys.alias_arn(request.alias_name))
            name = request.alias_name
        case shapes.Alias():
            identity.check(action, keys.alias_arn(request.alias_name))
            name = request.target_key_id
        case _:
            name = _used_key(request)
    key = keys.find(name)
    identity.check(
        action,
        key.arn,
        resource_policy=key.policy,
        needs_resource_policy=key.policy is not None,
        context=_context(name, key, request, keys),
    )


def _used_key(request: Any) -> str:
    if isinstance(request, shapes.Decrypt) and request.key_id is None:
        return Ciphertext.from_bytes(request.ciphertext_blob).key_id
    return str(request.key_id)


def _context(name: str, key: Key, request: Any, keys: Keys) -> dict[str, str | tuple[str, ...]]:
    """Return the condition keys of a request (KMS developer guide, "AWS KMS condition keys")."""
    asked: dict[str, str] = getattr(request, "encryption_context", {})
    context: dict[str, str | tuple[str, ...]] = {
        f"kms:EncryptionContext:{part}": value for part, value in asked.items()
    }
    context["kms:ResourceAliases"] = tuple(keys.aliases_of(key))
    before, alias, after = name.partition("alias/")
    if alias and (not before or before.startswith("arn:")):
        context["kms:RequestAlias"] = alias + after
    return context
