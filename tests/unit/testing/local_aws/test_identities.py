"""What IAM policies let callers of LocalAws do, and how the rest is refused."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import Session

from sourceflow.errors import AwsConfigurationError, AwsKeyError
from sourceflow.testing import LocalAws
from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.identities import Identity
from sourceflow.transports.aws.client import DeleteEntry, PublishEntry, SendEntry, VisibilityEntry

ACCOUNT = "000000000000"
QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:orders"
DEAD = f"arn:aws:sqs:us-east-1:{ACCOUNT}:orders-dlq"
TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:events"
USER = f"arn:aws:iam::{ACCOUNT}:user/worker"
ONE = [SendEntry(id="1", body="x")]


def allow(*actions, on="*", **more):
    return {"Effect": "Allow", "Action": list(actions), "Resource": on, **more}


def deny(*actions, on="*", **more):
    return {**allow(*actions, on=on, **more), "Effect": "Deny"}


def policy(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def may(policies, action="sqs:SendMessage", resource=QUEUE, *, of_queue=None, **context):
    """Whether somebody with these policies may do something."""
    identity = Identity(ACCOUNT, "worker", tuple(map(json.dumps, policies)))
    document = of_queue and json.dumps(of_queue)
    try:
        identity.check(action, resource, resource_policy=document, context=context)
    except AwsFault:
        assert identity.refused == {(action, resource)}
        return False
    assert identity.used == {(action, resource)}
    return True


@pytest.mark.parametrize(
    "action", ["sqs:SendMessage", "SQS:sendmessage", "sqs:*", "sqs:Send*", "*"]
)
@pytest.mark.parametrize("resource", [QUEUE, "*", QUEUE[:-2] + "*", QUEUE.replace("east", "????")])
def test_what_a_statement_names_is_allowed(action, resource):
    assert may([policy(allow(action, on=resource))])


@pytest.mark.parametrize(
    "statement",
    [
        allow("sqs:ReceiveMessage", on=QUEUE),
        allow("sns:SendMessage", on=QUEUE),
        allow("sqs:SendMessageBatch", on=QUEUE),
        allow("sqs:Send", on=QUEUE),
        allow("sqs:SendMessage", on=DEAD),
        allow("sqs:SendMessage", on=QUEUE.upper()),
    ],
)
def test_what_no_statement_names_is_refused(statement):
    assert not may([policy(statement)])


def test_policies_allow_together_and_a_denial_in_one_wins():
    sends, receives = policy(allow("sqs:SendMessage")), policy(allow("sqs:ReceiveMessage"))
    assert may([sends, receives])
    assert may([receives, sends])
    assert not may([sends, receives, policy(deny("sqs:Send*", on=QUEUE))])


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"StringEquals": {"kms:RequestAlias": "alias/a"}}, True),
        ({"StringEquals": {"kms:RequestAlias": ["alias/b", "alias/a"]}}, True),
        ({"StringEquals": {"kms:RequestAlias": "alias/b"}}, False),
        ({"StringEquals": {"kms:ViaService": "sqs"}}, False),
        ({"StringLike": {"kms:RequestAlias": "alias/*"}}, True),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:*:e*"}}, True),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:e*"}}, False),
        ({"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/two"}}, True),
        ({"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/three"}}, False),
        (
            {
                "StringEquals": {"kms:RequestAlias": "alias/a"},
                "ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/three"},
            },
            False,
        ),
    ],
)
def test_a_statement_counts_where_its_conditions_hold(condition, holds):
    context = {
        "kms:RequestAlias": "alias/a",
        "aws:SourceArn": TOPIC,
        "kms:ResourceAliases": ("alias/one", "alias/two"),
    }
    allowing = [policy(allow("kms:Decrypt", Condition=condition))]
    denying = [policy(allow("kms:Decrypt"), deny("kms:Decrypt", Condition=condition))]
    assert may(allowing, "kms:Decrypt", "k", **context) is holds
    assert may(denying, "kms:Decrypt", "k", **context) is not holds


def test_the_policy_of_a_queue_may_allow_a_user_and_forbids_an_account():
    by_name = allow("sqs:SendMessage", Principal={"AWS": USER})
    by_account = allow("sqs:SendMessage", Principal={"AWS": ACCOUNT})
    assert may([], of_queue=policy(by_name))
    assert may([], of_queue=policy({**by_name, "Principal": "*"}))
    assert not may([], of_queue=policy(by_account)), "an account may only pass rights on"
    everything = policy(allow("sqs:*"))
    assert may([everything], of_queue=policy(by_account))
    for statement in (by_name, by_account):
        assert not may([everything], of_queue=policy({**statement, "Effect": "Deny"}))
    assert not may([policy(deny("sqs:*"))], of_queue=policy(by_name))


def test_the_account_of_the_user_can_be_asked_for():
    for account, holds in ((ACCOUNT, True), ("1", False)):
        asked = {"StringEquals": {"aws:PrincipalAccount": account}}
        assert may([policy(allow("sqs:*", Condition=asked))]) is holds


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("no json", "not valid JSON"),
        ("{}", "no Statement"),
        (policy(), "no Statement"),
        (policy({**allow("sqs:*"), "Principal": "*"}), "no Principal"),
        (policy({"Effect": "Allow", "NotAction": "*", "Resource": "*"}), "NotAction"),
        (policy({"Effect": "Allow", "Action": "*", "NotResource": "*"}), "NotResource"),
        (policy({**allow("*"), "Effect": "Maybe"}), "neither Allow nor Deny"),
        (policy(allow("*", Condition={"IpAddress": {"aws:SourceIp": "::"}})), "IpAddress"),
        (policy(allow("*", on="arn:aws:sqs:::${aws:username}")), "policy variables"),
        (policy({**allow("*"), "Sid": "s" * 6_144}), "longer than 6144 characters"),
    ],
)
def test_a_policy_that_cannot_be_evaluated_is_refused(document, reason):
    with pytest.raises(ValueError, match=reason):
        LocalAws(policy=document)


def test_white_space_does_not_count_for_the_length_of_a_policy():
    LocalAws(policy=json.dumps(policy(allow("sqs:*")), indent=4_000))


def test_a_caller_without_credentials_cannot_be_restricted():
    with pytest.raises(LookupError, match="no credentials 'worker'"):
        LocalAws().restrict(policy(allow("*")), access_key="worker")


@pytest.fixture
async def aws():
    async with LocalAws(credentials={"root": "r", "worker": "w"}) as aws:
        yield aws


@pytest.fixture
def root(aws):
    """botocore's clients of who may do everything."""
    return clients(aws, "root", "r")


