"""Messages that are given up: how they get to a dead letter queue, and back."""

from sourceflow.transports.aws.dead_letters.alert import AlertHook, DeadLetterAlert, SnsAlert
from sourceflow.transports.aws.dead_letters.letter import QueuedLetter
from sourceflow.transports.aws.dead_letters.monitor import DeadLetterMonitor
from sourceflow.transports.aws.dead_letters.mover import MoveTarget
from sourceflow.transports.aws.dead_letters.operator import DeadLetterOperator
from sourceflow.transports.aws.dead_letters.queue import DeadLetterQueue, dead_letter_queues
from sourceflow.transports.aws.dead_letters.records import Records
from sourceflow.transports.aws.dead_letters.redrive import RedriveResult
from sourceflow.transports.aws.dead_letters.sender import DeadLetterSender
from sourceflow.transports.aws.dead_letters.visit import count_messages
from sourceflow.transports.aws.dead_letters.watch import DeadLetterWatch

__all__ = (
    "AlertHook",
    "DeadLetterAlert",
    "DeadLetterMonitor",
    "DeadLetterOperator",
    "DeadLetterQueue",
    "DeadLetterSender",
    "DeadLetterWatch",
    "MoveTarget",
    "QueuedLetter",
    "Records",
    "RedriveResult",
    "SnsAlert",
    "count_messages",
    "dead_letter_queues",
)
