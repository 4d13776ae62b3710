"""Calls that are made rarely, through botocore, in threads."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

from sourceflow.errors import AwsCredentialsError, AwsTransientError
from sourceflow.transports.aws.client import ChainCredentials
from sourceflow.transports.aws.client._botocore import new_session
from sourceflow.transports.aws.client.errors import classify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sourceflow.transports.aws.client import CredentialsProvider

__all__ = ("ControlPlane",)

CALLS_AT_ONCE = 8
"""Calls under way at once: control planes of AWS are throttled low."""


class ControlPlane:
    """botocore's clients of SQS, SNS and STS, as coroutines that raise our errors."""

    def __init__(self, clients: dict[str, Any]) -> None:
        self._clients = clients
        self._slots = asyncio.Semaphore(CALLS_AT_ONCE)

    @classmethod
    async def open(
        cls,
        *,
        region: str,
        endpoint_url: str | None,
        credentials: CredentialsProvider | None,
        services: Sequence[str] = ("sqs", "sns"),
    ) -> Self:
        """Make the clients.

        Args:
            region: The AWS region.
            endpoint_url: Where AWS is; None leaves it to botocore.
            credentials: Whose requests these are; botocore's chain where None.
            services: What is going to be called.

        Raises:
            AwsCredentialsError: There are no credentials.
            MissingExtraError: botocore is not installed.
        """
        provider = ChainCredentials() if credentials is None else credentials
        found = await provider.get()

        def make() -> dict[str, Any]:
            from botocore.config import Config  # noqa: PLC0415 - heavy, and optional

            session = new_session()
            config = Config(
                max_pool_connections=CALLS_AT_ONCE, retries={"mode": "standard", "max_attempts": 5}
            )
            return {
                service: session.create_client(
                    service,
                    region_name=region,
                    endpoint_url=endpoint_url,
                    aws_access_key_id=found.access_key,
                    aws_secret_access_key=found.secret_key,
                    aws_session_token=found.token,
                    config=config,
                )
                for service in services
            }

        return cls(await asyncio.to_thread(make))

    async def sqs(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call SQS; the operation is named as in botocore: ``get_queue_url``.

        Raises:
            AwsError: The subclass says what to do about it.
        """
        return await self._call("sqs", operation, parameters)

    async def sns(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call SNS; the operation is named as in botocore: ``create_topic``.

        Raises:
            AwsError: The subclass says what to do about it.
        """
        return await self._call("sns", operation, parameters)

    async def sts(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call STS; the operation is named as in botocore: ``get_caller_identity``.

        Raises:
            AwsError: The subclass says what to do about it.
        """
        return await self._call("sts", operation, parameters)

    async def _call(
        self, service: str, operation: str, parameters: dict[str, Any]
    ) -> dict[str, Any]:
        from botocore.exceptions import (  # noqa: PLC0415 - heavy, and optional
            BotoCoreError,
            ClientError,
            NoCredentialsError,
        )

        method = getattr(self._clients[service], operation)
        async with self._slots:
            try:
                answer: dict[str, Any] = await asyncio.to_thread(lambda: method(**parameters))
            except ClientError as error:
                details = error.response.get("Error", {})
                status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
                raise classify(
                    details.get("Message", ""),
                    code=details.get("Code", ""),
                    status=status,
                    operation=operation,
                ) from None
            except NoCredentialsError as error:
                raise AwsCredentialsError(
                    str(error), code="NoCredentials", operation=operation
                ) from None
            except BotoCoreError as error:
                raise AwsTransientError(
                    str(error), code=type(error).__name__, operation=operation
                ) from None
            return answer

    async def aclose(self) -> None:
        """Close the clients' connections."""
        for client in self._clients.values():
            client.close()