def clients(aws, access_key, secret):
    session = Session()
    return {
        service: session.create_client(
            service,
            region_name="us-east-1",
            endpoint_url=aws.endpoint_url,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret,
            config=Config(retries={"max_attempts": 0, "mode": "standard"}),
        )
        for service in ("sqs", "sns", "kms", "sts")
    }


@pytest.fixture
async def local(connect):
    """A LocalAws without sockets, what root has made in it, and the worker's clients."""
    aws = LocalAws(credentials={"root": "r", "worker": "w"})
    sqs, sns = connect(aws, http=aws), connect(aws, "sns", http=aws)
    await sqs.create_queue("orders-dlq")
    redrive = json.dumps({"deadLetterTargetArn": DEAD, "maxReceiveCount": 2})
    await sqs.create_queue("orders", attributes={"RedrivePolicy": redrive})
    aws._sns.call("CreateTopic", {"Name": "events"}, 0.0)
    worker = aws.static_credentials("worker")

    def clients(service):
        return connect(aws, service, http=aws, credentials=worker)

    return aws, sqs, sns, clients


async def test_one_caller_is_restricted_and_others_are_not(local):
    aws, root, _, worker = local
    url = await root.get_queue_url("orders")
    aws.restrict(policy(allow("sqs:SendMessage", on=QUEUE)), access_key="worker")

    assert not (await worker("sqs").send_message_batch(url, ONE)).failed
    with pytest.raises(AwsConfigurationError, match="AccessDenied"):
        await worker("sqs").receive_message(url)
    assert len(await root.receive_message(url)) == 1
    assert aws.rights_used("worker") == {("sqs:SendMessage", QUEUE)}
    assert aws.rights_refused("worker") == {("sqs:ReceiveMessage", QUEUE)}
    assert aws.rights_used() == aws.rights_refused() == frozenset(), "root is not watched"

    aws.restrict(None, access_key="worker")
    await worker("sqs").receive_message(url)
    aws.restrict(policy(deny("*")))
    with pytest.raises(AwsConfigurationError, match="explicit deny"):
        await root.get_queue_url("orders")


