"""What users need to test their own code."""

from sourceflow.errors import MissingExtraError
from sourceflow.testing.clock import ManualClock

try:
    from sourceflow.testing.local_aws import LocalAws
except ModuleNotFoundError as error:
    if error.name != "aiohttp":
        raise
    raise MissingExtraError("aws", "aiohttp") from error

__all__ = ("LocalAws", "ManualClock")
