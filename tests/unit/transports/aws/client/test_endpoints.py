from __future__ import annotations

import sys

import pytest

from sourceflow.errors import AwsConfigurationError, MissingExtraError
from sourceflow.transports.aws.client import Endpoint, resolve_endpoint


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch, tmp_path):
    for name in (
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_SQS",
        "AWS_ENDPOINT_URL_SNS",
        "AWS_DEFAULT_REGION",
        "AWS_PROFILE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return tmp_path


@pytest.mark.parametrize(
    ("service", "region", "url"),
    [
        ("sqs", "us-east-1", "https://sqs.us-east-1.amazonaws.com"),
        ("sns", "eu-central-1", "https://sns.eu-central-1.amazonaws.com"),
        ("sqs", "cn-north-1", "https://sqs.cn-north-1.amazonaws.com.cn"),
        ("sns", "us-gov-west-1", "https://sns.us-gov-west-1.amazonaws.com"),
    ],
)
async def test_a_region_answers_in_its_partition(service, region, url):
    assert await resolve_endpoint(service, region=region) == Endpoint(
        service=service, region=region, url=url
    )


async def test_an_explicit_address_wins(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://elsewhere.test")
    endpoint = await resolve_endpoint(
        "sqs", region="us-east-1", endpoint_url="http://127.0.0.1:4566"
    )
    assert endpoint.url == "http://127.0.0.1:4566"


async def test_an_explicit_address_and_region_need_no_botocore(monkeypatch):
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    endpoint = await resolve_endpoint(
        "sqs", region="us-east-1", endpoint_url="http://127.0.0.1:4566"
    )
    assert endpoint.region == "us-east-1"


async def test_the_address_of_a_service_in_the_environment_wins_over_that_of_all(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://all.test:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://sqs.test:2")
    assert (await resolve_endpoint("sqs", region="us-east-1")).url == "http://sqs.test:2"
    assert (await resolve_endpoint("sns", region="us-east-1")).url == "http://all.test:1"


async def test_the_region_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    endpoint = await resolve_endpoint("sqs", endpoint_url="http://127.0.0.1:4566")
    assert (endpoint.region, endpoint.url) == ("eu-north-1", "http://127.0.0.1:4566")


async def test_the_region_comes_from_a_profile(bare_environment):
    (bare_environment / "config").write_text("[profile shop]\nregion = sa-east-1\n")
    assert (await resolve_endpoint("sqs", profile="shop")).region == "sa-east-1"


async def test_without_a_region_the_error_says_what_to_set():
    with pytest.raises(
        AwsConfigurationError, match=r"AwsOptions\(region=...\) or AWS_DEFAULT_REGION"
    ) as caught:
        await resolve_endpoint("sqs")
    assert caught.value.code == "NoRegion"


@pytest.mark.parametrize(("region", "profile"), [("no region!", None), ("us-east-1", "missing")])
async def test_what_botocore_refuses_is_a_matter_of_configuration(region, profile):
    with pytest.raises(AwsConfigurationError):
        await resolve_endpoint("sqs", region=region, profile=profile)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "sqs.test",
        "ftp://sqs.test",
        "https://",
        "https://sqs.test?a=b",
        "https://sqs.test#a",
        "https://u:p@sqs.test",
    ],
)
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(AwsConfigurationError) as caught:
        Endpoint(service="sqs", region="us-east-1", url=url)
    assert caught.value.code == "InvalidEndpoint"


async def test_without_botocore_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    with pytest.raises(MissingExtraError, match=r"sourceflow\[aws\]"):
        await resolve_endpoint("sqs", region="us-east-1")


async def test_another_module_that_is_missing_is_not_called_botocore(monkeypatch):
    monkeypatch.delitem(sys.modules, "botocore.session")
    monkeypatch.setitem(sys.modules, "jmespath", None)
    monkeypatch.delitem(sys.modules, "botocore.client", raising=False)
    for name in [name for name in sys.modules if name.startswith("botocore")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ImportError) as caught:
        await resolve_endpoint("sqs", region="us-east-1")
    assert not isinstance(caught.value, MissingExtraError)
