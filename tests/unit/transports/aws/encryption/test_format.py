from __future__ import annotations

from base64 import b64decode, b64encode

import pytest
from fuzz import fuzzed
from hypothesis import given
from hypothesis import strategies as st

from sourceflow.errors import DecryptionFailedError
from sourceflow.transports.aws.encryption.format import (
    MAX_KEY_BYTES,
    KeySection,
    is_sealed,
    largest_size,
    read_sealed,
    sealed_id,
    write_key_section,
    write_message_section,
    write_sealed,
)

SECTION = KeySection("key-1", b"\x01\x02", "/shop", "arn:q")


def sealed(document=b"x" * 5, section=SECTION, type_name="Pay", message_id="m-1"):
    header = write_key_section(section) + write_message_section(type_name, message_id)
    return write_sealed(header, b"n" * 12, document + b"t" * 16).encode()


def test_every_byte_is_where_the_reference_says():
    raw = b64decode(sealed(), validate=True)
    assert raw == (
        b"\xb1\xf7\xa7\x01"
        b"\x00\x19"
        b"\x00\x05key-1"
        b"\x00\x02\x01\x02"
        b"\x00\x05/shop"
        b"\x00\x05arn:q"
        b"\x00\x03Pay"
        b"\x00\x03m-1" + b"n" * 12 + b"x" * 5 + b"t" * 16
    )


def test_what_was_written_is_read():
    found = read_sealed(sealed())
    assert found.key == SECTION
    assert (found.type_name, found.message_id) == ("Pay", "m-1")
    assert (found.nonce, found.ciphertext) == (b"n" * 12, b"x" * 5 + b"t" * 16)
    assert found.header == b64decode(sealed())[: -12 - 5 - 16]


def test_an_encrypted_body_is_known_by_how_it_begins():
    assert is_sealed(sealed())
    assert not is_sealed(b'{"id":"m-1"}')
    assert sealed_id(sealed()) == "m-1"
    assert sealed_id(b"sfen") is None


@pytest.mark.parametrize("length", range(0, 92, 4))
def test_a_body_without_room_for_nonce_and_tag_is_refused(length):
    with pytest.raises(DecryptionFailedError):
        read_sealed(sealed()[:length])


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"sfen", "version"),
        (b"sfenAg==", "version"),
        (b"sfenAQ\n=", "anybody would write"),
        (b"sfenAQA!", "anybody would write"),
        ("sfenAQAß".encode(), "anybody would write"),
        (b"sfenAQB=", "anybody would write"),
        (b"sfen\\u0041QA=", "anybody would write"),
        (b"sfen\\u0041QAA", "anybody would write"),
        (b'sfen"', "anybody would write"),
        (b"", "anybody would write"),
    ],
)
def test_what_is_not_of_this_form_is_refused(body, text):
    with pytest.raises(DecryptionFailedError, match=text):
        read_sealed(body)


@fuzzed(100_000)
@given(st.binary(max_size=200))
def test_whatever_stands_in_a_body_is_read_or_refused(rest):
    for body in (b"sfenAQ" + rest, b64encode(b"\xb1\xf7\xa7\x01" + rest)):
        read_or_refuse(body)


def read_or_refuse(body):
    """Read a body; each has one meaning only, and each meaning one body."""
    try:
        found = read_sealed(body)
    except DecryptionFailedError:
        return
    header = write_key_section(found.key)
    header += write_message_section(found.type_name, found.message_id)
    assert write_sealed(header, found.nonce, found.ciphertext).encode() == body
    assert len(found.ciphertext) >= 16


fields = st.binary(max_size=6)
lengths = st.integers(0, 40) | st.integers(0, 2**16 - 1)


@st.composite
def damaged(draw):
    """Draw a body whose lengths may say anything, with bytes cut out and put in."""

    def field(value):
        length = draw(lengths) if draw(st.integers(0, 5)) == 0 else len(value)
        return length.to_bytes(2, "big") + value

    section = b"".join(field(draw(fields)) for _ in range(draw(st.sampled_from([3, 4, 4, 4, 5]))))
    raw = b"\xb1\xf7\xa7" + draw(st.sampled_from([b"\x01", b"\x01", b"\x02"])) + field(section)
    raw += field(draw(fields)) + field(draw(fields)) + draw(st.binary(max_size=40))
    body = b64encode(raw)
    if draw(st.booleans()):
        at = draw(st.integers(0, len(body)))
        more = draw(st.binary(max_size=3) | st.sampled_from([b"=", b"\n", b"\\u0041", b"-", b"_"]))
        body = body[:at] + more + body[at + draw(st.integers(0, 3)) :]
    return body


@fuzzed(100_000)
@given(damaged())
def test_any_damage_to_a_body_is_read_or_refused(body):
    read_or_refuse(body)
    if (found := sealed_id(body)) is not None:
        assert read_sealed(body).message_id == found


def test_a_key_section_with_something_behind_its_fields_is_refused():
    raw = bytearray(b64decode(sealed()))
    raw[5] += 1  # the section is one byte longer, and what follows begins later
    raw.insert(6 + 0x19, 0)
    with pytest.raises(DecryptionFailedError, match="fields do not fit"):
        read_sealed(b64encode(raw))


def test_a_field_that_is_no_text_is_refused():
    raw = b64decode(sealed()).replace(b"Pay", b"P\xff\xff")
    with pytest.raises(DecryptionFailedError, match="no text"):
        read_sealed(b64encode(raw))


def test_a_key_that_a_message_has_no_room_for_is_refused():
    section = SECTION._replace(encrypted_key=b"x" * MAX_KEY_BYTES)
    with pytest.raises(ValueError, match="a message has room for 1024"):
        write_key_section(section)


def test_a_field_longer_than_its_length_can_say_is_refused():
    with pytest.raises(ValueError, match="65535 bytes"):
        write_message_section("x" * 65_536, "m-1")


@pytest.mark.parametrize("document", [0, 1, 2, 3, 1000])
def test_no_message_is_larger_than_was_said_before_its_key_was_known(document):
    key_id = "k" * 24
    section = KeySection(key_id, b"x" * (MAX_KEY_BYTES - len(key_id)), "/shop", "arn:q")
    size = len(sealed(b"d" * document, section))
    assert size == largest_size(document, "Pay", "m-1", "/shop", "arn:q")
