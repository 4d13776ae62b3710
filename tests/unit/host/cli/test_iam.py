"""``sourceflow iam`` as it is called before a deployment."""

from __future__ import annotations

import asyncio
import json
import sys
import threading

import pytest
import typer
from typer.testing import CliRunner

from sourceflow.host.cli.iam import iam
from sourceflow.testing import LocalAws
from sourceflow.testing.local_aws.policy import check_identity_policy

ACCOUNT = "123456789012"
SERVICE = """
import os

from sourceflow import App, Command, Key, Saga, handles
from sourceflow.transports.aws import AwsOptions, AwsTransport


class Pay(Command):
    id: Key[str]


class Lost(Command):
    id: Key[str]


class Payments(Saga[None]):
    @handles
    def pay(self, command: Pay) -> None:
        pass


def using(configure, **options):
    transport = AwsTransport(AwsOptions(region="us-east-1", provisioning="off", **options), configure)
    return App([Payments], name="bank").use(transport)


def both(bus):
    return bus.send.command(Pay, queue="pay.fifo").listen.to.command_queue("pay.fifo")


def many(bus, count=200):
    sections = both(bus)
    for number in range(count):
        command = type(f"Command{number}", (Command,), {"__annotations__": {"id": Key[str]}})
        sections = sections.send.command(command, queue=f"a-queue-with-a-long-name-{number}")
    return sections


app = using(both)
aliased = using(both, enable_encryption=True, kms_key_id="alias/bank")
remote = using(both, endpoint_url=os.environ.get("TEST_ENDPOINT"))
large = using(many)
huge = using(lambda bus: many(bus, 900))
idle = using(lambda bus: bus)
local = App([Payments], name="bank")
broken = App([Payments, Lost], name="bank")
"""


@pytest.fixture(autouse=True)
def service(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    (tmp_path / "bank_service.py").write_text(SERVICE)
    yield
    sys.modules.pop("bank_service", None)


@pytest.fixture
def call():
    program = typer.Typer()
    program.command()(iam)

    def call(name, *arguments, account=ACCOUNT):
        given = () if account is None else ("--account", account)
        return CliRunner().invoke(program, [f"bank_service:{name}", *given, *arguments])

    return call


def test_it_prints_what_iam_takes(call):
    done = call("app")
    assert (done.exit_code, done.stderr) == (0, "")
    check_identity_policy(done.stdout)
    document = json.loads(done.stdout)
    assert document["Version"] == "2012-10-17"
    names = {arn for each in document["Statement"] for arn in each["Resource"]}
    queue = f"arn:aws:sqs:us-east-1:{ACCOUNT}:pay"
    assert names == {f"{queue}.fifo", f"{queue}-dlq.fifo"}


def test_mode_role_and_region_are_those_that_are_given(call):
    done = call("app", "--mode", "development", "--role", "sender", "--region", "cn-north-1")
    (statement,) = json.loads(done.stdout)["Statement"]
    assert statement["Resource"] == [f"arn:aws-cn:sqs:cn-north-1:{ACCOUNT}:*"]
    assert statement["Action"] == ["sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:SendMessage"]


def test_what_a_reader_should_know_is_told_beside_the_policy(call):
    done = call("aliased")
    json.loads(done.stdout)
    assert done.stderr.startswith("note: alias/bank: an alias may lead to any key")


def test_policies_of_resources_are_printed_by_their_arns(call):
    key = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1"
    done = call("aliased", "--resource-policies", "--sse-key", key)
    found = json.loads(done.stdout)
    assert found["queues"] == {}
    assert list(found["keys"]) == ["alias/bank", key]
    assert key in call("app", "--sse-key", key).stdout


def test_what_is_too_large_for_one_policy_is_written_into_files(call, tmp_path):
    refused = call("large", "--role", "worker")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "policies, as one may have 6,144 characters: give --output" in refused.stderr

    done = call("large", "--role", "worker", "--output", "policies")
    assert done.exit_code == 0
    paths = [tmp_path / line for line in done.stdout.splitlines()]
    assert sorted(paths) == sorted((tmp_path / "policies").iterdir())
    assert paths[0].name == "bank-worker-1.json"
    for path in paths:
        check_identity_policy(path.read_text())

    assert done.stderr == "", "a role takes as many"
    assert call("app", "--output", "policies").stdout == "policies/bank-all.json\n"


def test_more_policies_than_a_role_takes_are_told(call):
    done = call("huge", "--role", "worker", "--output", "policies")
    assert done.exit_code == 0
    count = len(done.stdout.splitlines())
    assert count > 10
    assert done.stderr.startswith(f"note: these are {count} policies, and a role takes 10 ")


@pytest.mark.parametrize(
    ("name", "arguments", "account", "problem"),
    [
        ("app", (), "12", "'12' is no id of an AWS account: it has twelve digits"),
        ("app", ("--region", "Frankfurt"), ACCOUNT, "region 'Frankfurt' is not the name of one"),
        ("app", ("--role", "admin"), ACCOUNT, "admin"),
        ("app", ("--sse-key", "alias/q"), ACCOUNT, "the key 'alias/q' is not named by its ARN"),
        ("app", (), None, "AWS does not say which account this is"),
        ("local", (), ACCOUNT, "the App 'bank' does not use AWS"),
        ("idle", (), ACCOUNT, "has nothing on AWS for"),
        ("broken", (), ACCOUNT, "Lost"),
        ("missing", (), ACCOUNT, "has no 'missing'"),
    ],
)
def test_a_call_that_is_wrong_is_explained(call, name, arguments, account, problem):
    done = call(name, *arguments, account=account)
    assert done.exit_code == 2
    assert problem in " ".join(done.stderr.split())
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_aws_is_asked_for_the_account_where_none_is_given(call, monkeypatch):
    served, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()
    found = {}

    async def serve():
        async with LocalAws(account_id=ACCOUNT) as aws:
            found["url"] = aws.endpoint_url
            served.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert served.wait(10)
        monkeypatch.setenv("TEST_ENDPOINT", found["url"])
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        done = call("remote", account=None)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
    assert done.exit_code == 0, done.stderr
    assert f"arn:aws:sqs:us-east-1:{ACCOUNT}:pay.fifo" in done.stdout
