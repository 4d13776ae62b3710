from __future__ import annotations

from datetime import UTC, datetime, timedelta

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sourceflow.transports.aws.client.credentials import Credentials
from sourceflow.transports.aws.client.signer import RequestTemplate, Signer, signing_key

TIME = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)

_names = st.from_regex(r"x-[a-z0-9-]{0,12}", fullmatch=True).filter(
    lambda name: (
        name
        not in {"x-amz-date", "x-amz-security-token", "x-amz-content-sha256", "x-amzn-trace-id"}
    )
)
_values = st.text(
    st.characters(codec="ascii", categories=["L", "N", "P", "S", "Zs"]), min_size=1
).filter(str.strip)
_segments = st.one_of(
    st.sampled_from(["", ".", "..", "%2F", "a b", "é"]), st.text("abzAZ09-._~%+ @:,=", max_size=8)
)
_paths = st.lists(_segments, min_size=1, max_size=6).map(lambda segments: "/" + "/".join(segments))
_hosts = st.sampled_from(
    [
        "https://sqs.eu-west-1.amazonaws.com",
        "https://SQS.test:443",
        "http://localhost:80",
        "http://127.0.0.1:4566",
        "http://[::1]:4566",
        "https://sns.cn-north-1.amazonaws.com.cn",
    ]
)
_secrets = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=40)


def signed_by_botocore(url, headers, body, credentials, *, service, region):
    request = botocore.awsrequest.AWSRequest(method="POST", url=url, headers=headers, data=body)
    theirs = botocore.credentials.Credentials(
        credentials.access_key, credentials.secret_key, credentials.token
    )
    botocore.auth.SigV4Auth(theirs, service, region).add_auth(request)
    return dict(request.headers.items())


@example(
    host="http://[::1]:4566",
    path="/a//./b/../c%20d/",
    headers={},
    body=b"{}",
    access_key="AKID",
    secret_key="secret",
    token="token",
    service="sqs",
    region="eu-west-1",
)
@given(
    host=_hosts,
    path=st.one_of(st.just(""), _paths),
    headers=st.dictionaries(_names, _values, max_size=4),
    body=st.binary(max_size=200),
    access_key=_secrets,
    secret_key=_secrets,
    token=st.one_of(st.none(), _secrets),
    service=st.sampled_from(["sqs", "sns", "kms"]),
    region=st.sampled_from(["eu-west-1", "cn-north-1", "us-gov-west-1"]),
)
def test_signatures_equal_those_of_botocore(
    host, path, headers, body, access_key, secret_key, token, service, region
):
    credentials = Credentials(access_key, secret_key, token)
    headers = {"Content-Type": "application/x-amz-json-1.0", **headers}
    theirs = signed_by_botocore(
        host + path, headers, body, credentials, service=service, region=region
    )
    time = datetime.strptime(theirs["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)

    signer = Signer(service=service, region=region)
    ours = signer.sign(RequestTemplate(host + path, headers), body, credentials, time)

    del ours["Host"]  # botocore signs it and leaves it to the HTTP library
    assert ours == theirs


@pytest.fixture
def signer():
    return Signer(service="sqs", region="eu-west-1")


@pytest.fixture
def template():
    return RequestTemplate("https://sqs.test", {"X-Amz-Target": "AmazonSQS.SendMessageBatch"})


def test_the_signing_key_is_that_of_the_example_in_the_documentation_of_aws():
    key = signing_key(
        "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        date="20150830",
        region="us-east-1",
        service="iam",
    )
    assert key.hex() == "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"


def test_what_is_prepared_is_used_again_on_the_same_day(signer, template):
    credentials = Credentials("AKID", "secret")
    signer.sign(template, b"a", credentials, TIME)
    prepared = signer._prepared[template]
    signer.sign(template, b"b", credentials, TIME + timedelta(hours=1))
    assert signer._prepared[template] is prepared


@pytest.mark.parametrize(
    ("credentials", "time"),
    [
        (Credentials("AKID", "other"), TIME),
        (Credentials("AKID", "secret", "token"), TIME),
        (Credentials("AKID", "secret"), TIME + timedelta(days=1)),
    ],
)
def test_a_signature_follows_its_credentials_and_its_day(signer, template, credentials, time):
    signer.sign(template, b"{}", Credentials("AKID", "secret"), TIME)
    fresh = Signer(service="sqs", region="eu-west-1")
    assert signer.sign(template, b"{}", credentials, time) == fresh.sign(
        template, b"{}", credentials, time
    )


def test_the_headers_of_one_request_are_not_those_of_another(signer, template):
    credentials = Credentials("AKID", "secret")
    first = signer.sign(template, b"{}", credentials, TIME)
    first["X-Amz-Target"] = "changed"
    assert (
        signer.sign(template, b"{}", credentials, TIME)["X-Amz-Target"]
        == "AmazonSQS.SendMessageBatch"
    )
