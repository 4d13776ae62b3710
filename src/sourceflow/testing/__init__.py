"""What users need to test their own code."""

from sourceflow.testing.clock import ManualClock
from sourceflow.testing.local_aws import LocalAws

__all__ = ("LocalAws", "ManualClock")
