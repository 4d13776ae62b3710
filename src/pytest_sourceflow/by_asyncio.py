"""The fixtures of tests that pytest-asyncio runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from pytest_sourceflow.resources import running, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

    from sourceflow import App
    from sourceflow.clock import Clock
    from sourceflow.testing import LocalAws

__all__ = ()


@pytest_asyncio.fixture
async def _local_aws_by_asyncio(
    monkeypatch: pytest.MonkeyPatch, sourceflow_clock: Clock | None
) -> AsyncIterator[LocalAws]:
    async with serving(monkeypatch, sourceflow_clock) as aws:
        yield aws


@pytest_asyncio.fixture
async def _app_under_test_by_asyncio(sourceflow_app: App) -> AsyncIterator[App]:
    async with running(sourceflow_app) as app:
        yield app
