"""Credentials that AWS refuses and clocks that are wrong, seen through a client."""

from __future__ import annotations

import pytest

from sourceflow.errors import AwsCredentialsError, AwsTransientError
from sourceflow.transports.aws.client import Credentials

OLD, NEW = Credentials("OLD", "secret"), Credentials("NEW", "secret")


class Renewable:
    def __init__(self, *later, fail=None):
        self.present = OLD
        self.later = list(later)
        self.fail = fail

    async def get(self):
        return self.present

    async def refresh(self, refused):
        assert refused is self.present
        if self.fail is not None:
            raise self.fail
        self.present = self.later.pop(0) if self.later else self.present
        return self.present


def key_of(sent):
    return sent.headers["Authorization"].partition("Credential=")[2].partition("/")[0]


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidClientTokenId", "SignatureDoesNotMatch"])
async def test_refused_credentials_are_renewed_and_the_call_made_again_at_once(
    make_sqs, http, clock, code
):
    http.then_fail(code, status=403).then({"QueueUrl": "u"})
    sqs = make_sqs(credentials=Renewable(NEW))
    assert await sqs.get_queue_url("q") == "u"
    assert [key_of(sent) for sent in http.sent] == ["OLD", "NEW"]
    assert clock.sleeps == []
    assert sqs.stats.refreshes == 1


async def test_credentials_are_renewed_once_for_a_call(make_sqs, http):
    http.then_fail("ExpiredToken", status=403)
    with pytest.raises(AwsCredentialsError):
        await make_sqs(credentials=Renewable(NEW, OLD, NEW)).get_queue_url("q")
    assert len(http.sent) == 2


async def test_where_there_are_no_other_credentials_the_refusal_is_raised(make_sqs, http):
    http.then_fail("ExpiredToken", status=403)
    with pytest.raises(AwsCredentialsError) as caught:
        await make_sqs(credentials=Renewable()).get_queue_url("q")
    assert caught.value.code == "ExpiredToken"
    assert len(http.sent) == 1


async def test_a_renewal_that_fails_is_raised(make_sqs, http):
    http.then_fail("ExpiredToken", status=403)
    with pytest.raises(AwsCredentialsError, match="no role"):
        await make_sqs(
            credentials=Renewable(fail=AwsCredentialsError("no role", code="X"))
        ).get_queue_url("q")


async def test_a_renewal_that_outlasts_the_deadline_ends_the_call(make_sqs, http, clock):
    class Slow(Renewable):
        async def refresh(self, refused):
            clock.pass_by(60)
            return await super().refresh(refused)

    http.then_fail("ExpiredToken", status=403).then({"QueueUrl": "u"})
    with pytest.raises(AwsCredentialsError):
        await make_sqs(credentials=Slow(NEW)).get_queue_url("q")
    assert len(http.sent) == 1


async def test_without_credentials_nothing_is_posted_and_nothing_renewed(make_sqs, http):
    class Missing(Renewable):
        async def get(self):
            raise AwsCredentialsError("none", code="NoCredentials")

    with pytest.raises(AwsCredentialsError, match="none"):
        await make_sqs(credentials=Missing()).get_queue_url("q")
    assert http.sent == []


@pytest.mark.parametrize(
    "code", ["RequestExpired", "SignatureDoesNotMatch", "InvalidSignatureException"]
)
async def test_a_wrong_clock_is_corrected_from_the_answer_and_the_call_made_again(
    make_sqs, http, code
):
    http.then_fail(code, status=403, headers={"Date": "Mon, 23 Nov 2026 12:30:05 GMT"}).then(
        {"QueueUrl": "u"}
    )
    sqs = make_sqs(credentials=Renewable())
    assert await sqs.get_queue_url("q") == "u"
    assert http.sent[1].headers["X-Amz-Date"] == "20261123T123005Z"
    assert (sqs.stats.clock_corrections, sqs.stats.refreshes) == (1, 0)


async def test_a_corrected_clock_counts_for_later_calls(sqs, http):
    http.then_fail("RequestExpired", headers={"date": "Sun, 22 Nov 2026 10:00:00 -0000"}).then(
        {"QueueUrl": "u"}
    )
    await sqs.get_queue_url("q")
    await sqs.get_queue_url("q")
    assert http.sent[2].headers["X-Amz-Date"] == "20261122T100000Z"


async def test_the_clock_is_corrected_once_for_a_call(make_sqs, http):
    http.then_fail("RequestExpired", headers={"Date": "Mon, 23 Nov 2026 12:00:00 GMT"})
    http.then_fail("RequestExpired", headers={"Date": "Mon, 23 Nov 2026 18:00:00 GMT"})
    with pytest.raises(AwsCredentialsError):
        await make_sqs(credentials=Renewable()).get_queue_url("q")
    assert len(http.sent) == 2


@pytest.mark.parametrize("date", ["Mon, 23 Nov 2026 10:03:59 GMT", "yesterday", ""])
async def test_a_clock_that_is_right_or_cannot_be_compared_is_left_alone(make_sqs, http, date):
    http.then_fail("SignatureDoesNotMatch", headers={"Date": date}).then({"QueueUrl": "u"})
    sqs = make_sqs(credentials=Renewable(NEW))
    await sqs.get_queue_url("q")
    assert (sqs.stats.clock_corrections, sqs.stats.refreshes) == (0, 1)


async def test_an_error_of_the_connection_says_which_operation_it_met(make_sqs, http):
    for _ in range(3):
        http.then_raise(AwsTransientError("no answer within 15 s", code="Timeout"))
    with pytest.raises(AwsTransientError) as caught:
        await make_sqs().get_queue_url("q")
    assert str(caught.value) == "GetQueueUrl: Timeout: no answer within 15 s"
    assert caught.value.operation == "GetQueueUrl"


async def test_requests_go_to_the_endpoint_whatever_the_queue_url_says(sqs, http):
    http.then({"Attributes": {}})
    await sqs.get_queue_attributes("http://elsewhere.test/1/q")
    assert http.sent[0].url == "https://sqs.test"
    assert http.sent[0].headers["Host"] == "sqs.test"
    assert sqs.endpoint.url == "https://sqs.test"
