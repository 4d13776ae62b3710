from __future__ import annotations

import asyncio
import threading
from typing import NamedTuple

import pytest

from sourceflow.errors import AwsCredentialsError, MissingExtraError
from sourceflow.transports.aws.client import ChainCredentials, Credentials, StaticCredentials
from sourceflow.transports.aws.client import credentials as module


class Frozen(NamedTuple):
    access_key: str
    secret_key: str
    token: str | None


class Source:
    """Temporary credentials as botocore has them, with as much time left as the test says."""

    def __init__(self, key="FIRST", *, seconds_left=3600):
        self.key = key
        self.seconds_left = seconds_left
        self.asked = 0
        self.failure = None
        self.gate = None

    def refresh_needed(self, refresh_in):
        return self.seconds_left < refresh_in

    def get_frozen_credentials(self):
        self.asked += 1
        if self.gate is not None:
            self.gate.wait(5)
        if self.failure is not None:
            raise self.failure
        return Frozen(self.key, "secret", "token")


class Session:
    def __init__(self, source):
        self.source = source
        self.opened = 0

    def get_credentials(self):
        return self.source


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def session(source, monkeypatch):
    session = Session(source)

    def open_session(profile):
        session.opened += 1
        session.profile = profile
        return session

    monkeypatch.setattr(module, "new_session", open_session)
    return session


@pytest.fixture
def chain(session, clock):
    return ChainCredentials(clock=clock)


def test_secrets_are_not_shown():
    shown = repr(Credentials("AKID", "hush", "hush-token"))
    assert "AKID" in shown
    assert "hush" not in shown


async def test_static_credentials_stay_what_they_are():
    static = StaticCredentials("AKID", "secret")
    credentials = await static.get()
    assert credentials == Credentials("AKID", "secret")
    assert await static.refresh(credentials) is credentials


async def test_credentials_are_looked_up_once(chain, session, source):
    first = await chain.get()
    assert first == Credentials("FIRST", "secret", "token")
    assert await chain.get() is first
    assert (session.opened, source.asked) == (1, 1)


async def test_the_profile_is_handed_on(session):
    await ChainCredentials(profile="shop").get()
    assert session.profile == "shop"


async def test_callers_that_start_together_share_one_look_up(chain, session):
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(chain.get()) for _ in range(5)]
    assert len({id(task.result()) for task in tasks}) == 1
    assert session.opened == 1


async def test_missing_credentials_are_an_error_that_says_what_to_do(chain, session):
    session.source = None
    with pytest.raises(AwsCredentialsError, match="AWS_PROFILE") as caught:
        await chain.get()
    assert caught.value.code == "NoCredentials"


async def test_credentials_without_a_secret_are_missing(chain, source):
    source.key = ""
    with pytest.raises(AwsCredentialsError, match="AWS_PROFILE"):
        await chain.get()


async def test_after_a_failure_they_are_looked_up_again(chain, session, source):
    session.source = None
    with pytest.raises(AwsCredentialsError):
        await chain.get()
    session.source = source
    assert (await chain.get()).access_key == "FIRST"


async def test_callers_that_wait_share_a_failure_too(chain, session, source):
    source.failure = OSError("the metadata service does not answer")
    results = await asyncio.gather(*(chain.get() for _ in range(3)), return_exceptions=True)
    assert [str(result) for result in results] == [
        "OSError: the metadata service does not answer"
    ] * 3
    assert session.opened == 1


async def test_with_time_left_nothing_is_renewed(chain, source, clock):
    await chain.get()
    source.seconds_left = 15 * 60
    clock.pass_by(2)
    await chain.get()
    assert source.asked == 1


async def test_the_time_left_is_not_looked_at_for_each_request(chain, source):
    await chain.get()
    source.seconds_left = 30
    await chain.get()
    assert source.asked == 1


async def test_credentials_that_never_expire_are_not_renewed(chain, session, clock):
    class Forever:
        asked = 0

        def get_frozen_credentials(self):
            self.asked += 1
            return Frozen("AKID", "secret", None)

    session.source = Forever()
    await chain.get()
    clock.pass_by(10_000)
    assert (await chain.get()).token is None
    assert session.source.asked == 1


