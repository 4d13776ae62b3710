"""The client over real sockets, against LocalAws and against LocalStack: both must be understood alike."""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import timedelta

import pytest

from sourceflow.errors import (
    AwsCiphertextError,
    AwsConfigurationError,
    AwsKeyError,
    AwsLeaseLostError,
    AwsRequestError,
)
from sourceflow.testing import LocalAws
from sourceflow.transports.aws.client import (
    AttributeValue,
    DeleteEntry,
    DirectClient,
    KmsClient,
    PublishEntry,
    SendEntry,
    SnsClient,
    SqsClient,
    StaticCredentials,
    VisibilityEntry,
    resolve_endpoint,
)

SECOND = timedelta(seconds=1)


@pytest.fixture(params=["local_aws", pytest.param("localstack", marks=pytest.mark.localstack)])
async def url(request):
    if request.param == "localstack":
        yield request.getfixturevalue("localstack_url")
        return
    async with LocalAws() as aws:
        yield aws.endpoint_url


@pytest.fixture
async def connect(url):
    async with DirectClient() as http:

        async def connect(kind, service):
            endpoint = await resolve_endpoint(service, region="us-east-1", endpoint_url=url)
            return kind(endpoint=endpoint, credentials=StaticCredentials("test", "test"), http=http)

        yield connect


@pytest.fixture
async def sqs(connect):
    return await connect(SqsClient, "sqs")


@pytest.fixture
async def sns(connect):
    return await connect(SnsClient, "sns")


@pytest.fixture
def name():
    return f"client-{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def queue(sqs, name):
    queue = await sqs.create_queue(name)
    yield queue
    await sqs.delete_queue(queue)


@pytest.fixture
async def fifo_queue(sqs, name):
    queue = await sqs.create_queue(f"{name}.fifo", attributes={"FifoQueue": "true"})
    yield queue
    await sqs.delete_queue(queue)


async def test_a_message_arrives_as_it_was_sent(sqs, queue):
    attributes = {
        "type": "OrderCreated",
        "n": AttributeValue("Number", "1"),
        "b": AttributeValue("Binary", binary_value=b"\x00\xff"),
    }
    body = '{"text": "tab\t, é, \U0001f600, <&>, \\"quoted\\""}'
    sent = await sqs.send_message_batch(
        queue, [SendEntry(id="1", body=body, attributes=attributes)]
    )
    (message,) = await sqs.receive_message(queue, wait_time=2 * SECOND)
    assert message.body == body
    assert message.message_id == sent.successful[0].message_id
    assert message.attributes == {**attributes, "type": AttributeValue("String", "OrderCreated")}
    assert message.system.approximate_receive_count == 1
    assert message.system.sent_timestamp > 1_700_000_000_000


async def test_a_fifo_queue_keeps_group_deduplication_id_and_order(sqs, fifo_queue):
    entries = [
        SendEntry(id=str(number), body=str(number), group_id="o-1", deduplication_id=f"d-{number}")
        for number in range(3)
    ]
    sent = await sqs.send_message_batch(
        fifo_queue,
        [*entries, SendEntry(id="again", body="0", group_id="o-1", deduplication_id="d-0")],
    )
    messages = await sqs.receive_message(
        fifo_queue, wait_time=2 * SECOND, attempt_id=uuid.uuid4().hex
    )
    assert [message.body for message in messages] == ["0", "1", "2"]
    assert messages[0].system.message_group_id == "o-1"
    assert messages[0].system.message_deduplication_id == "d-0"
    numbers = {entry.id: entry.sequence_number for entry in sent.successful}
    assert messages[1].system.sequence_number == numbers["1"]


async def test_a_deleted_message_is_gone(sqs, queue):
    await sqs.send_message_batch(queue, [SendEntry(id=str(n), body="x") for n in range(10)])
    messages = await sqs.receive_message(queue, wait_time=2 * SECOND)
    result = await sqs.delete_message_batch(
        queue, [DeleteEntry(m.message_id, m.receipt_handle) for m in messages]
    )
    assert {entry.id for entry in result.successful} == {message.message_id for message in messages}
    attributes = await sqs.get_queue_attributes(queue, ["ApproximateNumberOfMessagesNotVisible"])
    assert attributes == {"ApproximateNumberOfMessagesNotVisible": "0"}


async def test_a_message_that_is_shown_again_counts_its_receives(sqs, queue):
    await sqs.send_message_batch(queue, [SendEntry(id="1", body="x")])
    (first,) = await sqs.receive_message(
        queue, wait_time=2 * SECOND, visibility_timeout=60 * SECOND
    )
    assert await sqs.receive_message(queue) == []
    await sqs.change_message_visibility_batch(
        queue, [VisibilityEntry("1", first.receipt_handle, 0 * SECOND)]
    )
    (second,) = await sqs.receive_message(queue, wait_time=2 * SECOND)
    assert second.system.approximate_receive_count == 2


async def test_an_empty_queue_gives_no_messages_after_the_wait(sqs, queue):
    assert await sqs.receive_message(queue, wait_time=SECOND) == []