async def test_the_policy_of_a_queue_counts_beside_that_of_the_user(local):
    aws, root, _, worker = local
    url = await root.get_queue_url("orders")
    aws.restrict(policy(allow("sqs:SendMessage")), access_key="worker")
    by_name = allow("sqs:ReceiveMessage", on=QUEUE, Principal={"AWS": USER})
    await root.set_queue_attributes(url, {"Policy": json.dumps(policy(by_name))})
    await worker("sqs").receive_message(url)
    no_sends = deny("sqs:SendMessage", on=QUEUE, Principal={"AWS": USER})
    await root.set_queue_attributes(url, {"Policy": json.dumps(policy(no_sends))})
    with pytest.raises(AwsConfigurationError, match="explicit deny in a resource-based policy"):
        await worker("sqs").send_message_batch(url, ONE)


async def test_batches_need_the_right_of_the_single_operation(local):
    aws, root, _, worker = local
    url = await root.get_queue_url("orders")
    actions = ("sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage")
    aws.restrict(
        policy(
            allow(*actions, "sqs:ChangeMessageVisibility", on=QUEUE), allow("sns:Publish", on=TOPIC)
        ),
        access_key="worker",
    )
    sqs = worker("sqs")
    await sqs.send_message_batch(url, ONE)
    (message,) = await sqs.receive_message(url)
    shown = VisibilityEntry("1", message.receipt_handle, timedelta(0))
    await sqs.change_message_visibility_batch(url, [shown])
    await sqs.delete_message_batch(url, [DeleteEntry("1", message.receipt_handle)])
    await worker("sns").publish_batch(TOPIC, [PublishEntry(id="1", body="x")])


@pytest.mark.parametrize(
    "missing",
    [
        ("sqs:StartMessageMoveTask", DEAD),
        ("sqs:ReceiveMessage", DEAD),
        ("sqs:DeleteMessage", DEAD),
        ("sqs:GetQueueAttributes", DEAD),
        ("sqs:SendMessage", QUEUE),
    ],
)
@pytest.mark.parametrize("destination", [QUEUE, None])
async def test_a_move_of_dead_letters_needs_several_rights(local, missing, destination):
    aws, _, _, worker = local
    taking = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
    moving = ("StartMessageMoveTask", "ListMessageMoveTasks", "CancelMessageMoveTask")
    all_of_it = [
        allow(*taking, *(f"sqs:{each}" for each in moving), on=DEAD),
        allow("sqs:SendMessage", on=QUEUE),
    ]
    aws.restrict(policy(*all_of_it), access_key="worker")
    handle = await worker("sqs").start_message_move_task(DEAD, destination_arn=destination)
    await worker("sqs").list_message_move_tasks(DEAD)
    assert handle

    action, arn = missing
    aws.restrict(policy(*all_of_it, deny(action, on=arn)), access_key="worker")
    with pytest.raises(AwsConfigurationError, match="not authorized"):
        await worker("sqs").start_message_move_task(DEAD, destination_arn=destination)
    assert aws.rights_refused("worker") == {missing}


