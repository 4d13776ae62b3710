"""The key service that the options of a transport name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sourceflow.transports.aws.client import KmsClient, open_http_client, resolve_endpoint
from sourceflow.transports.aws.encryption.kms_provider import KmsKeyProvider

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from sourceflow.clock import Clock
    from sourceflow.transports.aws.client import CredentialsProvider, RetryPolicy
    from sourceflow.transports.aws.encryption.key_provider import KeyProvider
    from sourceflow.transports.aws.options import AwsOptions

__all__ = ("open_keys",)


async def open_keys(
    options: AwsOptions,
    keys: KeyProvider | None,
    stack: AsyncExitStack,
    *,
    credentials: CredentialsProvider,
    clock: Clock,
    retry: RetryPolicy | None = None,
) -> KeyProvider | None:
    """Return the key service that the options name, or None where they name none.

    Args:
        options: Name the keys of KMS.
        keys: Another key service; None is KMS.
        stack: Closes connections to KMS.
        credentials: Whose requests to KMS these are.
        clock: The time.
        retry: Which failed calls of KMS are made again.
    """
    if keys is not None:
        return keys
    if options.kms_key_id is None and not options.decrypt_key_ids:
        return None
    at = await resolve_endpoint("kms", region=options.region, endpoint_url=options.endpoint_url)
    http = await stack.enter_async_context(open_http_client(at.url))
    return KmsKeyProvider(
        KmsClient(endpoint=at, credentials=credentials, http=http, clock=clock, retry=retry),
        key_id=options.kms_key_id,
        decrypt_key_ids=options.decrypt_key_ids,
        clock=clock,
    )
