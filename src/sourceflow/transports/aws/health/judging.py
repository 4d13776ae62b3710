"""What an error of AWS says about the thing that was looked at."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from sourceflow.bus.ports import Finding
from sourceflow.errors import AwsConfigurationError, AwsRequestError, AwsThrottledError
from sourceflow.transports.aws.provisioning import is_missing

if TYPE_CHECKING:
    from sourceflow.errors import AwsError

__all__ = ("answers", "denial", "is_denied", "judge", "not_looked_at")

_DENIALS: Final = ("accessdenied", "authorizationerror", "unauthorizedoperation")


def is_denied(error: AwsError) -> bool:
    """Whether AWS says that this role may not do that."""
    return error.status == HTTPStatus.FORBIDDEN or error.code.lower().startswith(_DENIALS)


def denial(error: AwsError) -> str:
    """Return which right is missing."""
    return f"{error.operation} is denied"


def answers(error: AwsError) -> bool:
    """Whether a service is there and knows us, although it refuses one call."""
    return isinstance(error, (AwsConfigurationError, AwsRequestError, AwsThrottledError))


def judge(error: AwsError, *, missing: str) -> Finding:
    """Return what an error means for a queue or a topic.

    Args:
        error: What AWS has answered to the call that looks at it.
        missing: What it means that it does not exist.
    """
    if isinstance(error, AwsThrottledError):
        return Finding.degraded(f"AWS asks to slow down ({error.code}): it could not be looked at")
    if is_missing(error):
        return Finding.unhealthy(missing)
    if isinstance(error, AwsConfigurationError) and is_denied(error):
        return Finding.degraded(f"it could not be looked at: {denial(error)}")
    return Finding.unhealthy(f"{type(error).__name__}: {error}")


def not_looked_at(error: AwsError) -> Finding:
    """Return the finding where a right is denied that this App does not need for its work."""
    return Finding.healthy(f"it is not looked at: {denial(error)}")
