"""What the guide to health says is looked at is what a report looks at, with those rights."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from sourceflow import (
    Aggregate,
    App,
    Command,
    Entity,
    Event,
    HealthStatus,
    Key,
    Saga,
    handles,
    subscribes,
)
from sourceflow.stores.sql import SqlIdempotency, SqlStores
from sourceflow.testing import LocalAws
from sourceflow.transports.aws import AwsOptions, AwsTransport, LocalKeyProvider

HEAD = ("entry", "degraded", "unhealthy", "rights")


class Stop(Command):
    id: Key[str]


class Stopped(Event):
    id: Key[str]


class Train(Entity):
    id: Key[str]


class TrainSaga(Saga[Train]):
    @handles
    def stop(self, train: Train | None, command: Stop) -> Train:
        self.raise_event(Stopped(id=command.id))
        return Train(id=command.id)


class Trains(Aggregate[Train]):
    @subscribes
    def stopped(self, event: Stopped) -> None:
        """Nothing more happens."""


@pytest.fixture
def rows(documents):
    return documents["docs/guide/health.md"].table(*HEAD)


@pytest.fixture(params=["kms", "keys"])
async def reported(request, tmp_path):
    """A report of an App that has everything, and the operations that AWS was asked for."""
    async with LocalAws() as local:
        local.create_key("alias/rail")
        key = {"kms_key_id": "alias/rail"} if request.param == "kms" else {}
        transport = AwsTransport(
            AwsOptions(
                region="us-east-1",
                endpoint_url=local.endpoint_url,
                wait_time=timedelta(seconds=1),
                enable_encryption=True,
                **key,
            ),
            lambda bus: (
                bus.send.command(Stop, queue="stop.fifo")
                .raise_.event(Stopped, topic="trains")
                .listen.to.command_queue("stop.fifo")
                .subscribe.to.topic("trains")
            ),
            credentials=local.static_credentials(),
            keys=None if key else LocalKeyProvider(),
        )
        url = f"sqlite:///{tmp_path}/rail.db"
        app = App(
            [TrainSaga, Trains],
            name="rail",
            stores=SqlStores(url),
            idempotency=SqlIdempotency(url),
        )
        async with app.use(transport):
            local.calls.clear()
            report = await app.health()
            yield report, set(local.calls) - {"ReceiveMessage"}


def kind(name):
    """Return what the table calls an entry: without the queue or topic that it is of."""
    for first in ("queue", "topic", "subscription", "listener"):
        if name.startswith(f"{first} "):
            return f"`{first}`"
    return "`dead letters` of a queue" if name.startswith("dead letters ") else f"`{name}`"


async def test_each_entry_of_a_report_has_its_row(reported, rows):
    report, _ = reported
    told = {each for row in rows for each in row[0].split(", ")}

    missing = {"`kms`", "`keys`"} - {kind(entry.name) for entry in report.entries}
    assert len(missing) == 1
    assert {kind(entry.name) for entry in report.entries} == told - missing


async def test_aws_is_asked_for_no_right_that_is_not_told(reported, rows):
    _, called = reported
    told = {name for row in rows for name in re.findall(r"`(?:sqs|sns|kms):(\w+)`", row[3])}

    assert called <= told
    assert told - called <= {"GenerateDataKey", "Decrypt"}  # those of another key service


def test_each_status_is_explained(documents):
    table = documents["docs/guide/health.md"].table("status", "meaning")

    assert [status for status, _ in table] == [f"`{each}`" for each in HealthStatus]
