"""Every key provider of this project passes the suite that is shipped for those of others."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from sourceflow.clock import SystemClock
from sourceflow.testing import LocalAws
from sourceflow.testing.conformance import KeyProviderConformance
from sourceflow.transports.aws import AwsOptions, LocalKeyProvider
from sourceflow.transports.aws.client import StaticCredentials
from sourceflow.transports.aws.client._botocore import new_session
from sourceflow.transports.aws.encryption import open_keys


class TestLocalKeyProvider(KeyProviderConformance):
    """Two that were handed the same key."""

    @pytest.fixture
    def providers(self):
        return [LocalKeyProvider(b"k" * 32) for _ in range(2)]


class KmsConformance(KeyProviderConformance):
    """KMS: one names the key by its ARN, the other by an alias."""

    @pytest.fixture
    def url(self):
        raise NotImplementedError

    @pytest.fixture
    async def providers(self, url):
        client = await asyncio.to_thread(
            new_session().create_client,
            "kms",
            region_name="us-east-1",
            endpoint_url=url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        made = await asyncio.to_thread(client.create_key)
        arn, alias = made["KeyMetadata"]["Arn"], f"alias/{made['KeyMetadata']['KeyId']}"
        await asyncio.to_thread(client.create_alias, AliasName=alias, TargetKeyId=arn)
        client.close()
        async with AsyncExitStack() as stack:
            yield [
                await open_keys(
                    AwsOptions(region="us-east-1", endpoint_url=url, kms_key_id=key),
                    None,
                    stack,
                    credentials=StaticCredentials("test", "test"),
                    clock=SystemClock(),
                )
                for key in (arn, alias)
            ]


class TestKmsOfLocalAws(KmsConformance):
    """Our own KMS."""

    @pytest.fixture
    async def url(self):
        async with LocalAws() as local:
            yield local.endpoint_url


@pytest.mark.localstack
class TestKmsOfLocalStack(KmsConformance):
    """That of the emulator."""

    @pytest.fixture
    def url(self, localstack_url):
        return localstack_url
