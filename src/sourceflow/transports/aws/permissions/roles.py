"""What each role does on AWS, as the statements of its policy.

The operations are those of the tables in the guides; batches need the right of the single one (SQS
developer guide, "Amazon SQS API permissions: Actions and resource reference").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from sourceflow.transports.aws.encryption import STORES
from sourceflow.transports.aws.permissions.keys import key_statements
from sourceflow.transports.aws.permissions.statement import Statement, without_repeats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sourceflow.transports.aws.permissions.needs import Arns, Needs

__all__ = ("Role", "statements_of")

Role = Literal["sender", "worker", "operator", "provisioner"]
"""Who only sends; who listens and handles; who looks after dead letters; who makes queues and topics."""

FIND_QUEUES: Final = ("sqs:GetQueueUrl", "sqs:GetQueueAttributes")
TAKE: Final = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility")
SEE_SUBSCRIPTIONS: Final = ("sns:ListSubscriptionsByTopic", "sns:GetSubscriptionAttributes")
MOVE: Final = (
    "sqs:StartMessageMoveTask",
    "sqs:ListMessageMoveTasks",
    "sqs:CancelMessageMoveTask",
)


def statements_of(needs: Needs, role: Role | None) -> list[Statement]:
    """Return what a role needs; None is one role that does all that the App is configured to do."""
    if role is not None:
        return without_repeats(_ROLES[role](needs))
    roles: list[Role] = ["worker", "operator"]
    if needs.options.provisioning == "ensure":
        roles.append("provisioner")
    return without_repeats(each for role in roles for each in _ROLES[role](needs))


def _sender(needs: Needs) -> Iterator[Statement]:
    quiet = needs.without_listening()
    yield from _find(quiet)
    yield from _send(quiet)
    yield from _keep(quiet)


def _worker(needs: Needs) -> Iterator[Statement]:
    yield from _find(needs)
    yield from _about("SeeSubscriptions", SEE_SUBSCRIPTIONS, needs.subscribed)
    yield from _about("SeeDeadLetters", ["sqs:GetQueueAttributes"], needs.dead_letters)
    yield from _send(needs)
    yield from _about("TakeMessages", TAKE, needs.listened)
    yield from _about("GiveUp", ["sqs:SendMessage"], needs.dead_letters)
    if needs.listened:
        yield from key_statements(decrypts=needs.decrypting_keys, origins=needs.origins)
    yield from _keep(needs)
    yield from _watch(needs)


def _operator(needs: Needs) -> Iterator[Statement]:
    yield from _find(needs)
    actions = ["sqs:GetQueueAttributes", *TAKE, "sqs:PurgeQueue"]
    yield from _about("HandleDeadLetters", actions, needs.dead_letters)
    yield from _about("MoveDeadLetters", MOVE, needs.standard_dead_letters)
    yield from _keep(needs)
    yield from _about("SendAgain", ["sqs:SendMessage"], needs.queues)
    yield from key_statements(
        encrypts=needs.encrypting_keys if needs.queues else (),
        decrypts=needs.decrypting_keys if needs.dead_letters else (),
        destinations=needs.queues,
        origins=needs.origins,
        encrypt_sid="EncryptAgain",
    )


def _provisioner(needs: Needs) -> Iterator[Statement]:
    queues = (*needs.queues, *needs.dead_letter_queues)
    topics = ["sns:CreateTopic", "sns:GetTopicAttributes"]
    yield from _about("MakeQueues", [*FIND_QUEUES, "sqs:CreateQueue"], queues)
    yield from _about("LetTopicsDeliver", ["sqs:SetQueueAttributes"], needs.event_queues)
    yield from _about("MakeTopics", topics, needs.topics)
    yield from _about("Subscribe", [*SEE_SUBSCRIPTIONS, "sns:Subscribe"], needs.subscribed)


def _find(needs: Needs) -> Iterator[Statement]:
    """Look up queues and topics, as everybody does who starts."""
    yield from _about("FindQueues", FIND_QUEUES, needs.queues)
    yield from _about("FindDeadLetters", ["sqs:GetQueueUrl"], needs.dead_letter_queues)
    yield from _about("FindTopics", ["sns:GetTopicAttributes"], needs.topics)
    if needs.topics and not needs.queues:  # no ARN of a queue tells the account
        yield from _about("ListTopics", ["sns:ListTopics"], (needs.account.topic("*"),))


def _send(needs: Needs) -> Iterator[Statement]:
    yield from _about("SendCommands", ["sqs:SendMessage"], needs.sent_to)
    yield from _about("PublishEvents", ["sns:Publish"], needs.published_to)
    if needs.encrypted:
        yield from key_statements(
            encrypts=needs.encrypting_keys,
            source=f"/{needs.app}",
            destinations=needs.encrypted,
        )


def _keep(needs: Needs) -> Iterator[Statement]:
    """Use stores that are encrypted: what one App has written there, others may read."""
    if needs.options.encrypt_at_rest:
        yield from key_statements(
            encrypts=needs.encrypting_keys,
            decrypts=needs.decrypting_keys,
            source=f"/{needs.app}",
            destinations=(STORES,),
            origins=(STORES,),
            encrypt_sid="EncryptStores",
            decrypt_sid="DecryptStores",
        )


def _watch(needs: Needs) -> Iterator[Statement]:
    monitor = needs.options.dead_letter_monitor
    if monitor is None or not needs.dead_letters:
        return
    actions = []
    if monitor.store_records:
        actions += ["sqs:ReceiveMessage", "sqs:ChangeMessageVisibility"]
    if monitor.delete_after:
        actions.append("sqs:DeleteMessage")
    if actions:
        yield from _about("WatchDeadLetters", actions, needs.dead_letters)
    yield from _about("Alert", ["sns:Publish"], needs.alerted)


def _about(sid: str, actions: Iterable[str], resources: Arns) -> Iterator[Statement]:
    if resources:
        yield Statement(sid=sid, actions=tuple(actions), resources=resources)


_ROLES: Final[Mapping[Role, Callable[[Needs], Iterator[Statement]]]] = {
    "sender": _sender,
    "worker": _worker,
    "operator": _operator,
    "provisioner": _provisioner,
}