async def test_they_are_renewed_ahead_of_expiry(chain, source, clock):
    await chain.get()
    source.seconds_left, source.key = 14 * 60, "SECOND"
    clock.pass_by(2)
    assert (await chain.get()).access_key == "SECOND"


async def test_a_renewal_that_brings_the_same_keeps_the_object(chain, source, clock):
    first = await chain.get()
    source.seconds_left = 14 * 60
    clock.pass_by(2)
    assert await chain.get() is first
    assert source.asked == 2


async def test_sessions_of_a_few_minutes_are_not_renewed_for_each_request(chain, source, clock):
    await chain.get()
    source.seconds_left = 10 * 60
    for _ in range(60):
        clock.pass_by(1)
        await chain.get()
    assert source.asked == 2


async def test_while_one_renews_ahead_the_others_go_on_with_what_they_have(chain, source, clock):
    first = await chain.get()
    source.seconds_left, source.key, source.gate = 14 * 60, "SECOND", threading.Event()
    clock.pass_by(2)
    renewing = asyncio.create_task(chain.get())
    await asyncio.sleep(0)
    assert await chain.get() is first
    source.gate.set()
    assert (await renewing).access_key == "SECOND"


async def test_in_the_last_minute_all_wait_for_one_renewal(chain, source, clock):
    await chain.get()
    source.seconds_left, source.key, source.gate = 30, "SECOND", threading.Event()
    clock.pass_by(2)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(chain.get()) for _ in range(4)]
        await asyncio.sleep(0)
        source.gate.set()
    assert {task.result().access_key for task in tasks} == {"SECOND"}
    assert source.asked == 2


async def test_a_renewal_that_fails_ahead_of_expiry_is_a_warning_and_tried_again_later(
    chain, source, clock, caplog
):
    first = await chain.get()
    source.seconds_left, source.failure = 14 * 60, RuntimeError("STS is away")
    clock.pass_by(2)
    assert await chain.get() is first
    assert "STS is away" in caplog.text
    clock.pass_by(59)
    assert await chain.get() is first
    assert source.asked == 2
    source.failure, source.key = None, "SECOND"
    clock.pass_by(2)
    assert (await chain.get()).access_key == "SECOND"


async def test_a_renewal_that_fails_in_the_last_minute_is_an_error(chain, source, clock):
    await chain.get()
    source.seconds_left, source.failure = 30, RuntimeError("STS is away")
    clock.pass_by(2)
    with pytest.raises(AwsCredentialsError, match="STS is away"):
        await chain.get()


async def test_refused_credentials_are_resolved_from_scratch(chain, session):
    refused = await chain.get()
    session.source = Source("OTHER")
    assert (await chain.refresh(refused)).access_key == "OTHER"
    assert (await chain.get()).access_key == "OTHER"
    assert session.opened == 2


async def test_credentials_that_were_replaced_meanwhile_are_not_resolved_again(chain, session):
    refused = await chain.get()
    session.source = Source("OTHER")
    current = await chain.refresh(refused)
    assert await chain.refresh(refused) is current
    assert session.opened == 2


async def test_a_refresh_may_come_first(chain):
    assert (await chain.refresh(Credentials("X", "y"))).access_key == "FIRST"


async def test_a_cancelled_look_up_leaves_the_next_caller_to_do_it(chain, source):
    source.gate = threading.Event()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await chain.get()
    source.gate.set()
    assert (await chain.get()).access_key == "FIRST"


async def test_without_botocore_the_error_names_the_extra(chain, monkeypatch):
    def missing(profile):
        raise MissingExtraError("aws", "botocore")

    monkeypatch.setattr(module, "new_session", missing)
    with pytest.raises(MissingExtraError):
        await chain.get()


async def test_the_chain_of_botocore_is_asked(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "credentials").write_text(
        "[shop]\naws_access_key_id = A\naws_secret_access_key = B\n"
    )
    chain = ChainCredentials(profile="shop")
    refused = await chain.get()
    assert refused == Credentials("A", "B")
    (tmp_path / "credentials").write_text(
        "[shop]\naws_access_key_id = C\naws_secret_access_key = D\n"
    )
    assert await chain.refresh(refused) == Credentials("C", "D")