async def test_a_context_and_an_alias_can_be_asked_for(local):
    aws, _, _, worker = local
    key, other = aws.create_key("alias/orders"), aws.create_key("alias/others")
    anything = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/*"
    by_alias = {"kms:RequestAlias": "alias/orders", "kms:EncryptionContext:source": "/orders"}
    aliases = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/orders"}}
    aws.restrict(
        policy(
            allow("kms:GenerateDataKey", on=anything, Condition={"StringEquals": by_alias}),
            allow("kms:Decrypt", on=anything, Condition=aliases),
        ),
        access_key="worker",
    )
    kms = worker("kms")
    ours = {"source": "/orders"}
    for name in ("alias/orders", f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/orders"):
        made = await kms.generate_data_key(name, context=ours)
        await kms.decrypt(made.ciphertext, key_id=key.arn, context=ours)
    for name, context in ((key.arn, ours), ("alias/others", ours), ("alias/orders", {})):
        with pytest.raises(AwsKeyError, match="kms:GenerateDataKey on resource: arn:aws:kms"):
            await kms.generate_data_key(name, context=context)
    with pytest.raises(AwsKeyError, match="kms:Decrypt"):
        await kms.decrypt(other.encrypt(b"x", {}), key_id=other.arn, context={})


async def test_the_policy_of_a_key_must_let_the_account_decide_or_name_the_user(local):
    aws, _, _, worker = local
    key = aws.create_key()
    aws.restrict(policy(allow("kms:*")), access_key="worker")
    kms = worker("kms")

    key.policy = json.dumps(policy(allow("kms:*", Principal={"AWS": f"{USER}2"})))
    with pytest.raises(AwsKeyError, match="because no resource-based policy allows"):
        await kms.describe_key(key.arn)
    key.policy = json.dumps(policy(allow("kms:*", Principal={"AWS": ACCOUNT})))
    await kms.describe_key(key.arn)
    aws.restrict(policy(allow("sqs:*")), access_key="worker")
    with pytest.raises(AwsKeyError, match="because no identity-based policy allows"):
        await kms.describe_key(key.arn)
    key.policy = json.dumps(policy(allow("kms:*", Principal={"AWS": USER})))
    await kms.describe_key(key.arn)


def words(call, **parameters):
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    answer = caught.value.response
    error, status = answer["Error"], answer["ResponseMetadata"]["HTTPStatusCode"]
    return status, error["Code"], error["Message"]


async def test_each_service_refuses_in_its_own_words(aws, root):
    """As AWS answers to botocore: SQS in lower case, SNS with its name in upper case."""

    def run():
        url = root["sqs"].create_queue(QueueName="orders")["QueueUrl"]
        root["sns"].create_topic(Name="events")
        key = root["kms"].create_key()["KeyMetadata"]["Arn"]
        aws.restrict(policy(allow("sqs:TagQueue")), access_key="worker")
        worker = clients(aws, "worker", "w")
        who = f"User: {USER} is not authorized to perform: "
        reason = "because no identity-based policy allows the"
        assert words(worker["sqs"].send_message, QueueUrl=url, MessageBody="x") == (
            403,
            "AccessDenied",
            f"{who}sqs:sendmessage on resource: {QUEUE} {reason} sqs:sendmessage action",
        )
        assert words(worker["sns"].publish, TopicArn=TOPIC, Message="x") == (
            403,
            "AuthorizationError",
            f"{who}SNS:Publish on resource: {TOPIC} {reason} SNS:Publish action",
        )
        assert words(worker["kms"].generate_data_key, KeyId=key, KeySpec="AES_256") == (
            400,
            "AccessDeniedException",
            f"{who}kms:GenerateDataKey on resource: {key} {reason} kms:GenerateDataKey action",
        )
        return worker["sts"].get_caller_identity()

    found = await asyncio.to_thread(run)
    assert found["Arn"] == USER, "nobody needs a right to ask who they are"


async def test_the_resource_of_each_operation_is_that_of_aws(aws, root):
    def run():
        url = root["sqs"].create_queue(QueueName="orders")["QueueUrl"]
        root["sns"].create_topic(Name="events")
        subscription = root["sns"].subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE)
        arn = subscription["SubscriptionArn"]
        root["kms"].create_alias(
            AliasName="alias/a", TargetKeyId=root["kms"].create_key()["KeyMetadata"]["KeyId"]
        )
        aws.restrict(policy(allow("sts:*")), access_key="worker")
        sqs, sns, kms, _ = clients(aws, "worker", "w").values()
        for call, parameters in (
            (sqs.list_queues, {}),
            (sqs.create_queue, {"QueueName": "other"}),
            (sqs.get_queue_url, {"QueueName": "missing"}),
            (sqs.get_queue_attributes, {"QueueUrl": url}),
            (sns.list_topics, {}),
            (sns.create_topic, {"Name": "other"}),
            (sns.list_subscriptions_by_topic, {"TopicArn": TOPIC}),
            (sns.get_subscription_attributes, {"SubscriptionArn": arn}),
            (sns.unsubscribe, {"SubscriptionArn": arn}),
            (kms.list_aliases, {}),
            (kms.delete_alias, {"AliasName": "alias/a"}),
        ):
            words(call, **parameters)

    await asyncio.to_thread(run)
    assert aws.rights_refused("worker") == {
        ("sqs:ListQueues", f"arn:aws:sqs:us-east-1:{ACCOUNT}:"),
        ("sqs:CreateQueue", f"arn:aws:sqs:us-east-1:{ACCOUNT}:other"),
        ("sqs:GetQueueUrl", f"arn:aws:sqs:us-east-1:{ACCOUNT}:missing"),
        ("sqs:GetQueueAttributes", QUEUE),
        ("sns:ListTopics", f"arn:aws:sns:us-east-1:{ACCOUNT}:*"),
        ("sns:CreateTopic", f"arn:aws:sns:us-east-1:{ACCOUNT}:other"),
        ("sns:ListSubscriptionsByTopic", TOPIC),
        ("sns:GetSubscriptionAttributes", TOPIC),
        ("sns:Unsubscribe", TOPIC),
        ("kms:ListAliases", "*"),
        ("kms:DeleteAlias", f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/a"),
    }


async def test_an_alias_needs_a_right_to_itself_and_to_its_key(local):
    aws, _, _, worker = local
    key = aws.create_key()
    alias = f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/new"
    for only, missing in ((key.arn, alias), (alias, key.arn)):
        aws.restrict(policy(allow("kms:CreateAlias", on=only)), access_key="worker")
        with pytest.raises(AwsKeyError, match=f"kms:CreateAlias on resource: {missing}"):
            await worker("kms")._call(
                "CreateAlias",
                json.dumps({"AliasName": "alias/new", "TargetKeyId": key.id}).encode(),
            )


async def test_tags_need_a_right_of_their_own(aws, root):
    def run():
        aws.restrict(policy(allow("sqs:CreateQueue", "sns:CreateTopic")), access_key="worker")
        sqs, sns, *_ = clients(aws, "worker", "w").values()
        words(sqs.create_queue, QueueName="orders", tags={"team": "shop"})
        words(sns.create_topic, Name="events", Tags=[{"Key": "team", "Value": "shop"}])
        sqs.create_queue(QueueName="orders")
        sns.create_topic(Name="events")

    await asyncio.to_thread(run)
    assert aws.rights_refused("worker") == {("sqs:TagQueue", QUEUE), ("sns:TagResource", TOPIC)}
