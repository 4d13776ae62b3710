"""LocalAws as users meet it: its port, its life, its calls."""

from __future__ import annotations

import asyncio
import errno
import io
import socket
from datetime import timedelta

import aiohttp
import pytest

from sourceflow.errors import AwsError
from sourceflow.testing import LocalAws
from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.transports.aws.client import SendEntry, StaticCredentials

SECOND = timedelta(seconds=1)


async def until(condition):
    """Wait for what nothing tells of: that a request has reached the server."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.001)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def test_it_answers_at_its_endpoint_url(connect):
    async with LocalAws() as aws:
        sqs = connect(aws)
        queue = await sqs.create_queue("orders")
        await sqs.send_message_batch(queue, [SendEntry(id="1", body="hello")])
        (message,) = await sqs.receive_message(queue)
    assert message.body == "hello"
    assert queue == f"{aws.endpoint_url}/000000000000/orders"


async def test_it_takes_the_port_that_is_given():
    port = free_port()
    async with LocalAws(port=port) as aws:
        assert aws.endpoint_url == f"http://127.0.0.1:{port}"
        socket.create_connection(("127.0.0.1", port)).close()


async def test_it_binds_the_address_that_is_given_and_no_other(connect):
    """Two have the same port, so neither listens where the other does."""
    port = free_port()
    async with LocalAws(port=port) as one, LocalAws(host="127.0.0.2", port=port) as other:
        assert other.endpoint_url == f"http://127.0.0.2:{port}"
        await connect(other).create_queue("orders")
        assert (one.calls["CreateQueue"], other.calls["CreateQueue"]) == (0, 1)


async def test_two_take_two_ports():
    async with LocalAws() as one, LocalAws() as other:
        assert one.endpoint_url != other.endpoint_url


async def test_a_port_that_is_taken_is_named_in_the_error(aws):
    port = int(aws.endpoint_url.rpartition(":")[2])
    with pytest.raises(OSError, match=f"127.0.0.1:{port}.*[Pp]ort 0 takes a free one") as caught:
        async with LocalAws(port=port):
            pass
    assert caught.value.errno == errno.EADDRINUSE


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no loopback of IPv6")
async def test_an_address_of_ipv6_stands_in_brackets(connect):
    async with LocalAws(host="::1") as aws:
        assert aws.endpoint_url.startswith("http://[::1]:")
        sqs = connect(aws)
        queue = await sqs.create_queue("orders")
        assert queue.startswith(aws.endpoint_url)
        await sqs.send_message_batch(queue, [SendEntry(id="1", body="hello")])
        (message,) = await sqs.receive_message(queue)
    assert message.body == "hello"


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("host.invalid", "LocalAws cannot listen on 'host.invalid': no address of this machine"),
        ("192.0.2.1", "192.0.2.1:0: Cannot assign requested address. Give an address of this"),
    ],
)
async def test_an_address_that_is_not_this_machines_is_told(host, told):
    with pytest.raises(OSError, match=told):
        async with LocalAws(host=host):
            pass


def test_an_empty_host_is_refused():
    with pytest.raises(ValueError, match="host is an address of this machine"):
        LocalAws(host="")


async def test_leaving_frees_the_port():
    port = free_port()
    for _ in range(2):
        async with LocalAws(port=port):
            pass


async def test_leaving_ends_long_polls_at_once(connect, clock):
    async with LocalAws(clock=clock) as aws:
        sqs = connect(aws)
        queue = await sqs.create_queue("orders")
        poll = asyncio.create_task(sqs.receive_message(queue, wait_time=20 * SECOND))
        await until(lambda: clock.sleepers)
    async with asyncio.timeout(0.5):
        assert await poll == []


async def test_a_client_that_goes_away_takes_no_message_with_it(aws, connect):
    sqs = connect(aws)
    queue = await sqs.create_queue("orders")
    poll = asyncio.create_task(sqs.receive_message(queue, wait_time=20 * SECOND))
    await until(lambda: aws.calls["ReceiveMessage"])
    poll.cancel()
    await asyncio.wait([poll])
    await sqs.get_queue_url("orders")  # the server has seen by now that the other is gone
    await sqs.send_message_batch(queue, [SendEntry(id="1", body="x")])
    assert [message.body for message in await sqs.receive_message(queue, wait_time=SECOND)] == ["x"]


async def test_it_answers_clients_without_a_socket(connect):
    aws = LocalAws()
    sqs = connect(aws, http=aws)
    queue = await sqs.create_queue("orders")
    await sqs.send_message_batch(queue, [SendEntry(id="1", body="hello")])
    assert [message.body for message in await sqs.receive_message(queue)] == ["hello"]


async def test_it_counts_its_calls(aws, connect):
    queue = await connect(aws).create_queue("orders")
    for _ in range(3):
        await connect(aws).receive_message(queue)
    assert aws.calls == {"CreateQueue": 1, "ReceiveMessage": 3}


async def test_it_moves_with_the_clock_that_is_given(connect, clock):
    async with LocalAws(clock=clock) as aws:
        sqs = connect(aws)
        queue = await sqs.create_queue("orders")
        await sqs.send_message_batch(
            queue, [SendEntry(id="1", body="late", delay=timedelta(seconds=900))]
        )
        assert await sqs.receive_message(queue) == []
        await clock.advance(timedelta(seconds=900))
        assert [message.body for message in await sqs.receive_message(queue)] == ["late"]


async def test_arns_name_the_region_and_account_that_are_given(connect):
    aws = LocalAws(region="eu-central-1", account_id="123456789012")
    sqs = connect(aws, http=aws)
    queue = await sqs.create_queue("orders")
    found = await sqs.get_queue_attributes(queue, ["QueueArn"])
    assert found["QueueArn"] == "arn:aws:sqs:eu-central-1:123456789012:orders"


async def test_it_takes_the_credentials_that_are_given_and_no_others(connect):
    aws = LocalAws(credentials={"mine": "secret"})
    assert await connect(aws, http=aws).create_queue("orders")
    with pytest.raises(AwsError, match="security token"):
        await connect(aws, http=aws, credentials=StaticCredentials("test", "test")).create_queue(
            "orders"
        )


async def test_a_request_over_eight_mebibytes_is_too_large(aws):
    async with aiohttp.ClientSession() as session:
        body = io.BytesIO(b"x" * (8 * 1024 * 1024 + 1))
        async with session.post(aws.endpoint_url, data=body) as answer:
            assert answer.status == 413


def test_an_operation_that_it_does_not_know_is_named(make_core):
    with pytest.raises(AwsFault, match=r"InvalidAction.*AddPermission"):
        make_core().call("AddPermission", 0.0)
