"""Encryption with keys of AWS KMS: over LocalAws and LocalStack, from end to end."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from pause_watch import PauseWatch
from sourceflow.errors import AwsKeyError, DependencyError
from sourceflow.transports.aws import ListenerState
from ticks import Clockwork, Tick, Ticking, tick_app

LONG = 60


def id_of(arn):
    """Return a key's id: LocalStack points aliases at nothing else."""
    return arn.rpartition("/")[2]


@pytest.fixture
def watch():
    return PauseWatch()


@asynccontextmanager
async def ticker(cloud, *, listens, watch=None, **options):
    def configure(bus):
        sending = bus.send.command(Tick, queue="ticks.fifo")
        return sending.listen.to.command_queue("ticks.fifo") if listens else sending

    app, transport = tick_app(
        # No long polls: one that is cut off at the end of an App takes what comes for the next one.
        cloud.options(wait_time=timedelta(0), enable_encryption=True, **options),
        configure,
        credentials=cloud.credentials,
        components=[Ticking] if listens else [],
        observer=watch,
    )
    async with app:
        yield app, transport


async def test_an_alias_may_move_while_messages_are_under_way(cloud, kms, watch):
    before, after = await kms.key(), await kms.key()
    alias = await kms.alias(before)
    async with ticker(cloud, listens=False, kms_key_id=alias) as (app, _):
        await app.send(Tick(id="before"))
    await kms.call("update_alias", AliasName=alias, TargetKeyId=id_of(after))
    async with ticker(
        cloud,
        listens=True,
        watch=watch,
        kms_key_id=alias,
        decrypt_key_ids=(before,),
        require_encryption=True,
    ) as (app, _):
        await app.send(Tick(id="after"))
        await app.drained(timeout=LONG)
        assert await app.get(Clockwork, "before")
        assert await app.get(Clockwork, "after")
    assert watch.has_none


async def test_an_alias_may_move_while_a_receiver_runs(cloud, kms, watch):
    before, after = await kms.key(), await kms.key()
    alias = await kms.alias(before)
    async with ticker(cloud, listens=True, watch=watch, kms_key_id=alias) as (app, _):
        await app.send(Tick(id="before"))
        await app.drained(timeout=LONG)
        await kms.call("update_alias", AliasName=alias, TargetKeyId=id_of(after))
        async with ticker(cloud, listens=False, kms_key_id=alias) as (sender, _):
            await sender.send(Tick(id="after"))
        await app.send(Tick(id="with the old data key"))
        await app.drained(timeout=LONG)
        for key in ("before", "after", "with the old data key"):
            assert await app.get(Clockwork, key)
    assert watch.has_none


async def test_a_key_may_be_rotated_while_messages_are_under_way(cloud, kms, watch):
    arn = await kms.key()
    async with ticker(cloud, listens=False, kms_key_id=arn) as (app, _):
        await app.send(Tick(id="before"))
    await kms.call("rotate_key_on_demand", KeyId=arn)
    async with ticker(
        cloud, listens=True, watch=watch, kms_key_id=arn, require_encryption=True
    ) as (app, _):
        await app.send(Tick(id="after"))
        await app.drained(timeout=LONG)
        assert await app.get(Clockwork, "before")
        assert await app.get(Clockwork, "after")
    assert watch.has_none


async def test_a_key_that_no_option_names_is_not_used(cloud, kms, watch):
    strange, own = await kms.key(), await kms.key()
    async with ticker(cloud, listens=False, kms_key_id=strange) as (app, _):
        await app.send(Tick(id="1"))
    async with ticker(cloud, listens=True, watch=watch, kms_key_id=own) as (app, _):
        letter = await watch.letter()
        assert letter.reason == "DecryptionFailed"
        assert "not one that is allowed" in letter.error
        assert await app.find(Clockwork, "1") is None
    async with ticker(
        cloud, listens=True, kms_key_id=own, decrypt_key_ids=(await kms.alias(strange),)
    ) as (app, transport):
        assert (await transport.dead_letters.redrive("ticks.fifo")).moved == 1
        await app.drained(timeout=LONG)
        assert await app.get(Clockwork, "1")


async def test_while_the_key_is_disabled_the_listener_waits_and_goes_on_by_itself(
    cloud, kms, watch
):
    arn = await kms.key()
    async with ticker(cloud, listens=False, kms_key_id=arn) as (app, _):
        await app.send_many([Tick(id=str(number)) for number in range(20)])
    await kms.call("disable_key", KeyId=arn)
    async with ticker(cloud, listens=True, watch=watch, kms_key_id=arn) as (app, transport):
        await watch.paused_twice()
        assert transport.listeners[0].state is ListenerState.PAUSED
        assert isinstance(transport.listeners[0].error, AwsKeyError)
        with pytest.raises(DependencyError):
            await app.send(Tick(id="refused"))

        await kms.call("enable_key", KeyId=arn)
        await app.drained(timeout=LONG)
        assert all([await app.find(Clockwork, str(number)) for number in range(20)])
    assert watch.has_none
