"""What a request to SQS needs the right to do, on which queue.

SQS developer guide, "Amazon SQS API permissions: Actions and resource reference": batches need the
right of the single operation, move tasks several. Where AWS itself encrypts a queue, its key is
used with the rights of who sends and receives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sourceflow.testing.local_aws.sqs import shapes
from sourceflow.testing.local_aws.sqs.move_tasks import source_of
from sourceflow.testing.local_aws.sse import RECEIVES, SENDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sourceflow.testing.local_aws.identities import Identity
    from sourceflow.testing.local_aws.sqs.queues import Queues
    from sourceflow.testing.local_aws.sse import Sse

__all__ = ("check_identity",)

_KEYS: Final = {"SendMessage": SENDS, "ReceiveMessage": RECEIVES}
_TAKING: Final = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")


def check_identity(
    identity: Identity, operation: str, request: Any, queues: Queues, sse: Sse
) -> None:
    """Let somebody do what they ask for, or not.

    Raises:
        AwsFault: They may not.
    """
    for name, arn in _rights(operation, request, queues):
        queue = queues.of_arn(arn)
        policy = None if queue is None else queue.settings.policy
        identity.check(f"sqs:{name}", arn, resource_policy=policy)
        if queue is not None and name in _KEYS:
            sse.use(identity, "sqs", queue.settings.key, _KEYS[name])


def _rights(operation: str, request: Any, queues: Queues) -> Iterator[tuple[str, str]]:
    match request:
        case shapes.StartMoveTask():
            yield from ((name, request.source_arn) for name in (operation, *_TAKING))
            for arn in _destinations(request, queues):
                yield "SendMessage", arn
        case shapes.ListMoveTasks():
            yield from ((name, request.source_arn) for name in (operation, *_TAKING))
        case shapes.CancelMoveTask():
            arn = source_of(request.task_handle)
            yield from ((name, arn) for name in (operation, *_TAKING))
        case shapes.ListQueues():
            yield operation, queues.arn_of("")
        case shapes.CreateQueue():
            arn = queues.arn_of(request.queue_name)
            yield operation, arn
            if request.tags:
                yield "TagQueue", arn
        case shapes.GetQueueUrl():
            yield operation, queues.arn_of(request.queue_name)
        case _:
            yield (
                operation.removesuffix("Batch"),
                queues.arn_of(request.queue_url.rpartition("/")[2]),
            )


def _destinations(request: shapes.StartMoveTask, queues: Queues) -> list[str]:
    if request.destination_arn:
        return [request.destination_arn]
    source = queues.of_arn(request.source_arn)
    return [] if source is None else [queue.arn for queue in queues.sources_of(source)]
