"""What the fixtures open."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    import pytest

    from sourceflow import App
    from sourceflow.clock import Clock
    from sourceflow.testing import LocalAws

__all__ = ("running", "serving")

LEFT_OUT = (
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_PROFILE",
    "AWS_SECURITY_TOKEN",
    "AWS_SESSION_TOKEN",
)
"""Would lead clients to somebody's real account."""

OF_A_SERVICE = "AWS_ENDPOINT_URL_"
"""So begin the addresses of single services, which would win over the one of all."""


@asynccontextmanager
async def serving(monkeypatch: pytest.MonkeyPatch, clock: Clock | None) -> AsyncIterator[LocalAws]:
    """Run a LocalAws, and lead the clients of this process to it."""
    from sourceflow.testing import LocalAws  # noqa: PLC0415 - not before a test asks for it

    async with LocalAws(clock=clock) as aws:
        credentials = await aws.static_credentials().get()
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", credentials.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", credentials.secret_key)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint_url)
        for name in (*LEFT_OUT, *(each for each in os.environ if each.startswith(OF_A_SERVICE))):
            monkeypatch.delenv(name, raising=False)
        yield aws


def running(app: App) -> AbstractAsyncContextManager[App]:
    """Run an App, and let it end its work."""
    from sourceflow.testing import under_test  # noqa: PLC0415 - not before a test asks for it

    return under_test(app)
