from __future__ import annotations

import enum
from datetime import date
from decimal import Decimal
from typing import get_args
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sourceflow.messages.sensitive import MASKS, Sensitive, SensitiveKind, mask

KINDS = get_args(SensitiveKind)


class Colour(enum.StrEnum):
    RED = "red-as-a-secret"


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("card", "4111-1111-1111-1234", "************1234"),
        ("card", "4111 1111 1111 1234", "************1234"),
        ("card", "411111111234", "************1234"),
        ("card", 4111111111111234, "************1234"),
        ("email", "jo.doe+x@mail.example.com", "***@mail.example.com"),
        ("email", "a@b@example.com", "***@example.com"),
        ("phone", "+1 (555) 123-4567", "***-***-4567"),
        ("phone", "5551234567", "***-***-4567"),
        ("phone", 5551234567, "***-***-4567"),
        ("ssn", "123-45-6789", "***-**-6789"),
        ("ssn", 123456789, "***-**-6789"),
        ("name", "John Doe", "J*** D**"),
        ("name", "Ægir Ó Briain", "Æ*** * B*****"),
        ("name", "Anne-Marie", "A*********"),
        ("ip_address", "192.168.17.4", "192.*.*.*"),
        ("password", "correct horse battery staple", "********"),
        ("api_key", "abcdefghijklmnopqrstuvwxyz", "abcd...wxyz"),
        ("custom", "anything", "***REDACTED***"),
    ],
)
def test_each_kind_shows_its_part(kind, value, shown):
    assert mask(kind, value) == shown


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("card", "1234"),
        ("card", "41111111123"),
        ("card", "4111-1111-1111-123\u0664"),
        ("card", "my card is 4111-1111-1111-1234"),
        ("card", "12345678901234567890"),
        ("email", "hunter2"),
        ("email", "hunter@2"),
        ("email", "@example.com"),
        ("email", "jo@m\u00fcller.de"),
        ("email", "jo@example.com\n"),
        ("phone", "1234"),
        ("phone", "123456"),
        ("phone", "1234567890123456"),
        ("phone", "call 555 1234567"),
        ("ssn", "6789"),
        ("ssn", "1234567890"),
        ("name", "hunter2"),
        ("name", "one two three four five six seven"),
        ("ip_address", "2001:db8::1"),
        ("ip_address", "192.168.17"),
        ("api_key", "abcdefghijklmno"),
        ("api_key", "\u00e4bcdefghijklmnopqrstuvwxyz"),
    ],
)
def test_what_does_not_look_like_its_kind_is_hidden_wholly(kind, value):
    assert mask(kind, value) == MASKS[kind].hidden


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "\ud800",
        "\x00",
        b"bytes",
        1.5,
        True,
        date(2020, 1, 2),
        object(),
        pytest.param(10**5000, id="huge"),
        {},
        [],
    ],
)
def test_no_value_is_too_strange_to_be_hidden(kind, value):
    assert mask(kind, value) == MASKS[kind].hidden


def test_enums_numbers_and_ids_are_masked_as_they_are_written():
    assert mask("name", Colour.RED) == "r**************"
    assert mask("ssn", Decimal(123456789)) == "***-**-6789"
    assert mask("api_key", UUID(int=1)) == "0000...0001"


@given(st.sampled_from(KINDS), st.text())
def test_a_mask_is_a_text_that_shows_less_than_half(kind, value):
    shown = mask(kind, value)

    assert isinstance(shown, str)
    if kind != "email":  # of which the domain is shown, however long
        assert sum(map(str.isalnum, shown.replace("REDACTED", ""))) * 2 <= max(len(value), 0)


@given(st.sampled_from(KINDS), st.text(alphabet="abcdefgh0123456789", min_size=2))
def test_a_mask_never_holds_the_value(kind, value):
    assert value not in mask(kind, value)


def test_a_kind_that_is_none_is_refused():
    with pytest.raises(ValueError, match="card, email, phone"):
        Sensitive("credit card")
