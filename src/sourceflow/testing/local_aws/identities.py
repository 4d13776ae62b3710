"""Who asks LocalAws, and what their IAM policies let them do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.policy import Principal, check_identity_policy, effect_of

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ("Identities", "Identity", "PolicyDocument")

PolicyDocument = str | Mapping[str, Any]
"""An IAM policy: its JSON, or what that holds."""


class Identity:
    """A user of the account, who may do what their policies say.

    Attributes:
        account: The id of the account.
        arn: Their ARN.
        used: What they were let do: actions, each with its resource.
        refused: What they asked for and were not let do.
    """

    def __init__(self, account: str, access_key: str, documents: tuple[str, ...]) -> None:
        self.account = account
        self.arn = f"arn:aws:iam::{account}:user/{access_key}"
        self.used: set[tuple[str, str]] = set()
        self.refused: set[tuple[str, str]] = set()
        self._documents = documents

    def check(
        self,
        action: str,
        resource: str,
        *,
        resource_policy: str | None = None,
        needs_resource_policy: bool = False,
        context: Mapping[str, str | tuple[str, ...]] | None = None,
    ) -> None:
        """Let them do something, or not.

        Within an account the policy of the user or that of the resource is enough, and a denial in
        either wins (IAM user guide, "Policy evaluation logic"). A key of KMS is another matter: its
        policy must let the account decide, or name the user.

        Args:
            action: Such as ``sqs:SendMessage``.
            resource: The ARN.
            resource_policy: The policy of the resource; None where it has none.
            needs_resource_policy: Whether that must allow it too.
            context: Condition keys and their values.

        Raises:
            AwsFault: They may not, in the words of the service.
        """
        conditions = {"aws:PrincipalAccount": self.account, **(context or {})}
        own = {effect_of(each, action, resource, None, conditions) for each in self._documents}
        user = account = None
        if resource_policy is not None:
            principal = Principal(account=self.account, arn=self.arn)
            user = effect_of(resource_policy, action, resource, principal, conditions)
            account = effect_of(
                resource_policy, action, resource, Principal(account=self.account), conditions
            )
        why = ""
        if "Deny" in own:
            why = "with an explicit deny in an identity-based"
        elif user == "Deny":
            why = "with an explicit deny in a resource-based"
        elif user != "Allow" and needs_resource_policy and account != "Allow":
            why = "because no resource-based"
        elif user != "Allow" and "Allow" not in own:
            why = "because no identity-based"
        if why:
            self.refused.add((action, resource))
            raise _refusal(self.arn, action, resource, why)
        self.used.add((action, resource))


class Identities:
    """Users by their access keys; who has no policy is the account itself, and may do everything.

    Args:
        account: The id of the account.
        access_keys: Those that there are.
    """

    def __init__(self, account: str, access_keys: Collection[str]) -> None:
        self._account = account
        self._access_keys = frozenset(access_keys)
        self._identities: dict[str, Identity] = {}

    def of(self, access_key: str) -> Identity | None:
        """Return whose access key it is; None is the account itself."""
        return self._identities.get(access_key)

    def restrict(
        self,
        policy: PolicyDocument | Sequence[PolicyDocument] | None,
        access_key: str | None = None,
    ) -> None:
        """Let users do what a policy says, or several do together, and nothing else.

        Args:
            policy: The policy or policies; None takes them away, so that everything is allowed.
            access_key: Whose they are; everybody's where None.

        Raises:
            LookupError: There is no such access key.
            ValueError: A policy cannot be evaluated.
        """
        if access_key is not None and access_key not in self._access_keys:
            raise LookupError(f"LocalAws has no credentials {access_key!r}: give credentials=")
        documents = None if policy is None else tuple(map(_text, _several(policy)))
        for each in self._access_keys if access_key is None else (access_key,):
            if documents is None:
                self._identities.pop(each, None)
            else:
                self._identities[each] = Identity(self._account, each, documents)


def _several(
    policy: PolicyDocument | Sequence[PolicyDocument],
) -> Sequence[PolicyDocument]:
    return [policy] if isinstance(policy, str | Mapping) else policy


def _text(document: PolicyDocument) -> str:
    text = document if isinstance(document, str) else msgspec.json.encode(document).decode()
    check_identity_policy(text)
    return text


class _Words:
    """How a service says that somebody may not do something."""

    def __init__(self, code: str, status: int, *, upper: bool = False, lower: bool = False) -> None:
        self.code = code
        self.status = status
        self._upper = upper
        self._lower = lower

    def action(self, action: str) -> str:
        """Return how it writes an action."""
        service, _, name = action.partition(":")
        return (
            f"{service.upper() if self._upper else service}:{name.lower() if self._lower else name}"
        )


_WORDS: Final = {
    "sqs": _Words("AccessDenied", 403, lower=True),
    "sns": _Words("AuthorizationError", 403, upper=True),
    "kms": _Words("AccessDeniedException", 400),
}
"""By what AWS answers: SQS writes actions in lower case, SNS its own name in upper case."""


def _refusal(user: str, action: str, resource: str, why: str) -> AwsFault:
    words = _WORDS[action.partition(":")[0]]
    shown = words.action(action)
    policy = f"{why} policy"
    if why.startswith("because"):
        policy += f" allows the {shown} action"
    return AwsFault(
        words.code,
        f"User: {user} is not authorized to perform: {shown} on resource: {resource} {policy}",
        status=words.status,
    )
