"""The rights of a role, as policies of IAM and of the resources."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import msgspec

from sourceflow.errors import AwsConfigurationError
from sourceflow.transports.aws.permissions.keys import (
    key_policy,
    sse_statement,
    without_context,
)
from sourceflow.transports.aws.permissions.needs import Needs
from sourceflow.transports.aws.permissions.roles import Role, statements_of
from sourceflow.transports.aws.permissions.statement import Statement, documents_of, without_repeats
from sourceflow.transports.aws.provisioning.policies import with_topics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sourceflow.transports.aws.bus import BusConfiguration
    from sourceflow.transports.aws.options import AwsOptions
    from sourceflow.transports.aws.permissions.account import Account

__all__ = ("Permissions", "PolicyMode", "Role", "permissions_of")

PolicyMode = Literal["development", "production"]
"""``production`` names every queue, topic and key; ``development`` those that begin with the prefix."""

_KEY_ARN: Final = re.compile(r"arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+")

_USERS_OF_KEYS: Final = frozenset({"sender", "worker", "operator", None})


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """The rights of a role.

    Attributes:
        role: Whose rights these are; None is one role that does all that the App is configured to
            do.
        mode: How narrow they are.
        statements: What is allowed.
        queue_policies: For the ARN of each queue that topics deliver into, its policy, as
            provisioning writes it. One that would be too long for SQS, of so many topics, is left
            out, and a note says so.
        key_policies: For each key of KMS, as the options name it, the policy it needs so that IAM
            decides who uses it. A key that is made without a policy has one that does.
        notes: What the reader should know, for people.
    """

    role: Role | None
    mode: PolicyMode
    statements: tuple[Statement, ...]
    queue_policies: Mapping[str, Mapping[str, Any]]
    key_policies: Mapping[str, Mapping[str, Any]]
    notes: tuple[str, ...] = ()

    @property
    def actions(self) -> tuple[str, ...]:
        """Every action that is allowed, sorted."""
        return tuple(sorted({action for each in self.statements for action in each.actions}))

    def documents(self) -> tuple[dict[str, Any], ...]:
        """Return the policies to attach to the role: one, or several where IAM's limit asks for it.

        Raises:
            ValueError: One statement alone is longer than a policy may be.
        """
        return documents_of(self.statements)


def permissions_of(
    options: AwsOptions,
    bus: BusConfiguration,
    app: str,
    *,
    account: Account,
    mode: PolicyMode,
    role: Role | None,
    sse_keys: Sequence[str] = (),
) -> Permissions:
    """Work out the rights of a role.

    Args:
        options: The transport's options.
        bus: Where messages go, and what is listened to.
        app: The App's name.
        account: Where it runs.
        mode: How narrow the rights are.
        role: Whose they are; None is one role that does all that the App is configured to do.
        sse_keys: ARNs of keys of KMS with which AWS itself encrypts queues and topics.

    Raises:
        ValueError: There is no such mode or role, a name is too long with its prefix, or a key
            that AWS uses is not named by its ARN.
    """
    if mode not in get_args(PolicyMode):
        raise ValueError(f"mode is 'development' or 'production', not {mode!r}")
    if role is not None and role not in get_args(Role):
        raise ValueError(f"role is 'sender', 'worker', 'operator' or 'provisioner', not {role!r}")
    for name in sse_keys:
        if not _KEY_ARN.fullmatch(name):
            raise ValueError(
                f"the key {name!r} is not named by its ARN, which a policy needs: "
                f"{account.key('…')} (aws kms describe-key tells it)"
            )
    needs = Needs(options, bus, app, account)
    statements = statements_of(needs, role)
    queue_policies, too_long = _queue_policies(needs)
    if mode == "development":
        statements = _widened(statements, needs, role)
    if sse_keys and role in _USERS_OF_KEYS:
        statements.append(sse_statement(sse_keys, account))
    return Permissions(
        role=role,
        mode=mode,
        statements=tuple(statements),
        queue_policies=queue_policies,
        key_policies=_key_policies(needs, sse_keys),
        notes=(*_notes(needs, mode, role), *too_long),
    )


def _widened(statements: list[Statement], needs: Needs, role: Role | None) -> list[Statement]:
    """Allow on everything of the prefix what was allowed on each; one role for all may do all."""
    wide = []
    for service, sid, arn in (
        ("sqs", "Queues", needs.account.queue),
        ("sns", "Topics", needs.account.topic),
    ):
        actions = dict.fromkeys(
            action
            for each in statements
            for action in each.actions
            if action.startswith(service) and action != "sns:ListTopics"
        )
        if actions:
            names = tuple(actions) if role is not None else (f"{service}:*",)
            pattern = arn(f"{needs.options.resource_prefix}*")
            wide.append(Statement(sid=sid, actions=names, resources=(pattern,)))
    lists = [each for each in statements if each.sid == "ListTopics"]
    keys = [without_context(each) for each in statements if each.actions[0].startswith("kms:")]
    return without_repeats([*wide, *lists, *keys])


def _queue_policies(needs: Needs) -> tuple[dict[str, Mapping[str, Any]], list[str]]:
    """Return policies by the ARNs of queues, and what is wrong with those that are left out."""
    policies, too_long = {}, []
    for arn in needs.event_queues:
        try:
            policy = with_topics("", arn, needs.subscribed)
        except AwsConfigurationError as error:
            too_long.append(str(error))
            continue
        assert policy is not None  # the queue has none yet
        policies[arn] = msgspec.json.decode(policy)
    return policies, too_long


def _key_policies(needs: Needs, sse_keys: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    names = (needs.options.kms_key_id, *needs.options.decrypt_key_ids)
    policies: dict[str, Mapping[str, Any]] = {
        name: key_policy(needs.account) for name in names if name is not None
    }
    for name in sse_keys:
        policies[name] = key_policy(needs.account, needs.subscribed)
    return policies


def _notes(needs: Needs, mode: PolicyMode, role: Role | None) -> list[str]:
    notes = []
    if needs.options.provisioning == "ensure" and role in {"sender", "worker"}:
        notes.append(
            "this App makes queues and topics when it starts (provisioning='ensure'): give this "
            "role the rights of the provisioner too, or set provisioning='verify'"
        )
    if mode == "development" and not needs.options.resource_prefix:
        notes.append(
            "the App has no resource_prefix: this allows every queue and topic of the account in "
            "the region"
        )
    aliases = [key.alias for key in needs.decrypting_keys if key.alias is not None]
    if aliases and role in _USERS_OF_KEYS:
        notes.append(
            f"{', '.join(aliases)}: an alias may lead to any key, so that the policy names keys by "
            "a pattern and a condition; name the key by its ARN to have that in the policy"
        )
    return notes
