"""Amazon SQS and SNS."""

from sourceflow.transports.aws.listener_status import ListenerState, ListenerStatus
from sourceflow.transports.aws.options import AwsOptions
from sourceflow.transports.aws.transport import AwsTransport

__all__ = ("AwsOptions", "AwsTransport", "ListenerState", "ListenerStatus")
