"""Each role does its work with the rights of its own policy, and with none of them less."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from duties import APP, ROLES, Duties
from sourceflow.demo import program
from sourceflow.demo.order_file import sample_orders
from sourceflow.demo.orders import topology
from sourceflow.host import engine
from sourceflow.stores.sql import SqlStores
from sourceflow.testing import LocalAws
from sourceflow.transports.aws import AwsOptions, AwsTransport
from sourceflow.transports.aws.dead_letters import move_task, visit

ACCOUNT = "000000000000"
LONG = 60.0
SHORT = 2.0
ALIAS = "alias/orders"


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch):
    monkeypatch.setattr(move_task, "LEAST", 1)  # few letters are many
    monkeypatch.setattr(move_task, "LOOK", 0.05)
    monkeypatch.setattr(visit, "WAIT", timedelta(0))  # LocalAws asks all its servers anyway


@asynccontextmanager
async def at_work(*, patience=LONG, key=ALIAS, **more):
    """A LocalAws with a key, and who works there."""
    async with LocalAws(credentials=dict.fromkeys(("root", *ROLES), "secret")) as aws:
        made = aws.create_key(ALIAS)
        name = made.arn if key == "arn" else made.id if key == "id" else key
        duties = Duties(aws, patience=patience, enable_encryption=True, kms_key_id=name, **more)
        async with duties:
            yield aws, duties


async def fails(aws, duties, role):
    """Whether a role comes to nothing; from the first refusal on, it has not long to do so.

    Before that it has all the time it needs: a machine that is busy must not be taken for a refusal.
    """
    loop = asyncio.get_running_loop()

    async def hurry(limit):
        while not aws.rights_refused(role):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
        limit.reschedule(loop.time() + SHORT)

    try:
        async with asyncio.timeout(LONG) as limit:
            watch = asyncio.create_task(hurry(limit))
            try:
                await duties.do(role)
            finally:
                watch.cancel()
    except Exception:  # noqa: BLE001 - how it fails is another matter
        return True
    return False


def policies(duties, role, mode="production"):
    return duties.transport.permissions(APP, account=ACCOUNT, role=role, mode=mode)


def pairs(permissions):
    return {
        (action, resource)
        for statement in permissions.statements
        for action in statement.actions
        for resource in statement.resources
    }


@pytest.mark.parametrize("key", [ALIAS, "arn", "id"])
@pytest.mark.parametrize("mode", ["production", "development"])
async def test_every_role_does_its_work_with_its_own_policy(mode, key):
    async with at_work(key=key) as (aws, duties):
        for role in ROLES:
            aws.restrict(policies(duties, role, mode).documents(), access_key=role)
        for role in ROLES:
            await duties.do(role)
            assert aws.rights_refused(role) == frozenset(), role


async def test_no_right_of_a_policy_goes_unused():
    """Action by action and ARN by ARN: what is allowed is what is done, and nothing else."""
    async with at_work(key="arn") as (aws, duties):
        granted = {role: pairs(policies(duties, role)) for role in ROLES}
        for role in ROLES:
            aws.restrict(policies(duties, role).documents(), access_key=role)
        for role in ROLES:
            await duties.do(role)
            assert aws.rights_used(role) == granted[role], role


def without(permissions, action):
    """Return the policies of a role, but for one action."""
    left = [
        replace(each, actions=tuple(name for name in each.actions if name != action))
        for each in permissions.statements
    ]
    return replace(
        permissions, statements=tuple(filter(lambda each: each.actions, left))
    ).documents()


def every_action():
    duties = Duties(LocalAws(), patience=0, enable_encryption=True, kms_key_id=ALIAS)
    return [(role, action) for role in ROLES for action in policies(duties, role).actions]


@pytest.mark.parametrize(("role", "action"), every_action())
async def test_nothing_can_be_taken_from_a_policy(role, action, monkeypatch):
    monkeypatch.setattr(engine, "STOP_GRACE", timedelta(seconds=0.1))
    async with at_work() as (aws, duties):
        await duties.do_as_root(*ROLES[: ROLES.index(role)])
        aws.restrict(without(policies(duties, role), action), access_key=role)
        assert await fails(aws, duties, role)
        assert {name for name, _ in aws.rights_refused(role)} == {action}


@pytest.mark.parametrize("sid", [None, "EncryptStores", "DecryptStores"])
async def test_encrypted_stores_need_the_key_too(sid, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "STOP_GRACE", timedelta(seconds=0.1))
    url = f"sqlite:///{tmp_path / 'store.db'}"
    more = {"key": "arn", "encrypt_at_rest": True, "stores": lambda: SqlStores(url)}
    async with at_work(**more) as (aws, duties):
        await duties.do_as_root("provisioner")
        for role in ("sender", "worker", "operator"):
            found = policies(duties, role)
            left = tuple(each for each in found.statements if each.sid != sid)
            assert (left == found.statements) is (sid is None)
            aws.restrict(replace(found, statements=left).documents(), access_key=role)
        if sid is None:
            for role in ("sender", "worker", "operator"):
                await duties.do(role)
                assert aws.rights_refused(role) == frozenset(), role
            return
        await duties.do_as_root("sender")
        assert await fails(aws, duties, "worker")
        action = "kms:GenerateDataKey" if sid == "EncryptStores" else "kms:Decrypt"
        assert {name for name, _ in aws.rights_refused("worker")} == {action}


@pytest.mark.parametrize("missing", [None, "UseSseKeys", "LetTopicsDeliver"])
async def test_queues_and_topics_that_aws_encrypts_need_their_key_too(missing, monkeypatch):
    monkeypatch.setattr(engine, "STOP_GRACE", timedelta(seconds=0.1))
    patience = SHORT if missing == "LetTopicsDeliver" else LONG  # nobody is refused anything there
    async with at_work(patience=patience, key="arn") as (aws, duties):
        await duties.do_as_root("provisioner")
        sse = aws.create_key()
        await duties.encrypt_by_aws(sse.arn)
        for role in ROLES[1:]:
            found = duties.transport.permissions(
                APP, account=ACCOUNT, role=role, sse_keys=[sse.arn]
            )
            left = tuple(each for each in found.statements if each.sid != missing)
            assert (left == found.statements) is (missing != "UseSseKeys")
            aws.restrict(replace(found, statements=left).documents(), access_key=role)
        policy = found.key_policies[sse.arn]
        statements = [each for each in policy["Statement"] if each["Sid"] != missing]
        sse.policy = json.dumps({**policy, "Statement": statements})

        if missing == "LetTopicsDeliver":
            with pytest.raises(AssertionError, match="nothing has come into orders-events"):
                await duties.do("sender")
            return
        for role in ROLES[1:]:
            if missing is None:
                await duties.do(role)
                assert aws.rights_refused(role) == frozenset(), role
                rights = {("kms:GenerateDataKey", sse.arn), ("kms:Decrypt", sse.arn)}
                assert rights <= aws.rights_used(role)
                continue
            assert await fails(aws, duties, role)
            refused = aws.rights_refused(role)
            assert refused, role
            assert refused <= {("kms:GenerateDataKey", sse.arn), ("kms:Decrypt", sse.arn)}, role
            await duties.do_as_root(role)


async def test_the_whole_demo_runs_with_the_policy_of_one_role(monkeypatch):
    monkeypatch.setattr(program.secrets, "token_hex", lambda _: "0123abcd")
    options = AwsOptions(region=program.REGION, resource_prefix="demo-0123abcd-")
    permissions = AwsTransport(options, topology).permissions("orders", account=ACCOUNT)
    async with LocalAws(policy=permissions.documents()) as aws:
        _, complete = await program.run_demo(sample_orders(), endpoint_url=aws.endpoint_url)
        assert complete
        assert aws.rights_refused() == frozenset()
