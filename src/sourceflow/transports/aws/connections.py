"""The clients that a transport talks to AWS with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Self

from sourceflow.transports.aws.client import (
    ChainCredentials,
    RetryPolicy,
    SnsClient,
    SqsClient,
    open_http_client,
    resolve_endpoint,
)

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from sourceflow.clock import Clock
    from sourceflow.transports.aws.client import CredentialsProvider
    from sourceflow.transports.aws.options import AwsOptions

__all__ = ("LOOKS", "Connections")

LOOKS: Final = RetryPolicy(max_attempts=2, deadline=timedelta(seconds=2))
"""How calls are made that only look how things are: the answer counts, not that there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """The clients that a transport talks to AWS with.

    Attributes:
        credentials: Whose requests these are.
        sqs: Sends, deletes and asks.
        polls: Receives: polls try again by themselves, as they know when to stop.
        sns: Publishes.
        sqs_looks: Looks how queues are, over connections of its own: those that send may be busy.
        sns_looks: Looks how topics are.
    """

    credentials: CredentialsProvider
    sqs: SqsClient
    polls: SqsClient
    sns: SnsClient
    sqs_looks: SqsClient
    sns_looks: SnsClient

    @classmethod
    async def open(
        cls,
        options: AwsOptions,
        credentials: CredentialsProvider | None,
        clock: Clock,
        stack: AsyncExitStack,
    ) -> Self:
        """Find out where AWS is, and make the clients; a connection is made when it is needed.

        Args:
            options: Where AWS is.
            credentials: Whose requests these are; botocore's chain where None.
            clock: The time.
            stack: Closes the connections.

        Raises:
            AwsConfigurationError: The region or the address is none.
        """
        provider = ChainCredentials(clock=clock) if credentials is None else credentials
        sqs_at = await resolve_endpoint(
            "sqs", region=options.region, endpoint_url=options.endpoint_url
        )
        sns_at = await resolve_endpoint(
            "sns", region=options.region, endpoint_url=options.endpoint_url
        )
        sending = await stack.enter_async_context(open_http_client(sqs_at.url, sns_at.url))
        receiving = await stack.enter_async_context(open_http_client(sqs_at.url))
        looking = await stack.enter_async_context(open_http_client(sqs_at.url, sns_at.url))
        return cls(
            credentials=provider,
            sqs=SqsClient(endpoint=sqs_at, credentials=provider, http=sending, clock=clock),
            polls=SqsClient(
                endpoint=sqs_at,
                credentials=provider,
                http=receiving,
                clock=clock,
                retry=RetryPolicy(max_attempts=1),
            ),
            sns=SnsClient(endpoint=sns_at, credentials=provider, http=sending, clock=clock),
            sqs_looks=SqsClient(
                endpoint=sqs_at, credentials=provider, http=looking, clock=clock, retry=LOOKS
            ),
            sns_looks=SnsClient(
                endpoint=sns_at, credentials=provider, http=looking, clock=clock, retry=LOOKS
            ),
        )