async def test_a_handle_that_is_none_is_a_lost_lease(sqs, queue):
    result = await sqs.delete_message_batch(queue, [DeleteEntry("1", "nonsense")])
    assert type(result.failed[0].to_error("DeleteMessageBatch")) is AwsLeaseLostError


async def test_a_queue_is_found_by_its_name_and_its_attributes_can_be_set(sqs, queue, name):
    assert await sqs.get_queue_url(name) == queue
    await sqs.set_queue_attributes(queue, {"VisibilityTimeout": "77"})
    assert (await sqs.get_queue_attributes(queue))["VisibilityTimeout"] == "77"


async def test_a_missing_queue_is_a_matter_of_configuration(sqs, name):
    with pytest.raises(AwsConfigurationError):
        await sqs.get_queue_url(name)
    with pytest.raises(AwsConfigurationError):
        await sqs.receive_message(f"http://127.0.0.1/000000000000/{name}")


async def test_a_batch_with_an_id_twice_can_never_succeed(sqs, queue):
    with pytest.raises(AwsRequestError):
        await sqs.send_message_batch(
            queue, [SendEntry(id="1", body="x"), SendEntry(id="1", body="y")]
        )


async def test_a_missing_topic_is_a_matter_of_configuration(sns, name):
    arn = f"arn:aws:sns:us-east-1:000000000000:{name}"
    with pytest.raises(AwsConfigurationError):
        await sns.publish_batch(arn, [PublishEntry(id="1", body="x")])
    with pytest.raises(AwsConfigurationError):
        await sns.get_topic_attributes(arn)


@pytest.fixture
def make_admin(url):
    """Make botocore's client of a service, as provisioning does."""
    session = pytest.importorskip("botocore.session", reason="botocore is not installed").Session()
    made = []

    def make(service):
        made.append(
            session.create_client(
                service,
                region_name="us-east-1",
                endpoint_url=url,
                aws_access_key_id="test",
                aws_secret_access_key="test",
            )
        )
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
async def topic(make_admin, sqs, queue, name):
    """A topic that the queue subscribes to with raw delivery."""
    admin = make_admin("sns")
    arn = (await asyncio.to_thread(admin.create_topic, Name=name))["TopicArn"]
    queue_arn = (await sqs.get_queue_attributes(queue, ["QueueArn"]))["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": arn}},
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    await sqs.set_queue_attributes(queue, {"Policy": json.dumps(policy)})
    await asyncio.to_thread(
        admin.subscribe,
        TopicArn=arn,
        Protocol="sqs",
        Endpoint=queue_arn,
        Attributes={"RawMessageDelivery": "true"},
    )
    yield arn
    await asyncio.to_thread(admin.delete_topic, TopicArn=arn)


async def test_a_published_message_arrives_as_it_was_sent(sns, sqs, topic, queue):
    body = '{"text": "a+b = 100% & é \U0001f600 <tag>"}'
    attributes = {"type": "OrderCreated", "b": AttributeValue("Binary", binary_value=b"\x00\xff")}
    result = await sns.publish_batch(
        topic, [PublishEntry(id="1", body=body, attributes=attributes)]
    )
    assert [entry.id for entry in result.successful] == ["1"]
    assert result.successful[0].message_id
    (message,) = await sqs.receive_message(queue, wait_time=5 * SECOND)
    assert message.body == body
    assert message.attributes == {**attributes, "type": AttributeValue("String", "OrderCreated")}


async def test_the_attributes_of_a_topic_are_read(sns, topic):
    assert (await sns.get_topic_attributes(topic))["TopicArn"] == topic


@pytest.fixture
async def kms(connect):
    return await connect(KmsClient, "kms")


@pytest.fixture
async def key(make_admin):
    """A key of KMS."""
    admin = make_admin("kms")
    arn = (await asyncio.to_thread(admin.create_key))["KeyMetadata"]["Arn"]
    yield arn
    await asyncio.to_thread(admin.schedule_key_deletion, KeyId=arn, PendingWindowInDays=7)


async def test_a_data_key_is_decrypted_in_its_context_alone(kms, key):
    made = await kms.generate_data_key(key, context={"source": "orders"})
    found = await kms.decrypt(made.ciphertext, key_id=key, context={"source": "orders"})
    assert (found.plaintext, found.key_arn, len(found.plaintext)) == (made.plaintext, key, 32)
    with pytest.raises(AwsCiphertextError):
        await kms.decrypt(made.ciphertext, key_id=key, context={})


async def test_an_alias_leads_to_the_arn_of_its_key(kms, key, make_admin, name):
    alias = f"alias/{name}"
    await asyncio.to_thread(make_admin("kms").create_alias, AliasName=alias, TargetKeyId=key)
    assert (await kms.describe_key(alias)).key_arn == key
    assert (await kms.describe_key(alias)).state == "Enabled"


async def test_a_key_that_is_disabled_or_missing_has_to_be_mended(kms, key, make_admin):
    await kms.check_generate_data_key(key, context={})
    await asyncio.to_thread(make_admin("kms").disable_key, KeyId=key)
    with pytest.raises(AwsKeyError):
        await kms.generate_data_key(key, context={})
    with pytest.raises(AwsKeyError):
        await kms.check_generate_data_key(key, context={})
    with pytest.raises(AwsKeyError):
        await kms.describe_key("alias/none")
