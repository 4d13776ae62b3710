"""The account and region that ARNs name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sourceflow.transports.aws.control_plane import ControlPlane

if TYPE_CHECKING:
    from sourceflow.transports.aws.client import CredentialsProvider
    from sourceflow.transports.aws.options import AwsOptions

__all__ = ("Account", "find_account")

_ID: Final = re.compile(r"\d{12}")
_REGION: Final = re.compile(r"[a-z0-9-]+")

_PARTITIONS: Final = (
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("us-isob-", "aws-iso-b"),
    ("us-isof-", "aws-iso-f"),
    ("us-iso-", "aws-iso"),
    ("eu-isoe-", "aws-iso-e"),
    ("eusc-", "aws-eusc"),
)
"""How regions of other partitions than ``aws`` begin (AWS general reference, "Partitions")."""

_SUFFIXES: Final = {
    "aws-cn": "amazonaws.com.cn",
    "aws-iso": "c2s.ic.gov",
    "aws-iso-b": "sc2s.sgov.gov",
    "aws-iso-e": "cloud.adc-e.uk",
    "aws-iso-f": "csp.hci.ic.gov",
    "aws-eusc": "amazonaws.eu",
}
"""Where hosts of partitions other than those of ``amazonaws.com`` are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An AWS account in a region.

    Attributes:
        id: Twelve digits.
        region: Such as ``eu-central-1``.

    Raises:
        ValueError: It is no id or no region.
    """

    id: str
    region: str

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise ValueError(f"{self.id!r} is no id of an AWS account: it has twelve digits")
        if not _REGION.fullmatch(self.region):
            raise ValueError(f"region {self.region!r} is not the name of one, such as 'us-east-1'")

    @property
    def partition(self) -> str:
        """The partition that the region is in: ``aws``, ``aws-cn``, …."""
        for start, partition in _PARTITIONS:
            if self.region.startswith(start):
                return partition
        return "aws"

    @property
    def root(self) -> str:
        """The ARN of the account itself."""
        return f"arn:{self.partition}:iam::{self.id}:root"

    def queue(self, name: str) -> str:
        """Return the ARN of a queue; the name is a full one, or a pattern."""
        return self._arn("sqs", name)

    def topic(self, name: str) -> str:
        """Return the ARN of a topic; the name is a full one, or a pattern."""
        return self._arn("sns", name)

    def key(self, key_id: str) -> str:
        """Return the ARN of a KMS key; the id is one, or a pattern."""
        return self._arn("kms", f"key/{key_id}")

    def host(self, service: str) -> str:
        """Return what IAM calls a service of the region: ``sqs.eu-central-1.amazonaws.com``."""
        return f"{service}.{self.region}.{_SUFFIXES.get(self.partition, 'amazonaws.com')}"

    def _arn(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.id}:{resource}"


async def find_account(options: AwsOptions, credentials: CredentialsProvider | None) -> str:
    """Ask AWS whose account credentials are of.

    Args:
        options: Where AWS is.
        credentials: The credentials; botocore's chain where None.

    Raises:
        AwsCredentialsError: There are no credentials, or they are refused.
        AwsError: AWS does not answer.
    """
    plane = await ControlPlane.open(
        region=options.region,
        endpoint_url=options.endpoint_url,
        credentials=credentials,
        services=("sts",),
    )
    try:
        return str((await plane.sts("get_caller_identity"))["Account"])
    finally:
        await plane.aclose()
