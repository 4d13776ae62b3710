"""Whose certificates are trusted."""

from __future__ import annotations

import asyncio
import os
import ssl

from sourceflow.errors import AwsConfigurationError
from sourceflow.transports.aws.client._botocore import new_session

__all__ = ("load_tls_context", "make_tls_context")


async def load_tls_context() -> ssl.SSLContext:
    """Read what botocore would trust: the bundle it is told to, else the system's authorities.

    The bundle comes from ``AWS_CA_BUNDLE``, ``ca_bundle`` in the shared AWS files, or
    ``REQUESTS_CA_BUNDLE``, in this order, as in botocore. It replaces the system's authorities.

    Raises:
        AwsConfigurationError: The bundle cannot be read.
        MissingExtraError: botocore is not installed.
    """
    return await asyncio.to_thread(lambda: make_tls_context(_bundle()))


def make_tls_context(bundle: str | None = None) -> ssl.SSLContext:
    """Return how connections are secured: TLS 1.2 or newer, certificate and host name verified. Blocks.

    Args:
        bundle: A file of trusted authorities in PEM; None trusts the system's.

    Raises:
        AwsConfigurationError: The file cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=bundle)
    except OSError as error:  # ssl.SSLError is one
        raise AwsConfigurationError(
            f"the CA bundle {bundle!r} cannot be read ({error}): see AWS_CA_BUNDLE, ca_bundle in the "
            "AWS configuration file and REQUESTS_CA_BUNDLE",
            code="InvalidCaBundle",
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _bundle() -> str | None:
    session = new_session()
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - see new_session

    try:
        bundle = session.get_config_variable("ca_bundle")
    except BotoCoreError as error:
        raise AwsConfigurationError(str(error), code=type(error).__name__) from error
    return os.environ.get("REQUESTS_CA_BUNDLE") if bundle is None else str(bundle)
