"""Messages that are given up: how they get to a dead letter queue, and back."""

from sourceflow.transports.aws.dead_letters.letter import QueuedLetter
from sourceflow.transports.aws.dead_letters.mover import MoveTarget
from sourceflow.transports.aws.dead_letters.operator import DeadLetterOperator
from sourceflow.transports.aws.dead_letters.queue import DeadLetterQueue
from sourceflow.transports.aws.dead_letters.records import Records
from sourceflow.transports.aws.dead_letters.redrive import RedriveResult
from sourceflow.transports.aws.dead_letters.sender import DeadLetterSender

__all__ = (
    "DeadLetterOperator",
    "DeadLetterQueue",
    "DeadLetterSender",
    "MoveTarget",
    "QueuedLetter",
    "Records",
    "RedriveResult",
)
