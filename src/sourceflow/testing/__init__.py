"""What users need to test their own code."""

from sourceflow.errors import MissingExtraError
from sourceflow.testing.clock import ManualClock

try:
    from sourceflow.testing.local_aws import LocalAws
except ModuleNotFoundError as error:
    if error.name not in {"aiohttp", "cryptography"}:
        raise
    raise MissingExtraError("aws", error.name) from error

__all__ = ("LocalAws", "ManualClock")
