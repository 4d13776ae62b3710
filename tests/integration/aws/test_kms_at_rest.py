"""``encrypt_at_rest`` with keys of AWS KMS: over LocalAws and LocalStack, from end to end."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from databases import own_database
from pause_watch import PauseWatch
from raw_rows import files_with, tables_with
from sourceflow.errors import AwsKeyError, DependencyError
from sourceflow.testing import LocalAws
from sourceflow.transports.aws import AwsOptions, ListenerState
from sourceflow.transports.aws.client import StaticCredentials
from ticks import Clockwork, Tick, Ticking, TickViews, tick_app, ticking

LONG = 60


@pytest.fixture
def watch():
    return PauseWatch()


@pytest.fixture
async def database(tmp_path):
    async with own_database("sqlite", tmp_path) as database:
        yield database


@asynccontextmanager
async def ticker(cloud, database, *, watch=None, **options):
    """The wire is in clear: one option has nothing to do with the other."""
    app, transport = tick_app(
        # No long polls: one that is cut off at the end of an App takes what comes for the next one.
        cloud.options(wait_time=timedelta(0), **{"encrypt_at_rest": True, **options}),
        ticking,
        credentials=cloud.credentials,
        components=[Ticking, TickViews],
        observer=watch,
        stores=database.stores(),
    )
    async with app:
        yield app, transport


async def test_stores_are_encrypted_by_a_key_of_kms(cloud, kms, database, watch):
    arn = await kms.key()
    async with ticker(cloud, database, watch=watch, kms_key_id=arn) as (app, transport):
        assert transport.describe()["encrypts_at_rest"]
        assert transport.describe()["encrypts"] == []
        await app.send(Tick(id="t-1"))
        await app.drained(timeout=LONG)
        assert await app.get(Clockwork, "t-1")
        # What only documents say, and no column does.
        assert await tables_with(database, '"attempt"') == set()
        assert files_with(database, '"attempt"') == []
        assert files_with(database, '"specversion"') == []
    async with ticker(cloud, database, encrypt_at_rest=False, kms_key_id=arn) as (app, _):
        assert (await app.replay(Clockwork, "t-1")).commands == 1
        assert "streams" in await tables_with(database, '"attempt"')
    assert watch.has_none


async def test_while_the_key_of_the_stores_is_disabled_the_listener_waits(
    cloud, kms, database, watch
):
    arn = await kms.key()
    async with ticker(cloud, database, kms_key_id=arn) as (app, _):
        await app.send(Tick(id="before"))
        await app.drained(timeout=LONG)
    await kms.call("disable_key", KeyId=arn)
    async with ticker(cloud, database, watch=watch, kms_key_id=arn) as (app, transport):
        await app.send_many([Tick(id=str(number)) for number in range(20)])
        await watch.paused_twice()
        assert transport.listeners[0].state is ListenerState.PAUSED
        assert isinstance(transport.listeners[0].error, AwsKeyError)
        with pytest.raises(DependencyError):
            await app.get(Clockwork, "before")

        await kms.call("enable_key", KeyId=arn)
        await app.drained(timeout=LONG)
        assert all([await app.find(Clockwork, str(number)) for number in range(20)])
        assert await app.get(Clockwork, "before")
    assert watch.has_none


async def test_an_alias_may_move_and_what_was_kept_before_is_still_read(cloud, kms, database):
    before, after = await kms.key(), await kms.key()
    alias = await kms.alias(before)
    async with ticker(cloud, database, kms_key_id=alias) as (app, _):
        await app.send(Tick(id="t-1"))
        await app.drained(timeout=LONG)
    await kms.call("update_alias", AliasName=alias, TargetKeyId=after.rpartition("/")[2])
    async with ticker(cloud, database, kms_key_id=alias, decrypt_key_ids=(before,)) as (app, _):
        await app.send(Tick(id="t-1"))
        await app.drained(timeout=LONG)
        assert (await app.replay(Clockwork, "t-1")).commands == 2


@pytest.mark.parametrize("name", ["alias", "arn"])
async def test_the_policy_of_a_worker_is_what_it_needs_for_its_stores(database, name):
    async with LocalAws(credentials=dict.fromkeys(("root", "worker"), "secret")) as aws:
        made = aws.create_key("alias/ticks")
        key = made.arn if name == "arn" else "alias/ticks"

        def ticker_of(who, **options):
            return tick_app(
                AwsOptions(
                    region="us-east-1",
                    endpoint_url=aws.endpoint_url,
                    wait_time=timedelta(0),
                    encrypt_at_rest=True,
                    kms_key_id=key,
                    **options,
                ),
                ticking,
                credentials=StaticCredentials(who, "secret"),
                components=[Ticking, TickViews],
                stores=database.stores(),
            )

        async with ticker_of("root")[0]:
            """It makes the queues and topics."""
        transport = ticker_of("worker", provisioning="verify")[1]
        policy = transport.permissions("ticker", account="0" * 12, role="worker")
        aws.restrict(policy.documents(), access_key="worker")
        for number in range(2):
            async with ticker_of("worker", provisioning="verify")[0] as app:
                await app.send(Tick(id="t-1"))
                await app.drained(timeout=LONG)
                assert (await app.replay(Clockwork, "t-1")).commands == number + 1
        assert aws.rights_refused("worker") == frozenset()
        used = {action for action, _ in aws.rights_used("worker")}
        asked = {action for each in policy.statements for action in each.actions}
        assert {each for each in asked if each.startswith("kms:")} <= used
