"""Health reports over LocalAws and LocalStack: what is broken is red within one check, and green again."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import timedelta

import pytest

from database_gate import DatabaseGate
from leaping_clock import LeapingClock
from sourceflow import (
    Aggregate,
    App,
    Command,
    Entity,
    Event,
    HealthOptions,
    HealthStatus,
    Key,
    Saga,
    handles,
    subscribes,
)
from sourceflow.transports.aws import AwsTransport, LocalKeyProvider
from sourceflow.transports.aws.client._botocore import new_session

HEALTHY, DEGRADED, UNHEALTHY = HealthStatus
SHORT = {"wait_time": timedelta(seconds=1)}


class Tick(Command):
    id: Key[str]


class Tock(Command):
    id: Key[str]


class Struck(Event):
    id: Key[str]


class Clockwork(Entity):
    id: Key[str]


class Ticking(Saga[Clockwork]):
    @handles
    def tick(self, entity: Clockwork | None, command: Tick) -> Clockwork:
        self.raise_event(Struck(id=command.id))
        return Clockwork(id=command.id)

    @handles
    def tock(self, entity: Clockwork | None, command: Tock) -> Clockwork:
        return Clockwork(id=command.id)


class Listening(Aggregate[Clockwork]):
    @subscribes
    def struck(self, event: Struck) -> None:
        """Nothing more happens."""


def worker_bus(bus):
    return (
        bus.send.command(Tick, queue="ticks.fifo")
        .command(Tock, queue="tocks")
        .raise_.event(Struck, topic="strikes")
        .listen.to.command_queue("ticks.fifo")
        .command_queue("tocks")
        .subscribe.to.topic("strikes")
    )


def sender_bus(bus):
    return bus.send.command(Tick, queue="ticks.fifo").command(Tock, queue="tocks")


def worker(cloud, *, keys=None, **options):
    transport = AwsTransport(
        cloud.options(**SHORT, **options), worker_bus, credentials=cloud.credentials, keys=keys
    )
    return App([Ticking, Listening], name=f"{cloud.prefix}clock").use(transport)


def sender(cloud, **options):
    transport = AwsTransport(
        cloud.options(**SHORT, **options), sender_bus, credentials=cloud.credentials
    )
    return App([], name="sender").use(transport)


async def look(app):
    """Return the report, and its entries by name."""
    report = await app.health()
    return report.status, {entry.name: entry for entry in report.entries}


@pytest.fixture
async def kms(cloud):
    client = await asyncio.to_thread(
        new_session().create_client,
        "kms",
        region_name="us-east-1",
        endpoint_url=cloud.endpoint_url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )

    async def call(operation, **parameters):
        return await asyncio.to_thread(getattr(client, operation), **parameters)

    yield call
    client.close()


@pytest.fixture
async def key(kms):
    return (await kms("create_key"))["KeyMetadata"]["Arn"]


async def test_a_worker_whose_world_is_whole_is_healthy(cloud, key):
    async with worker(cloud, enable_encryption=True, kms_key_id=key) as app:
        status, entries = await look(app)

    assert status is HEALTHY
    own = {name.replace(cloud.prefix, "") for name in entries}
    assert own == {
        "app",
        "outbox",
        "dead letters",
        "sqs",
        "sns",
        "kms",
        "queue ticks.fifo",
        "queue tocks",
        "queue clock-events",
        "topic strikes",
        "subscription strikes",
        "dead letters ticks.fifo",
        "dead letters tocks",
        "dead letters clock-events",
        "listener ticks.fifo",
        "listener tocks",
        "listener clock-events",
        "circuits",
    }
    assert entries["kms"].detail == "it can encrypt and decrypt"


async def test_a_deleted_topic_is_red_within_one_check_and_green_again(cloud):
    async with worker(cloud) as app:
        assert (await look(app))[0] is HEALTHY
        name = f"{cloud.prefix}strikes"
        made = await cloud.plane.sns("create_topic", Name=name)

        await cloud.plane.sns("delete_topic", TopicArn=made["TopicArn"])
        status, entries = await look(app)
        assert status is UNHEALTHY
        assert entries[f"topic {name}"].detail == "the topic does not exist"
        assert entries["sns"].status is HEALTHY

        await cloud.plane.sns("create_topic", Name=name)
        status, entries = await look(app)
        assert entries[f"topic {name}"].status is HEALTHY
        assert entries[f"subscription {name}"].detail == (
            "the event queue is not subscribed: no event arrives"
        )

        await subscribe(cloud, made["TopicArn"], f"{cloud.prefix}clock-events")
        assert (await look(app))[0] is HEALTHY


async def test_a_vanished_second_queue_is_red_within_one_check_and_green_again(cloud, monkeypatch):
    async with sender(cloud) as app:
        assert (await look(app))[0] is HEALTHY

        await cloud.plane.sqs("delete_queue", QueueUrl=await cloud.url("tocks"))
        status, entries = await look(app)
        assert status is UNHEALTHY
        assert entries[f"queue {cloud.prefix}tocks"].detail == "the queue does not exist"
        assert entries[f"queue {cloud.prefix}ticks.fifo"].status is HEALTHY
        assert entries["sqs"].status is HEALTHY

        if cloud.local is not None:  # the name of a deleted queue is free after a minute
            monkeypatch.setattr(cloud.local, "_clock", LeapingClock(timedelta(minutes=2)))
        await cloud.make_queue("tocks")
        assert (await look(app))[0] is HEALTHY


@pytest.mark.parametrize("use", ["enable_encryption", "encrypt_at_rest"])
async def test_a_disabled_key_is_red_within_one_check_and_green_again(cloud, kms, key, use):
    async with worker(cloud, kms_key_id=key, **{use: True}) as app:
        status, entries = await look(app)
        assert status is HEALTHY
        assert entries["kms"].detail == "it can encrypt and decrypt"

        await kms("disable_key", KeyId=key)
        status, entries = await look(app)
        assert status is UNHEALTHY
        assert entries["kms"].status is UNHEALTHY
        assert "AwsKeyError" in entries["kms"].detail

        await kms("enable_key", KeyId=key)
        assert (await look(app))[0] is HEALTHY


async def test_a_key_that_is_to_be_deleted_is_red_and_green_when_that_is_called_off(
    cloud, kms, key
):
    async with worker(cloud, enable_encryption=True, kms_key_id=key) as app:
        assert (await look(app))[0] is HEALTHY

        await kms("schedule_key_deletion", KeyId=key, PendingWindowInDays=7)
        status, entries = await look(app)
        assert (status, entries["kms"].status) == (UNHEALTHY, UNHEALTHY)

        await kms("cancel_key_deletion", KeyId=key)
        await kms("enable_key", KeyId=key)
        assert (await look(app))[0] is HEALTHY


async def test_a_subscription_that_is_gone_or_of_another_queue_is_red_and_green_again(cloud):
    async with worker(cloud) as app:
        assert (await look(app))[0] is HEALTHY
        name = f"{cloud.prefix}strikes"
        topic = (await cloud.plane.sns("create_topic", Name=name))["TopicArn"]
        (subscribed,) = (await cloud.plane.sns("list_subscriptions_by_topic", TopicArn=topic))[
            "Subscriptions"
        ]
        await cloud.plane.sns("unsubscribe", SubscriptionArn=subscribed["SubscriptionArn"])

        async def subscription():
            status, entries = await look(app)
            return status, entries[f"subscription {name}"].status

        assert await subscription() == (UNHEALTHY, UNHEALTHY)
        await subscribe(cloud, topic, "tocks")
        assert await subscription() == (UNHEALTHY, UNHEALTHY)
        await subscribe(cloud, topic, f"{cloud.prefix}clock-events")
        assert await subscription() == (HEALTHY, HEALTHY)


async def subscribe(cloud, topic, queue):
    await cloud.plane.sns(
        "subscribe",
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=(await cloud.attributes(queue))["QueueArn"],
        Attributes={"RawMessageDelivery": "true"},
    )


async def test_a_policy_that_keeps_a_topic_out_is_red_and_green_again(cloud):
    async with worker(cloud) as app:
        queue = f"{cloud.prefix}clock-events"
        before = (await cloud.attributes(queue))["Policy"]
        other = json.loads(before)
        other["Statement"][0]["Condition"]["ArnEquals"]["aws:SourceArn"] = ["arn:aws:sns:a:1:b"]

        await set_policy(cloud, queue, json.dumps(other))
        status, entries = await look(app)
        assert status is UNHEALTHY
        assert entries[f"queue {cloud.prefix}{queue}"].detail.endswith("no event arrives")

        await set_policy(cloud, queue, before)
        assert (await look(app))[0] is HEALTHY


async def set_policy(cloud, queue, policy):
    await cloud.plane.sqs(
        "set_queue_attributes", QueueUrl=await cloud.url(queue), Attributes={"Policy": policy}
    )


async def test_a_dead_letter_degrades_until_it_is_gone(cloud):
    async with worker(cloud) as app:
        url = await cloud.url("tocks-dlq")
        await cloud.plane.sqs("send_message", QueueUrl=url, MessageBody="given up")

        status, entries = await look(app)
        assert status is DEGRADED
        assert entries[f"dead letters {cloud.prefix}tocks"].detail == (
            "1 dead letters, by the estimate of SQS"
        )

        await cloud.plane.sqs("receive_message", QueueUrl=url)  # a look hides it for a while
        assert (await look(app))[0] is DEGRADED

        await cloud.plane.sqs("purge_queue", QueueUrl=url)
        assert (await look(app))[0] is HEALTHY


async def test_what_is_not_there_is_named_without_running(cloud):
    app = worker(cloud)

    report = await app.inspect()

    assert report.status is UNHEALTHY
    details = {entry.name.replace(cloud.prefix, ""): entry.detail for entry in report.entries}
    assert details["queue ticks.fifo"] == details["queue tocks"] == "the queue does not exist"
    assert details["topic strikes"] == "the topic does not exist"


async def test_what_an_app_depends_on_is_looked_at_without_running_it(cloud, key):
    options = {"enable_encryption": True, "kms_key_id": key}
    async with worker(cloud, **options):
        pass

    report = await worker(cloud, **options).inspect()

    assert report.status is HEALTHY, report
    names = {entry.name.replace(cloud.prefix, "") for entry in report.entries}
    assert {"kms", "queue tocks", "topic strikes", "subscription strikes"} <= names
    assert not any(name.startswith(("listener", "circuits")) for name in names)


class TestOnLocalAws:
    """What only our own AWS can show."""

    @pytest.fixture
    def cloud(self, on_local_aws_cloud):
        return on_local_aws_cloud

    @pytest.mark.parametrize("app_of", [sender, worker])
    async def test_only_rights_of_the_role_are_asked_for(self, cloud, app_of):
        cloud.local.create_key("alias/clock")
        options = {"enable_encryption": True, "kms_key_id": "alias/clock"}
        async with worker(cloud, **options):
            pass
        async with app_of(cloud, provisioning="off", **options) as app:
            await asyncio.sleep(0)
            cloud.local.calls.clear()
            assert (await look(app))[0] is HEALTHY

            called = set(cloud.local.calls) - {"ReceiveMessage"}
        if app_of is sender:
            assert called == {"GetQueueAttributes", "GenerateDataKey"}
            assert not cloud.local.calls["ReceiveMessage"]
        else:
            assert called == {
                "GetQueueAttributes",
                "GetTopicAttributes",
                "ListSubscriptionsByTopic",
                "GetSubscriptionAttributes",
                "GenerateDataKey",
                "Decrypt",
            }

    async def test_a_subscription_is_listed_once(self, cloud):
        async with worker(cloud) as app:
            await look(app)
            cloud.local.calls.clear()
            await look(app)

            assert not cloud.local.calls["ListSubscriptionsByTopic"]
            assert cloud.local.calls["GetSubscriptionAttributes"] == 1

    @pytest.mark.parametrize(
        ("operation", "detail"),
        [
            (
                "ListSubscriptionsByTopic",
                "it is not looked at: ListSubscriptionsByTopic is denied",
            ),
            (
                "GetSubscriptionAttributes",
                "subscribed; not looked at further: GetSubscriptionAttributes is denied",
            ),
        ],
    )
    async def test_a_right_that_a_worker_does_not_need_may_be_denied(
        self, cloud, operation, detail
    ):
        async with worker(cloud) as app:
            cloud.local.refuse(operation, "AuthorizationError", times=9, status=403)
            for _ in range(2):
                status, entries = await look(app)
                assert status is HEALTHY
                assert entries["subscription strikes"].detail == detail

    async def test_a_subscription_that_only_the_list_shows_is_red_when_it_is_gone(self, cloud):
        async with worker(cloud) as app:
            cloud.local.refuse(
                "GetSubscriptionAttributes", "AuthorizationError", times=9, status=403
            )
            assert (await look(app))[0] is HEALTHY
            (found,) = (await cloud.plane.sns("list_subscriptions"))["Subscriptions"]

            await cloud.plane.sns("unsubscribe", SubscriptionArn=found["SubscriptionArn"])

            assert (await look(app))[0] is UNHEALTHY

    @pytest.mark.parametrize("provisioning", ["verify", "off"])
    @pytest.mark.parametrize(("role", "app_of"), [("worker", worker), ("sender", sender)])
    async def test_a_report_is_healthy_with_the_rights_of_its_role(
        self, cloud, role, app_of, provisioning
    ):
        arn = cloud.local.create_key("alias/clock").arn
        options = {"enable_encryption": True, "kms_key_id": arn}
        async with worker(cloud, **options):
            pass
        app = app_of(cloud, provisioning=provisioning, **options)
        rights = app.transport.permissions(app.name, account="000000000000", role=role)
        cloud.local.restrict(rights.documents(), access_key="test")

        async with app:
            for _ in range(2):
                status, entries = await look(app)
                assert status is HEALTHY, entries
            assert [each for each in entries.values() if "denied" in each.detail] == []
            assert entries["kms"].detail.startswith("it can encrypt")

    async def test_a_queue_that_may_not_be_looked_at_is_not_red(self, cloud):
        async with sender(cloud) as app:
            cloud.local.refuse("GetQueueAttributes", "AccessDeniedException", times=2)
            status, entries = await look(app)

        assert status is DEGRADED
        assert (
            entries["queue tocks"].detail
            == "it could not be looked at: GetQueueAttributes is denied"
        )
        assert entries["sqs"].status is HEALTHY

    async def test_credentials_that_are_refused_are_red(self, cloud):
        async with sender(cloud) as app:
            cloud.local.refuse("GetQueueAttributes", "ExpiredToken", times=20, status=403)
            status, entries = await look(app)

        assert status is UNHEALTHY
        assert entries["sqs"].detail.startswith("AwsCredentialsError")

    async def test_a_listener_whose_queue_is_gone_says_so(self, cloud):
        async with worker(cloud) as app:
            await cloud.plane.sqs("delete_queue", QueueUrl=await cloud.url("tocks"))
            async with asyncio.timeout(10):
                while (entry := (await look(app))[1]["listener tocks"]).status is HEALTHY:  # noqa: ASYNC110 - the listener notices by itself
                    await asyncio.sleep(0.05)

        assert entry.status is UNHEALTHY
        assert entry.detail.startswith("somebody has to mend it")

    async def test_a_handler_that_never_returns_degrades_and_a_quiet_queue_does_not(self, cloud):
        begun, going_on = asyncio.Event(), asyncio.Event()

        class Stuck(Ticking):
            @handles
            async def tock(self, entity: Clockwork | None, command: Tock) -> Clockwork:
                begun.set()
                await going_on.wait()
                return Clockwork(id=command.id)

        app = App(
            [Stuck, Listening],
            name="clock",
            health=HealthOptions(handling_degraded=timedelta(milliseconds=50)),
        ).use(AwsTransport(cloud.options(**SHORT), worker_bus, credentials=cloud.credentials))
        async with app:
            await app.send(Tock(id="t-1"))
            await begun.wait()
            await asyncio.sleep(0.1)  # it has been handled for longer than that
            status, entries = await look(app)
            assert (status, entries["listener tocks"].status) == (DEGRADED, DEGRADED)
            assert entries["listener ticks.fifo"].status is HEALTHY

            going_on.set()
            await app.drained()
            assert (await look(app))[0] is HEALTHY

    async def test_an_open_circuit_degrades_and_all_open_ones_are_red(self, cloud):
        async with worker(cloud) as app:
            circuits = list(app._transport.circuits.values())
            circuits[0].trip()
            status, entries = await look(app)
            assert (status, entries["circuits"].status) == (DEGRADED, DEGRADED)
            assert entries["circuits"].detail.startswith("sending is suspended: ")

            for circuit in circuits:
                circuit.trip()
            assert (await look(app))[0] is UNHEALTHY

            for circuit in circuits:
                circuit.reset()
            assert (await look(app))[0] is HEALTHY

    async def test_an_aws_that_hangs_costs_two_seconds_and_is_green_again(self, cloud):
        cloud.local.create_key("alias/clock")
        async with DatabaseGate(cloud.endpoint_url) as gate:
            behind = {"endpoint_url": gate.url, "kms_key_id": "alias/clock"}
            async with worker(cloud, enable_encryption=True, **behind) as app:
                assert (await look(app))[0] is HEALTHY

                await gate.hang()
                begun = time.monotonic()
                status, entries = await look(app)
                took = time.monotonic() - begun
                await gate.open()

                assert 2 <= took < 8
                assert status is UNHEALTHY
                for name in ("sqs", "sns", "kms", "queue tocks", "topic strikes"):
                    assert entries[name].status is UNHEALTHY, name
                assert entries["outbox"].status is HEALTHY
                async with asyncio.timeout(10):
                    while (await look(app))[0] is not HEALTHY:
                        pass

    async def test_an_aws_that_refuses_connections_is_red_at_once(self, cloud):
        async with (
            DatabaseGate(cloud.endpoint_url) as gate,
            sender(cloud, endpoint_url=gate.url) as app,
        ):
            await gate.refuse()
            begun = time.monotonic()
            status, entries = await look(app)
            took = time.monotonic() - begun
            await gate.open()

            assert took < 8
            assert status is UNHEALTHY
            assert entries["sqs"].status is UNHEALTHY
            assert (await look(app))[0] is HEALTHY

    async def test_a_key_service_without_dry_runs_is_probed_once_a_minute(self, cloud):
        class Keys(LocalKeyProvider):
            made = 0

            async def generate(self, context):
                Keys.made += 1
                return await super().generate(context)

        async with worker(cloud, enable_encryption=True, keys=Keys()) as app:
            for _ in range(3):
                status, entries = await look(app)
                assert (status, entries["keys"].status) == (HEALTHY, HEALTHY)

        assert Keys.made == 1

    async def test_the_dry_runs_of_kms_make_one_key_for_many_reports(self, cloud, monkeypatch):
        cloud.local.create_key("alias/clock")
        async with worker(cloud, enable_encryption=True, kms_key_id="alias/clock") as app:
            made = count_real_keys(cloud.local, monkeypatch)
            for _ in range(5):
                assert (await look(app))[0] is HEALTHY

        assert len(made) == 1

    async def test_an_alias_that_leads_to_another_key_while_the_old_one_ends_is_healthy(
        self, cloud
    ):
        old = cloud.local.create_key("alias/clock")
        async with worker(cloud, enable_encryption=True, kms_key_id="alias/clock") as app:
            assert (await look(app))[0] is HEALTHY
            cloud.local.create_key("alias/clock")
            old.disable()

            assert (await look(app))[0] is HEALTHY


def count_real_keys(local, monkeypatch):
    """Return what notes each data key that is really made."""
    made = []
    call = local._call_json

    async def counting(service, operation, body, *more):
        if operation == "GenerateDataKey" and not json.loads(body).get("DryRun"):
            made.append(operation)
        return await call(service, operation, body, *more)

    monkeypatch.setattr(local, "_call_json", counting)
    return made
