"""SQS, SNS and KMS in memory."""

from sourceflow.testing.local_aws.local_aws import LocalAws

__all__ = ("LocalAws",)
