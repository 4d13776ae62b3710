"""The account and region that ARNs name."""

from __future__ import annotations

import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.session import Session

from sourceflow.testing import LocalAws
from sourceflow.transports.aws import AwsOptions
from sourceflow.transports.aws.permissions import Account, find_account

ID = "123456789012"


def test_arns_name_account_and_region():
    account = Account(id=ID, region="eu-central-1")
    assert account.queue("orders.fifo") == f"arn:aws:sqs:eu-central-1:{ID}:orders.fifo"
    assert account.topic("*") == f"arn:aws:sns:eu-central-1:{ID}:*"
    assert account.key("k") == f"arn:aws:kms:eu-central-1:{ID}:key/k"
    assert account.root == f"arn:aws:iam::{ID}:root"
    assert account.host("sqs") == "sqs.eu-central-1.amazonaws.com"


@pytest.mark.parametrize(
    ("region", "partition", "host"),
    [
        ("us-east-1", "aws", "sqs.us-east-1.amazonaws.com"),
        ("cn-north-1", "aws-cn", "sqs.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "aws-us-gov", "sqs.us-gov-west-1.amazonaws.com"),
        ("us-iso-east-1", "aws-iso", "sqs.us-iso-east-1.c2s.ic.gov"),
        ("us-isob-east-1", "aws-iso-b", "sqs.us-isob-east-1.sc2s.sgov.gov"),
        ("eusc-de-east-1", "aws-eusc", "sqs.eusc-de-east-1.amazonaws.eu"),
    ],
)
def test_the_partition_is_that_of_the_region(region, partition, host):
    account = Account(id=ID, region=region)
    assert account.queue("q").startswith(f"arn:{partition}:sqs:{region}:")
    assert account.host("sqs") == host


def test_partitions_are_those_that_botocore_knows():
    session = Session()
    for partition in session.get_available_partitions():
        regions = session.get_available_regions("sqs", partition_name=partition)
        for region in regions:
            assert Account(id=ID, region=region).partition == partition, region
        client = session.create_client(
            "sqs", region_name=regions[0], config=Config(signature_version=UNSIGNED)
        )
        host = Account(id=ID, region=regions[0]).host("sqs")
        assert client.meta.endpoint_url == f"https://{host}"


@pytest.mark.parametrize(
    ("account", "region", "named"),
    [("12345678901", "us-east-1", "twelve digits"), (ID, "us east", "region 'us east'")],
)
def test_what_is_no_account_or_region_is_refused(account, region, named):
    with pytest.raises(ValueError, match=named):
        Account(id=account, region=region)


async def test_the_account_is_that_of_the_credentials():
    nothing = {"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
    async with LocalAws(account_id=ID, policy=nothing) as aws:
        options = AwsOptions(region="us-east-1", endpoint_url=aws.endpoint_url)
        assert await find_account(options, aws.static_credentials()) == ID
