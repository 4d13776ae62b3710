"""The cipher of a transport, with the key service that its options name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sourceflow.transports.aws.client import KmsClient, open_http_client, resolve_endpoint
from sourceflow.transports.aws.encryption.cipher import Cipher
from sourceflow.transports.aws.encryption.kms_provider import KmsKeyProvider

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from sourceflow.clock import Clock
    from sourceflow.resilience.task_scope import TaskScope
    from sourceflow.transports.aws.client import CredentialsProvider
    from sourceflow.transports.aws.encryption.key_provider import KeyProvider
    from sourceflow.transports.aws.options import AwsOptions

__all__ = ("open_cipher",)


async def open_cipher(
    options: AwsOptions,
    keys: KeyProvider | None,
    stack: AsyncExitStack,
    *,
    credentials: CredentialsProvider,
    tasks: TaskScope,
    clock: Clock,
) -> Cipher | None:
    """Return what encrypts and decrypts, or None where there is no key service to do it with.

    Args:
        options: Name the keys of KMS.
        keys: Another key service; None is KMS.
        stack: Closes connections to KMS.
        credentials: Whose requests to KMS these are.
        tasks: Runs calls of the key service.
        clock: The time.
    """
    if keys is None and options.kms_key_id is None and not options.decrypt_key_ids:
        return None
    if keys is None:
        at = await resolve_endpoint("kms", region=options.region, endpoint_url=options.endpoint_url)
        http = await stack.enter_async_context(open_http_client(at.url))
        keys = KmsKeyProvider(
            KmsClient(endpoint=at, credentials=credentials, http=http, clock=clock),
            key_id=options.kms_key_id,
            decrypt_key_ids=options.decrypt_key_ids,
            clock=clock,
        )
    return Cipher.of(keys, tasks=tasks, clock=clock, lifetime=options.data_key_lifetime)
