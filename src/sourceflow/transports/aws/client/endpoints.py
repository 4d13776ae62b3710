"""Where a service of AWS answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

from sourceflow.errors import AwsConfigurationError
from sourceflow.transports.aws.client._botocore import new_session

__all__ = ("Endpoint", "resolve_endpoint")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """The address of one service in one region.

    Every request goes here. The host inside a QueueUrl is never followed: emulators, proxies and VPC
    endpoints answer at other addresses than they write into it.

    Attributes:
        service: The name that requests are signed for, such as ``sqs``.
        region: The region that requests are signed for.
        url: Scheme, host and perhaps port and path; neither query nor fragment.
    """

    service: str
    region: str
    url: str

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise AwsConfigurationError(
                f"{self.url!r} is no http:// or https:// address for {self.service}",
                code="InvalidEndpoint",
            )
        if parts.query or parts.fragment or parts.username is not None:
            raise AwsConfigurationError(
                f"the endpoint of {self.service} must have neither user, query nor fragment",
                code="InvalidEndpoint",
            )


async def resolve_endpoint(
    service: str,
    *,
    region: str | None = None,
    endpoint_url: str | None = None,
    profile: str | None = None,
) -> Endpoint:
    """Find where a service answers.

    An explicit address wins; then botocore decides: ``AWS_ENDPOINT_URL_SQS`` and its like,
    ``AWS_ENDPOINT_URL``, the shared AWS files, and last the address of the region in its partition
    (``amazonaws.com.cn`` in China, for instance; FIPS and dual-stack settings are honoured).

    Args:
        service: botocore's name of the service, such as ``sqs``.
        region: The region; None takes it from ``AWS_DEFAULT_REGION`` or the shared AWS files.
        endpoint_url: An address to use as it is.
        profile: A profile of the shared AWS files.

    Raises:
        AwsConfigurationError: No region is known, or the address is none.
        MissingExtraError: botocore is not installed.
    """
    if region is not None and endpoint_url is not None:
        return Endpoint(service=service, region=region, url=endpoint_url)
    return await asyncio.to_thread(_resolve, service, region, endpoint_url, profile)


def _resolve(
    service: str, region: str | None, endpoint_url: str | None, profile: str | None
) -> Endpoint:
    session = new_session(profile)
    from botocore import UNSIGNED  # noqa: PLC0415 - see new_session
    from botocore.config import Config  # noqa: PLC0415 - see new_session
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - see new_session

    try:
        region = region or session.get_config_variable("region")
        if not region:
            raise AwsConfigurationError(
                "no region is configured: set AwsOptions(region=...) or AWS_DEFAULT_REGION",
                code="NoRegion",
            )
        # A client's meta is the one public way to botocore's answer. Unsigned: no credentials are looked for.
        config = Config(signature_version=UNSIGNED)
        client = session.create_client(
            service, region_name=region, endpoint_url=endpoint_url, config=config
        )
    except (BotoCoreError, ValueError) as error:
        raise AwsConfigurationError(str(error), code=type(error).__name__) from error
    try:
        return Endpoint(service=service, region=region, url=client.meta.endpoint_url)
    finally:
        client.close()
