"""Who is trusted to be AWS."""

from __future__ import annotations

import os
import ssl
from typing import Final

from sourceflow.errors import AwsConfigurationError

__all__ = ("CA_BUNDLE", "tls_context")

CA_BUNDLE: Final = "AWS_CA_BUNDLE"
"""Names a file of certificates to trust instead of the system's, as for every AWS SDK (AWS SDKs and
tools reference guide, "Environment variables")."""


def tls_context() -> ssl.SSLContext:
    """Return what connections are secured with: TLS 1.2 or newer, certificate and host name checked.

    Raises:
        AwsConfigurationError: The file that ``AWS_CA_BUNDLE`` names cannot be read.
    """
    bundle = os.environ.get(CA_BUNDLE) or None
    try:
        context = ssl.create_default_context(cafile=bundle)
    except OSError as error:
        raise AwsConfigurationError(
            f"{CA_BUNDLE} names {bundle!r}, which cannot be read as a file of certificates: {error}",
            code="InvalidCaBundle",
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
