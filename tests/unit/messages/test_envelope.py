from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sourceflow import Command, Envelope, Key
from sourceflow.errors import InvalidMessageError
from sourceflow.messages import check_headers, check_message_id
from sourceflow.messages.envelope import RESERVED_HEADERS


class Place(Command):
    order_id: Key[int]


@pytest.fixture
def envelope():
    return Envelope(
        message=Place(order_id=7),
        id="m-1",
        source="/orders",
        time=datetime(2026, 7, 1, tzinfo=UTC),
        correlation_id="c-1",
        headers={"tenant": "a", "user": "b"},
    )


def test_headers_are_added_and_replaced(envelope):
    changed = envelope.with_headers({"user": "c", "lang": "de"})

    assert changed.headers == {"tenant": "a", "user": "c", "lang": "de"}
    assert envelope.headers == {"tenant": "a", "user": "b"}
    assert changed.id == envelope.id


def test_headers_that_cannot_be_sent_are_not_added(envelope):
    with pytest.raises(InvalidMessageError):
        envelope.with_headers({"Tenant": "a"})


def test_the_subject_is_the_key_as_text(envelope):
    assert (envelope.key, envelope.subject) == (7, "7")


@pytest.mark.parametrize("name", ["a", "tenant", "t1", "a" * 20])
def test_a_header_is_small_letters_and_digits(name):
    check_headers({name: "any text: ä, 😀"})


@pytest.mark.parametrize(
    "name", ["", "A", "1a", "a" * 21, "a-b", "a_b", "ä", "a\n", "a b", 1, None]
)
def test_another_name_is_refused(name):
    with pytest.raises(InvalidMessageError, match="must be 1 to 20 small letters and digits"):
        check_headers({name: "a"})


@pytest.mark.parametrize("name", sorted(RESERVED_HEADERS))
def test_a_name_of_cloudevents_or_ours_is_reserved(name):
    with pytest.raises(InvalidMessageError, match="is reserved"):
        check_headers({name: "a"})


@pytest.mark.parametrize(
    "value", [1, None, b"a", "s3cret\n", "s3cret\x00", "\x7f", "\x85", "s3cret\ufffe", "\ud800"]
)
def test_a_value_that_cannot_be_sent_is_refused_and_not_told(value):
    with pytest.raises(InvalidMessageError, match="the header 'tenant'") as caught:
        check_headers({"tenant": value})

    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("message_id", ["a", "a" * 80, "!~", "0197-x"])
def test_an_id_is_printable_and_short(message_id):
    check_message_id(message_id)


@pytest.mark.parametrize("message_id", ["", "a" * 81, "a b", "a\n", "ä", "\x7f", 1, None])
def test_another_id_is_refused(message_id):
    with pytest.raises(InvalidMessageError, match="a message id is 1 to 80"):
        check_message_id(message_id)
