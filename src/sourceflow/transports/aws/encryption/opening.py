"""The key service that the options of a transport name, and the cipher of stores that works with it."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from sourceflow.resilience.task_scope import TaskScope
from sourceflow.transports.aws.client import KmsClient, open_http_client, resolve_endpoint
from sourceflow.transports.aws.encryption.kms_provider import KmsKeyProvider
from sourceflow.transports.aws.encryption.lasting_keys import LastingKeys
from sourceflow.transports.aws.encryption.receiving_cache import ReceivingCache
from sourceflow.transports.aws.encryption.record_cipher import EnvelopeRecordCipher
from sourceflow.transports.aws.encryption.record_format import RECORD_PREFIX
from sourceflow.transports.aws.encryption.sending_cache import KeyLimits, SendingCache

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sourceflow.clock import Clock
    from sourceflow.transports.aws.client import CredentialsProvider, RetryPolicy
    from sourceflow.transports.aws.encryption.key_provider import KeyProvider
    from sourceflow.transports.aws.options import AwsOptions

__all__ = ("open_keys", "open_record_cipher")


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


@asynccontextmanager
async def open_record_cipher(
    options: AwsOptions,
    keys: KeyProvider | None,
    *,
    credentials: CredentialsProvider,
    app: str,
    clock: Clock,
) -> AsyncIterator[EnvelopeRecordCipher | None]:
    """Open what encrypts and decrypts what stores keep; None where there is no key service.

    Its connections and data keys are its own: stores open before the transport and close after it.

    Args:
        options: Name the keys of KMS.
        keys: Another key service; None is KMS.
        credentials: Whose requests to KMS these are.
        app: The App's name.
        clock: The time.
    """
    async with AsyncExitStack() as stack:
        opened = await open_keys(options, keys, stack, credentials=credentials, clock=clock)
        if opened is None:
            yield None
            return
        tasks = await stack.enter_async_context(TaskScope())
        lifetime = options.data_key_lifetime
        sending = SendingCache(
            LastingKeys(opened, clock),
            tasks=tasks,
            clock=clock,
            limits=KeyLimits(lifetime=lifetime),
            prefix=RECORD_PREFIX,
        )
        yield EnvelopeRecordCipher(
            source=f"/{app}",
            sending=sending if options.encrypt_at_rest else None,
            receiving=ReceivingCache(opened, tasks=tasks, clock=clock, lifetime=lifetime),
            clock=clock,
        )
