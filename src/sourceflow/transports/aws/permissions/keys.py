"""Rights to keys of AWS KMS."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self

from sourceflow.transports.aws.permissions.statement import VERSION, Statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sourceflow.transports.aws.permissions.account import Account

__all__ = ("KeyName", "key_policy", "key_statements", "sse_statement", "without_context")

_CONTEXT: Final = "kms:EncryptionContext:"
_SOURCE: Final = f"{_CONTEXT}source"
_DESTINATION: Final = f"{_CONTEXT}destination"
_VALUES: Final = 2
"""From so many values on, IAM takes a list."""


@dataclass(frozen=True, slots=True)
class KeyName:
    """A key as the options name it.

    IAM knows keys by their ARNs alone. A key that is named by its alias can be any: it is told from
    others by conditions on the alias (KMS developer guide, "Use aliases to control access to KMS
    keys").

    Attributes:
        resource: Its ARN, or a pattern for all keys where only the alias is known.
        alias: The alias, as ``alias/orders``; None where the key itself is named.
        is_arn: Whether the options name the key by its ARN, so that nobody has to ask for it.
    """

    resource: str
    alias: str | None
    is_arn: bool

    @classmethod
    def of(cls, name: str, account: Account) -> Self:
        """Return what a name in the options means."""
        if not name.startswith("arn:"):
            is_alias = name.startswith("alias/")
            resource = account.key("*" if is_alias else name)
            return cls(resource, name if is_alias else None, is_arn=False)
        owner, _, local = name.rpartition(":")
        if local.startswith("alias/"):
            return cls(f"{owner}:key/*", local, is_arn=False)
        return cls(name, None, is_arn=True)


def key_statements(
    *,
    encrypts: Sequence[KeyName] = (),
    decrypts: Sequence[KeyName] = (),
    source: str | None = None,
    destinations: Sequence[str] = (),
    origins: Sequence[str] = (),
    encrypt_sid: str = "Encrypt",
    decrypt_sid: str = "Decrypt",
) -> Iterator[Statement]:
    """Return what messages that travel encrypted need, or stores that are encrypted.

    Args:
        encrypts: Keys that make data keys.
        decrypts: Keys that decrypt data keys.
        source: The App that messages which are encrypted come from; None is any.
        destinations: ARNs of the queues and topics that messages are encrypted for.
        origins: ARNs of the queues and topics that encrypted messages arrive from.
        encrypt_sid: What the statement about encrypting is called.
        decrypt_sid: What the statement about decrypting is called.
    """
    made = {**({} if source is None else {_SOURCE: source}), **_context(destinations)}
    if encrypts:
        yield from _statements(encrypt_sid, "kms:GenerateDataKey", encrypts, made, by_request=True)
    if decrypts:
        yield from _statements(
            decrypt_sid, "kms:Decrypt", decrypts, _context(origins), by_request=False
        )
        named = [key for key in decrypts if not key.is_arn]
        yield from _statements("FindKeys", "kms:DescribeKey", named, {}, by_request=True)


def without_context(statement: Statement) -> Statement:
    """Return a statement that asks for no context of what is encrypted."""
    condition = {
        operator: {key: value for key, value in keys.items() if not key.startswith(_CONTEXT)}
        for operator, keys in statement.condition.items()
    }
    return replace(statement, condition={name: keys for name, keys in condition.items() if keys})


def sse_statement(keys: Sequence[str], account: Account) -> Statement:
    """Return what queues and topics need that AWS itself encrypts, of those who send and receive.

    SQS developer guide, "Key management": producers need both actions, consumers the second.
    """
    services = [account.host("sqs"), account.host("sns")]
    return Statement(
        sid="UseSseKeys",
        actions=("kms:GenerateDataKey", "kms:Decrypt"),
        resources=tuple(keys),
        condition={"StringEquals": {"kms:ViaService": services}},
    )


def key_policy(account: Account, topics: Sequence[str] = ()) -> dict[str, Any]:
    """Return the policy that a key needs so that policies of IAM count for it.

    Args:
        account: Whose policies these are.
        topics: ARNs of topics that deliver into queues which AWS encrypts with the key.
    """
    statements: list[dict[str, Any]] = [
        {
            "Sid": "LetIamDecide",
            "Effect": "Allow",
            "Principal": {"AWS": account.root},
            "Action": "kms:*",
            "Resource": "*",
        }
    ]
    if topics:
        statements.append(
            {
                "Sid": "LetTopicsDeliver",
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
                "Resource": "*",
                "Condition": {
                    "ArnEquals": {"aws:SourceArn": _one_or_all(topics)},
                    "StringEquals": {"aws:SourceAccount": account.id},
                },
            }
        )
    return {"Version": VERSION, "Statement": statements}


def _statements(
    sid: str, action: str, keys: Iterable[KeyName], context: dict[str, Any], *, by_request: bool
) -> Iterator[Statement]:
    """Return one statement for all keys with an ARN, and one for each owner of aliases."""
    arns: list[str] = []
    aliases: dict[str, list[str]] = {}
    for key in keys:
        if key.alias is None:
            arns.append(key.resource)
        else:
            aliases.setdefault(key.resource, []).append(key.alias)
    equal = {"StringEquals": context} if context else {}
    if arns:
        yield Statement(sid=sid, actions=(action,), resources=tuple(arns), condition=equal)
    for number, (resource, names) in enumerate(aliases.items(), 1):
        if by_request:
            condition = {"StringEquals": {**context, "kms:RequestAlias": _one_or_all(names)}}
        else:
            alias = {"kms:ResourceAliases": _one_or_all(names)}
            condition = {**equal, "ForAnyValue:StringEquals": alias}
        yield Statement(
            sid=f"{sid}ByAlias{number if len(aliases) > 1 else ''}",
            actions=(action,),
            resources=(resource,),
            condition=condition,
        )


def _context(destinations: Sequence[str]) -> dict[str, Any]:
    return {_DESTINATION: _one_or_all(destinations)} if destinations else {}


def _one_or_all(values: Sequence[str]) -> str | list[str]:
    return values[0] if len(values) < _VALUES else list(values)
