"""Keys of KMS with which SQS and SNS themselves encrypt what is in queues and topics (SSE-KMS).

Only the rights count here: what is kept in memory is not encrypted. SQS developer guide, "Key
management": who sends needs ``kms:GenerateDataKey`` and ``kms:Decrypt``, who receives the second,
and a topic that delivers both, by the policy of the key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.policy import Principal, allows

if TYPE_CHECKING:
    from sourceflow.testing.local_aws.identities import Identity
    from sourceflow.testing.local_aws.kms.keys import Keys

__all__ = ("RECEIVES", "SENDS", "Sse")

SENDS: Final = ("GenerateDataKey", "Decrypt")
RECEIVES: Final = ("Decrypt",)

_OF_AWS: Final = "alias/aws/"
"""Keys of AWS itself: their policies let everybody of the account use them through their service."""

_DENIED: Final = {"sqs": "KMS.AccessDeniedException", "sns": "KMSAccessDenied"}
_MISSING: Final = {"sqs": "KMS.NotFoundException", "sns": "KMSNotFound"}


class Sse:
    """Says who may use keys through SQS and SNS.

    Args:
        keys: The keys.
        region: The region.
    """

    def __init__(self, keys: Keys, *, region: str) -> None:
        self._keys = keys
        self._region = region

    def use(
        self, identity: Identity, service: str, name: str | None, actions: tuple[str, ...]
    ) -> None:
        """Let somebody use the key of a queue or a topic, or not.

        Args:
            identity: Who asks.
            service: ``sqs`` or ``sns``.
            name: The key as the queue or the topic names it; None where it has none.
            actions: What is done with the key.

        Raises:
            AwsFault: They may not, or there is no such key.
        """
        if name is None or name.startswith(_OF_AWS):
            return
        try:
            key = self._keys.find(name)
        except AwsFault as fault:
            raise AwsFault(_MISSING[service], fault.message) from None
        context: dict[str, str | tuple[str, ...]] = {
            "kms:ViaService": f"{service}.{self._region}.amazonaws.com",
            "kms:ResourceAliases": tuple(self._keys.aliases_of(key)),
        }
        try:
            for action in actions:
                identity.check(
                    f"kms:{action}",
                    key.arn,
                    resource_policy=key.policy,
                    needs_resource_policy=key.policy is not None,
                    context=context,
                )
        except AwsFault as fault:
            raise AwsFault(_DENIED[service], fault.message) from None

    def lets_deliver(self, name: str | None, topic_arn: str) -> bool:
        """Whether the key of a queue lets a topic deliver: its own policy has to say so.

        That of a key of AWS itself does not, nor does the one that a new key has (SNS developer
        guide, "Enabling server-side encryption for a topic with an encrypted queue subscribed").

        Args:
            name: The key as the queue names it; None where it has none.
            topic_arn: The topic.
        """
        if name is None:
            return True
        try:
            key = self._keys.find(name)
        except AwsFault:  # one of AWS itself, or none
            return False
        return all(
            allows(
                key.policy,
                action=f"kms:{action}",
                resource=key.arn,
                principal=Principal(service="sns.amazonaws.com"),
                context={
                    "aws:SourceArn": topic_arn,
                    "aws:SourceAccount": topic_arn.split(":")[4],
                },
            )
            for action in SENDS
        )
