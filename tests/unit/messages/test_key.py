from __future__ import annotations

from typing import Annotated, get_args
from uuid import UUID

import msgspec
import pytest

from sourceflow.messages import Key, key_text, parse_key
from sourceflow.messages.key import is_key, is_only_key, key_problem

ID = UUID("12345678-1234-5678-1234-567812345678")
KEYS = [("o-1", "o-1"), (" ", " "), (7, "7"), (-7, "-7"), (ID, str(ID))]


@pytest.mark.parametrize(("key", "text"), KEYS)
def test_a_key_has_a_text(key, text):
    assert key_text(key) == text


@pytest.mark.parametrize(("key", "text"), KEYS)
def test_the_text_of_a_key_leads_back_to_it(key, text):
    assert parse_key(text, type(key)) == key


@pytest.mark.parametrize(("text", "key_type"), [("o-1", int), ("", int), ("7", UUID)])
def test_a_text_of_another_type_is_no_key(text, key_type):
    with pytest.raises(ValueError, match=r"."):
        parse_key(text, key_type)


@pytest.mark.parametrize("key_type", [str, int, UUID])
def test_a_hint_tells_that_it_is_a_key(key_type):
    assert is_key(Key[key_type])
    assert get_args(Key[key_type])[0] is key_type


@pytest.mark.parametrize("hint", [str, Annotated[str, "Key"], Key[str] | None, list[Key[str]], 1])
def test_another_hint_is_no_key(hint):
    assert not is_key(hint)


def test_a_key_may_say_more():
    hint = Annotated[Key[str], msgspec.Meta(max_length=3)]

    assert is_key(hint)
    assert not is_only_key(hint)
    assert is_only_key(Key[str])


@pytest.mark.parametrize("key", ["", 2**63, -(2**63) - 1])
def test_a_value_that_no_store_can_keep_is_no_key(key):
    assert key_problem(key) is not None


@pytest.mark.parametrize("key", ["a", 0, 2**63 - 1, -(2**63), ID])
def test_any_other_value_is_a_key(key):
    assert key_problem(key) is None


def test_the_mark_of_a_key_shows_as_what_it_is():
    assert "Key" in repr(Key[str])
