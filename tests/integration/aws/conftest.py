"""An AWS to work with: LocalAws, and LocalStack."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from sourceflow.testing import LocalAws
from sourceflow.transports.aws import AwsOptions
from sourceflow.transports.aws.client import StaticCredentials
from sourceflow.transports.aws.client._botocore import new_session
from sourceflow.transports.aws.control_plane import ControlPlane

REGION = "us-east-1"


@dataclass
class Cloud:
    """One AWS, and names in it that nobody else uses."""

    endpoint_url: str
    credentials: Any
    plane: ControlPlane
    prefix: str
    local: LocalAws | None

    def options(self, **more):
        return AwsOptions(
            **{
                "region": REGION,
                "endpoint_url": self.endpoint_url,
                "resource_prefix": self.prefix,
                **more,
            }
        )

    async def url(self, queue):
        return (await self.plane.sqs("get_queue_url", QueueName=self.prefix + queue))["QueueUrl"]

    async def attributes(self, queue):
        answer = await self.plane.sqs(
            "get_queue_attributes", QueueUrl=await self.url(queue), AttributeNames=["All"]
        )
        return answer["Attributes"]

    async def make_queue(self, name, **attributes):
        return await self.plane.sqs(
            "create_queue", QueueName=self.prefix + name, Attributes=attributes
        )


class Kms:
    """KMS, as an administrator calls it."""

    def __init__(self, client):
        self._client = client

    async def call(self, operation, **parameters):
        return await asyncio.to_thread(getattr(self._client, operation), **parameters)

    async def key(self):
        return (await self.call("create_key"))["KeyMetadata"]["Arn"]

    async def alias(self, arn):
        name = f"alias/{secrets.token_hex(6)}"
        await self.call("create_alias", AliasName=name, TargetKeyId=arn.rpartition("/")[2])
        return name


@pytest.fixture(
    params=["LocalAws", pytest.param("LocalStack", marks=pytest.mark.localstack)],
)
async def cloud(request):
    """Each AWS in turn."""
    prefix = f"t{secrets.token_hex(4)}-"
    credentials = StaticCredentials("test", "test")
    async with AsyncExitStack() as stack:
        local = None
        if request.param == "LocalAws":
            local = await stack.enter_async_context(LocalAws())
            url = local.endpoint_url
        else:
            url = request.getfixturevalue("localstack_url")
        plane = await stack.enter_async_context(control_plane(url, credentials))
        yield Cloud(url, credentials, plane, prefix, local)


@pytest.fixture
async def on_local_aws_cloud():
    """Our own AWS, for tests that look into it."""
    credentials = StaticCredentials("test", "test")
    async with LocalAws() as local, control_plane(local.endpoint_url, credentials) as plane:
        yield Cloud(local.endpoint_url, credentials, plane, "", local)


@asynccontextmanager
async def control_plane(url, credentials):
    plane = await ControlPlane.open(region=REGION, endpoint_url=url, credentials=credentials)
    try:
        yield plane
    finally:
        await plane.aclose()


@pytest.fixture
async def kms(cloud):
    client = await asyncio.to_thread(
        new_session().create_client,
        "kms",
        region_name="us-east-1",
        endpoint_url=cloud.endpoint_url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    yield Kms(client)
    client.close()
