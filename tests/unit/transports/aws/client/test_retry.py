"""Retrying, seen through a client: what AWS answers, and what is posted and waited for."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from sourceflow.errors import (
    AwsConfigurationError,
    AwsLeaseLostError,
    AwsRequestError,
    AwsThrottledError,
    AwsTransientError,
)
from sourceflow.transports.aws.client import RetryPolicy
from sourceflow.transports.aws.client.retry import Retrier, RetryStats


async def test_a_throttled_call_is_made_again_after_growing_waits(sqs, http, clock):
    http.then_fail("RequestThrottled", status=403).then_fail("KmsThrottled").then({"QueueUrl": "u"})
    assert await sqs.get_queue_url("q") == "u"
    assert clock.sleeps == [1.0, 2.0]


async def test_a_passing_fault_is_followed_by_short_waits(sqs, http, clock):
    http.then(b"oops", status=503).then_raise(
        AwsTransientError("gone", code="ConnectionFailed")
    ).then({"QueueUrl": "u"})
    assert await sqs.get_queue_url("q") == "u"
    assert clock.sleeps == [0.05, 0.1]


async def test_the_body_is_the_same_and_the_signature_new_on_each_attempt(sqs, http):
    http.then_fail("RequestThrottled").then({"QueueUrl": "u"})
    await sqs.get_queue_url("q")
    first, second = http.sent
    assert first.body == second.body
    assert first.headers["X-Amz-Date"] < second.headers["X-Amz-Date"]
    assert first.headers["Authorization"] != second.headers["Authorization"]


async def test_after_three_attempts_the_last_failure_is_raised(sqs, http):
    http.then_fail("InternalError", status=500).then_fail("InternalError", status=500)
    http.then_fail("ServiceUnavailable", status=503)
    with pytest.raises(AwsTransientError) as caught:
        await sqs.get_queue_url("q")
    assert caught.value.code == "ServiceUnavailable"
    assert len(http.sent) == 3


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("InvalidMessageContents", AwsRequestError),
        ("AccessDenied", AwsConfigurationError),
        ("ReceiptHandleIsInvalid", AwsLeaseLostError),
        ("OverLimit", AwsThrottledError),
        ("PurgeQueueInProgress", AwsThrottledError),
    ],
)
async def test_what_another_try_cannot_mend_is_raised_at_once(sqs, http, code, kind):
    http.then_fail(code)
    with pytest.raises(kind):
        await sqs.get_queue_url("q")
    assert len(http.sent) == 1


@pytest.mark.parametrize(
    ("header", "wait"),
    [("1500", 1.5), ("60000", 5.05), ("10", 0.05), ("-1", 0.05), ("soon", 0.05), ("9" * 400, 0.05)],
)
async def test_the_wait_that_aws_asks_for_is_honoured_within_bounds(sqs, http, clock, header, wait):
    http.then_fail("InternalError", status=500, headers={"x-amz-retry-after": header}).then(
        {"QueueUrl": "u"}
    )
    await sqs.get_queue_url("q")
    assert clock.sleeps == [pytest.approx(wait)]


async def test_no_attempt_begins_after_the_deadline(make_sqs, http, policy):
    policy = RetryPolicy(
        throttles=policy.throttles,
        transients=policy.transients,
        deadline=timedelta(seconds=2),
        max_attempts=9,
    )
    http.then_fail("RequestThrottled")
    with pytest.raises(AwsThrottledError):
        await make_sqs(retry=policy).get_queue_url("q")
    assert len(http.sent) == 2


async def test_an_attempt_may_not_last_beyond_the_deadline(make_sqs, http, policy):
    policy = RetryPolicy(throttles=policy.throttles, deadline=timedelta(seconds=5), max_attempts=9)
    http.then_fail("RequestThrottled").then({"QueueUrl": "u"})
    await make_sqs(retry=policy).get_queue_url("q")
    assert [sent.timeout for sent in http.sent] == [5.0, 4.0]


async def test_the_deadline_is_no_shorter_than_a_long_poll(make_sqs, http):
    http.then({})
    sqs = make_sqs(retry=RetryPolicy(deadline=timedelta(seconds=3)))
    await sqs.receive_message("q", wait_time=timedelta(seconds=20))
    assert http.sent[0].timeout > 20


async def test_when_the_budget_is_empty_nothing_is_retried(sqs, http):
    http.then_fail("InternalError", status=500)
    for _ in range(18):
        with pytest.raises(AwsTransientError):
            await sqs.get_queue_url("q")
    # 500 tokens pay for 35 retries at 14 each: 17 calls with two, one with one.
    assert sqs.stats.retries == 35
    with pytest.raises(AwsTransientError):
        await sqs.get_queue_url("q")
    assert sqs.stats.retries == 35
    assert sqs.stats.exhausted == 2


async def test_a_retry_that_succeeds_gives_back_what_it_took(sqs, http):
    for _ in range(200):
        http.script = []
        http.then_fail("RequestThrottled").then({"QueueUrl": "u"})
        await sqs.get_queue_url("q")
    assert sqs.stats.exhausted == 0


async def test_a_first_try_that_succeeds_gives_one_token_back(sqs, http):
    bucket = sqs._retrier._bucket
    bucket.take(10)
    http.then({"QueueUrl": "u"})
    await sqs.get_queue_url("q")
    assert bucket.available == 491


async def test_it_counts_attempts_retries_throttles_and_faults(sqs, http):
    http.then_fail("RequestThrottled").then(b"", status=500).then({"QueueUrl": "u"})
    await sqs.get_queue_url("q")
    assert sqs.stats == RetryStats(attempts=3, retries=2, throttles=1, transients=1)


async def test_a_cancelled_wait_ends_the_call(make_sqs, http, clock):
    async def forever(_seconds):
        await asyncio.Event().wait()

    clock.sleep = forever
    http.then_fail("RequestThrottled")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await make_sqs().get_queue_url("q")
    assert len(http.sent) == 1


@pytest.mark.parametrize(
    ("options", "match"),
    [({"max_attempts": 0}, "max_attempts"), ({"deadline": timedelta(0)}, "deadline")],
)
def test_a_policy_that_makes_no_attempt_is_refused(options, match):
    with pytest.raises(ValueError, match=match):
        RetryPolicy(**options)


def test_clients_do_not_share_their_budget(clock):
    first, second = (Retrier(RetryPolicy(), clock, RetryStats()) for _ in range(2))
    assert first._bucket is not second._bucket
