from __future__ import annotations

from base64 import b64decode, b64encode

import pytest
from fuzz import fuzzed
from hypothesis import given
from hypothesis import strategies as st

from sourceflow.bus.ports import is_sealed_record
from sourceflow.errors import DecryptionFailedError
from sourceflow.transports.aws.encryption.format import KeySection, is_sealed, write_key_section
from sourceflow.transports.aws.encryption.record_format import (
    RECORD_PREFIX,
    read_record,
    write_place,
    write_record,
)

SECTION = KeySection("key-1", b"\x01\x02", "/shop", "stores")
HEADER = write_key_section(SECTION, RECORD_PREFIX)


def sealed(record=b"x" * 5):
    return write_record(HEADER, b"n" * 12, record + b"t" * 16)


def test_every_byte_is_where_the_reference_says():
    record = sealed()
    assert record[:5] == b'"sfar'
    assert record[-1:] == b'"'
    assert b64decode(record[1:-1], validate=True) == (
        b"\xb1\xf6\xab\x01"
        b"\x00\x1a"
        b"\x00\x05key-1"
        b"\x00\x02\x01\x02"
        b"\x00\x05/shop"
        b"\x00\x06stores" + b"n" * 12 + b"x" * 5 + b"t" * 16
    )
    assert write_place(("entity", "", "a-1")) == b"\x00\x06entity\x00\x00\x00\x03a-1"


def test_what_was_written_is_read():
    found = read_record(sealed())
    assert found.header == HEADER
    assert found.key == SECTION
    assert (found.nonce, found.ciphertext) == (b"n" * 12, b"x" * 5 + b"t" * 16)


def test_a_record_is_neither_a_message_nor_a_document():
    assert is_sealed_record(sealed())
    assert not is_sealed_record(b'{"id":"m-1"}')
    assert not is_sealed(sealed())
    assert not is_sealed(sealed()[1:])


def test_two_places_are_never_written_alike():
    assert write_place(("a", "bc")) != write_place(("ab", "c"))
    assert write_place(("a", "")) != write_place(("a",))


@pytest.mark.parametrize("length", range(0, 80, 4))
def test_a_record_without_room_for_nonce_and_tag_is_refused(length):
    with pytest.raises(DecryptionFailedError):
        read_record(b'"%b"' % sealed(b"")[1 : 1 + length])


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (b'"sfarAg=="', "version"),
        (b'"sfenAQ=="', "version"),
        (b'"sfarAQA!"', "anybody would write"),
        (b'"sfar', "cut off"),
        (b'"', "cut off"),
        (b'"text"', "version"),
    ],
)
def test_what_is_not_of_this_form_is_refused(record, text):
    with pytest.raises(DecryptionFailedError, match=text):
        read_record(record)


@fuzzed(100_000)
@given(st.binary(max_size=200), st.sampled_from([b"", b'"']))
def test_whatever_stands_in_a_record_is_read_or_refused(rest, end):
    for text in (b"sfarAQ" + rest, b64encode(RECORD_PREFIX + rest)):
        record = b'"' + text + end
        try:
            found = read_record(record)
        except DecryptionFailedError:
            continue
        assert write_record(found.header, found.nonce, found.ciphertext) == record
        assert write_key_section(found.key, RECORD_PREFIX) == found.header
