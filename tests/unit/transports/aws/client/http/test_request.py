"""What goes over the wire before the body."""

from __future__ import annotations

import pytest

from sourceflow.errors import AwsConfigurationError
from sourceflow.transports.aws.client.http.address import Address, Origin
from sourceflow.transports.aws.client.http.request import write_head


def head(url="http://sqs.test/", **headers):
    return write_head(Address.of(url), headers, 3)


def test_a_head_says_what_http_needs_and_what_the_caller_gives():
    assert head(A="b") == (
        b"POST / HTTP/1.1\r\nHost: sqs.test\r\nUser-Agent: sourceflow\r\nA: b\r\nContent-Length: 3\r\n\r\n"
    )


def test_a_host_and_an_agent_that_are_given_are_not_added():
    given = {"host": "a.test", "USER-agent": "x"}
    assert write_head(Address.of("http://sqs.test/"), given, 0) == (
        b"POST / HTTP/1.1\r\nhost: a.test\r\nUSER-agent: x\r\nContent-Length: 0\r\n\r\n"
    )


@pytest.mark.parametrize("value", ["a\r\nB: c", "a\nb", "a\rb", "a\0b", "\r", "a\r\n"])
def test_a_value_that_would_be_read_as_more_than_one_is_refused_without_being_shown(value):
    with pytest.raises(AwsConfigurationError, match="the value of Token holds") as caught:
        head(Token=f"secret{value}")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "é"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(ValueError, match="cannot be sent as a header"):
        head(**{name: "x"})


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "CONNECTION", "Expect"])
def test_what_says_where_the_message_ends_is_ours_to_say(name):
    with pytest.raises(ValueError, match="cannot be sent as a header"):
        head(**{name: "1"})


@pytest.mark.parametrize(
    ("url", "origin", "authority", "target"),
    [
        ("http://a.test", ("http", "a.test", 80), "a.test", "/"),
        ("https://A.test:443/b?c=d#e", ("https", "a.test", 443), "a.test", "/b?c=d"),
        ("http://a.test:443/%2F~", ("http", "a.test", 443), "a.test:443", "/%2F~"),
        ("http://[::1]:4566/", ("http", "::1", 4566), "[::1]:4566", "/"),
        ("https://[2600:1f13::1]/", ("https", "2600:1f13::1", 443), "[2600:1f13::1]", "/"),
        ("http://a.test/ b\u00e9", ("http", "a.test", 80), "a.test", "/%20b%C3%A9"),
        ("http://b\u00fccher.test/", ("http", "xn--bcher-kva.test", 80), "xn--bcher-kva.test", "/"),
    ],
)
def test_an_address_is_read_from_its_url(url, origin, authority, target):
    address = Address.of(url)
    assert (address.origin, address.authority, address.target) == (
        Origin(*origin),
        authority,
        target,
    )


@pytest.mark.parametrize(
    "url", ["", "a.test", "ftp://a.test/", "http://", "http://a.test:x/", "http://a..test/"]
)
def test_what_is_no_address_is_a_matter_of_configuration(url):
    with pytest.raises(AwsConfigurationError) as caught:
        Address.of(url)
    assert caught.value.code == "InvalidEndpoint"
