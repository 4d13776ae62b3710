"""Fixtures for tests of programs that use sourceflow: pytest loads them wherever that is installed.

They stand outside of the package: pytest imports its plugins before each run, also where nobody
uses them and before coverage measures. So nothing of ``sourceflow`` is imported here until a test
asks for a fixture.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sourceflow import App
    from sourceflow.clock import Clock
    from sourceflow.testing import LocalAws

__all__ = ("app_under_test", "local_aws", "sourceflow_app", "sourceflow_clock")


def pytest_configure(config: pytest.Config) -> None:
    """Load the fixtures of the plugins for async tests that there are."""
    plugins = config.pluginmanager
    if plugins.hasplugin("asyncio"):
        plugins.import_plugin("pytest_sourceflow.by_asyncio")
    if plugins.hasplugin("anyio"):
        plugins.import_plugin("pytest_sourceflow.by_anyio")


@pytest.fixture
def sourceflow_clock() -> Clock | None:
    """The time of ``local_aws``: override it with a ``ManualClock``, and give that to your App."""
    return None


@pytest.fixture
def sourceflow_app() -> App:
    """Override it: return your App, which has not started."""
    raise pytest.UsageError(
        "app_under_test needs to know your App: write a fixture sourceflow_app that returns it, "
        "not started"
    )


@pytest.fixture
def local_aws(request: pytest.FixtureRequest) -> LocalAws:
    """A LocalAws that runs for one test; the variables ``AWS_…`` lead every client to it."""
    aws: LocalAws = _of_loop(request, "local_aws")
    return aws


@pytest.fixture
def app_under_test(request: pytest.FixtureRequest) -> App:
    """The App of ``sourceflow_app`` while it runs."""
    app: App = _of_loop(request, "app_under_test")
    return app


def _of_loop(request: pytest.FixtureRequest, name: str) -> Any:
    """Return what runs in the event loop of the test, by the plugin that runs the test."""
    if not inspect.iscoroutinefunction(getattr(request.node, "obj", None)):
        raise pytest.UsageError(
            f"{name} runs in the event loop of the test: make {request.node.name} an async def"
        )
    plugin = "anyio" if "anyio_backend" in request.fixturenames else "asyncio"
    if not request.config.pluginmanager.hasplugin(plugin):
        raise pytest.UsageError(f"{name} needs pytest-asyncio, or anyio's plugin: none runs here")
    return request.getfixturevalue(f"_{name}_by_{plugin}")
