"""Signatures: what the conformance suite cannot forge with an SDK's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.signature import SignatureCheck
from sourceflow.transports.aws.client.credentials import Credentials
from sourceflow.transports.aws.client.signer import RequestTemplate, Signer

TEMPLATE = RequestTemplate("http://127.0.0.1:4566/", {"Content-Type": "application/json"})
#: Far from the time of day, which counts as well.
NOON = datetime(2020, 6, 1, 12, tzinfo=UTC)
MINUTES_15 = timedelta(minutes=15)


@pytest.fixture
def check():
    checks = SignatureCheck({"AKID": "secret"})

    def check(headers, body=b"{}", *, now=NOON):
        folded = {name.lower(): value for name, value in headers.items()}

        class Folded(dict):
            def get(self, name, default=None):
                return super().get(name.lower(), default)

        return checks.check("POST", "/", "", Folded(folded), body, now.timestamp())

    return check


def signed(at=NOON, **credentials):
    signer = Signer(service="sqs", region="eu-west-1")
    credentials = Credentials(**{"access_key": "AKID", "secret_key": "secret", **credentials})
    return signer.sign(TEMPLATE, b"{}", credentials, at)


def test_a_good_signature_says_whose_it_is_and_what_for(check):
    found = check(signed())
    assert (found.access_key, found.service, found.region) == ("AKID", "sqs", "eu-west-1")


@pytest.mark.parametrize("away", [-MINUTES_15, MINUTES_15])
def test_a_date_may_differ_by_a_quarter_of_an_hour(check, away):
    check(signed(NOON + away))


@pytest.mark.parametrize("away", [-MINUTES_15 - timedelta(seconds=1), timedelta(hours=1)])
def test_a_date_that_is_farther_away_is_refused(check, away):
    with pytest.raises(AwsFault, match="SignatureDoesNotMatch"):
        check(signed(NOON + away))


def test_the_time_of_day_counts_too_when_the_clock_is_a_tests_own(check):
    check(signed(datetime.now(UTC)))


def test_a_session_token_is_a_header_like_others(check):
    headers = signed(token="token")
    check(headers)
    with pytest.raises(AwsFault, match="SignatureDoesNotMatch"):
        check({**headers, "X-Amz-Security-Token": "other"})


@pytest.mark.parametrize("header", ["Host", "Content-Type", "X-Amz-Date"])
def test_a_header_that_was_changed_after_it_was_signed_is_refused(check, header):
    changed = "20200601T120001Z" if header == "X-Amz-Date" else "other"
    with pytest.raises(AwsFault, match="SignatureDoesNotMatch"):
        check({**signed(), header: changed})


@pytest.mark.parametrize("name", ["host", "x-amz-date"])
def test_host_and_date_must_be_among_what_is_signed(check, name):
    headers = signed()
    names = headers["Authorization"].replace(f"{name};", "").replace(f";{name}", "")
    with pytest.raises(AwsFault, match=rf"{name}.*must be signed"):
        check({**headers, "Authorization": names})


@pytest.mark.parametrize("text", ["Basic abc", "AWS4-HMAC-SHA256 Credential=AKID/20200601"])
def test_an_authorization_of_another_form_is_incomplete(check, text):
    with pytest.raises(AwsFault, match="IncompleteSignature"):
        check({**signed(), "Authorization": text})
