"""Keys with which SQS and SNS encrypt themselves: who may use them, and how the rest is refused."""

from __future__ import annotations

import json

import pytest

from sourceflow.errors import AwsConfigurationError
from sourceflow.testing import LocalAws
from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.identities import Identity
from sourceflow.testing.local_aws.kms.keys import Keys
from sourceflow.testing.local_aws.sse import RECEIVES, SENDS, Sse
from sourceflow.transports.aws.client import SendEntry

ACCOUNT = "000000000000"
TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:events"
QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:orders"


@pytest.fixture
def keys():
    return Keys(region="us-east-1", account_id=ACCOUNT)


@pytest.fixture
def key(keys):
    return keys.create(0.0)


def policy(*actions, on="*", **more):
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": on, **more}],
    }


def who(*policies):
    return Identity(ACCOUNT, "worker", tuple(map(json.dumps, policies)))


def via(service):
    return {"StringEquals": {"kms:ViaService": f"{service}.us-east-1.amazonaws.com"}}


@pytest.mark.parametrize("service", ["sqs", "sns"])
@pytest.mark.parametrize(
    ("allowed", "sends", "receives"),
    [
        (["kms:GenerateDataKey", "kms:Decrypt"], True, True),
        (["kms:Decrypt"], False, True),
        (["kms:GenerateDataKey"], False, False),
    ],
)
def test_who_sends_makes_data_keys_and_who_receives_decrypts_them(
    keys, key, service, allowed, sends, receives
):
    sse = Sse(keys, region="us-east-1")
    for actions, may in ((SENDS, sends), (RECEIVES, receives)):
        identity = who(policy(*allowed, on=key.arn, Condition=via(service)))
        if may:
            sse.use(identity, service, key.id, actions)
            assert identity.used == {(f"kms:{each}", key.arn) for each in actions}
            continue
        with pytest.raises(AwsFault, match="not authorized to perform: kms:") as raised:
            sse.use(identity, service, key.id, actions)
        assert raised.value.code == {"sqs": "KMS.AccessDeniedException"}.get(
            service, "KMSAccessDenied"
        )


def test_a_right_through_one_service_is_none_through_the_other(keys, key):
    sse = Sse(keys, region="us-east-1")
    identity = who(policy("kms:*", Condition=via("sns")))
    sse.use(identity, "sns", key.arn, SENDS)
    with pytest.raises(AwsFault, match="not authorized"):
        sse.use(identity, "sqs", key.arn, SENDS)


@pytest.mark.parametrize("name", [None, "alias/aws/sqs"])
def test_no_key_and_keys_of_aws_need_no_right(keys, name):
    Sse(keys, region="us-east-1").use(who(), "sqs", name, SENDS)


@pytest.mark.parametrize(
    ("service", "code"), [("sqs", "KMS.NotFoundException"), ("sns", "KMSNotFound")]
)
def test_a_key_that_is_not_there_is_told(keys, service, code):
    with pytest.raises(AwsFault) as raised:
        Sse(keys, region="us-east-1").use(who(policy("*")), service, "alias/gone", SENDS)
    assert raised.value.code == code


def delivering(*actions, source=TOPIC, account=ACCOUNT):
    asked = {
        "ArnEquals": {"aws:SourceArn": source},
        "StringEquals": {"aws:SourceAccount": account},
    }
    principal = {"Service": "sns.amazonaws.com"}
    return policy(*actions, Principal=principal, Condition=asked)


@pytest.mark.parametrize(
    ("document", "delivers"),
    [
        (None, False),
        (delivering("kms:GenerateDataKey", "kms:Decrypt"), True),
        (delivering("kms:GenerateDataKey*", "kms:Decrypt"), True),
        (delivering("kms:Decrypt"), False),
        (delivering("kms:GenerateDataKey"), False),
        (delivering("kms:*", source=f"{TOPIC}2"), False),
        (delivering("kms:*", account="1"), False),
        (policy("kms:*", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"}), False),
    ],
)
def test_a_topic_delivers_where_the_policy_of_the_key_lets_it(keys, key, document, delivers):
    key.policy = document and json.dumps(document)
    sse = Sse(keys, region="us-east-1")
    assert sse.lets_deliver(key.arn, TOPIC) is delivers
    assert sse.lets_deliver(None, TOPIC)
    assert not sse.lets_deliver("alias/aws/sqs", TOPIC), "nobody can write its policy"


async def test_batches_and_moves_use_the_key_of_their_queue(connect):
    aws = LocalAws(credentials={"root": "r", "worker": "w"})
    key = aws.create_key("alias/queues")
    root = connect(aws, http=aws)
    await root.create_queue("orders-dlq", attributes={"KmsMasterKeyId": "alias/queues"})
    redrive = json.dumps({"deadLetterTargetArn": f"{QUEUE}-dlq", "maxReceiveCount": 2})
    url = await root.create_queue("orders", attributes={"RedrivePolicy": redrive})
    dead = await root.get_queue_url("orders-dlq")
    sqs = connect(aws, http=aws, credentials=aws.static_credentials("worker"))

    aws.restrict(policy("sqs:*"), access_key="worker")
    await sqs.send_message_batch(url, [SendEntry(id="1", body="x")])
    assert aws.rights_refused("worker") == frozenset()
    for call, action in (
        (sqs.send_message_batch(dead, [SendEntry(id="1", body="x")]), "kms:GenerateDataKey"),
        (sqs.receive_message(dead), "kms:Decrypt"),
        (sqs.start_message_move_task(f"{QUEUE}-dlq"), "kms:Decrypt"),
    ):
        aws.restrict(policy("sqs:*"), access_key="worker")
        with pytest.raises(AwsConfigurationError, match=r"KMS\.AccessDeniedException"):
            await call
        assert aws.rights_refused("worker") == {(action, key.arn)}
    aws.restrict([policy("sqs:*"), policy("kms:*", on=key.arn)], access_key="worker")
    await sqs.send_message_batch(dead, [SendEntry(id="1", body="x")])
    assert len(await sqs.receive_message(dead)) == 1
