from __future__ import annotations

import pytest
from watched_shop import COMPONENTS, Orders, Watch, transport

from sourceflow import App
from sourceflow.testing import LocalAws


@pytest.fixture
async def aws():
    async with LocalAws() as aws:
        yield aws


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture(autouse=True)
def _as_ever():
    yield
    Orders.inside, Orders.failures = None, 0


@pytest.fixture
def shop(aws, watch):
    """Make a shop on LocalAws that tells ``watch``; options are the App's, or for its transport."""

    def shop(*, telemetry=None, stores=None, components=COMPONENTS, **options):
        telemetry = watch.telemetry() if telemetry is None else telemetry
        app = App(components, name="shop", stores=stores, telemetry=telemetry)
        return app.use(transport(aws, **options))

    return shop
