"""Amazon SQS and SNS."""

from sourceflow.transports.aws.dead_letters import (
    AlertHook,
    DeadLetterAlert,
    DeadLetterMonitor,
    QueuedLetter,
    RedriveResult,
    SnsAlert,
)
from sourceflow.transports.aws.encryption import (
    CheckedKeyProvider,
    GeneratedKey,
    KeyProvider,
    LocalKeyProvider,
)
from sourceflow.transports.aws.listener_status import ListenerState, ListenerStatus
from sourceflow.transports.aws.options import AwsOptions
from sourceflow.transports.aws.permissions import Permissions
from sourceflow.transports.aws.transport import AwsTransport

__all__ = (
    "AlertHook",
    "AwsOptions",
    "AwsTransport",
    "CheckedKeyProvider",
    "DeadLetterAlert",
    "DeadLetterMonitor",
    "GeneratedKey",
    "KeyProvider",
    "ListenerState",
    "ListenerStatus",
    "LocalKeyProvider",
    "Permissions",
    "QueuedLetter",
    "RedriveResult",
    "SnsAlert",
)
