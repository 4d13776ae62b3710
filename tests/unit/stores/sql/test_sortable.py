"""Values as databases keep them where they compare them: their order is that of Python."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import example, given
from hypothesis import strategies as st

from sourceflow.messages.limits import LEAVES, LimitError
from sourceflow.stores.sql.sortable import number_text
from sourceflow.stores.sql.types import escaped, unescaped

SPECIAL = ("-1", "0.1", "9", "10", "99", "100", "-0", "0E+64", "1E+64", "-1E-64", "1.0", "1.00")


def is_within_limits(value):
    try:
        LEAVES[Decimal](value)
    except LimitError:
        return False
    return True


decimals = st.one_of(
    st.sampled_from([Decimal(each) for each in SPECIAL]),
    st.builds(
        lambda sign, digits, exponent: Decimal((sign, tuple(map(int, str(digits))), exponent)),
        st.integers(0, 1),
        st.integers(0, 10**38 - 1),
        st.integers(-64, 64),
    ),
    st.decimals(min_value=-1000, max_value=1000, places=2),
)
integers = st.one_of(
    st.integers(), st.integers(-200, 200), st.integers(-(10**1_000) + 1, 10**1_000 - 1)
)
texts = st.text(st.characters(codec="utf-8") | st.sampled_from("\0\1\2 a"), max_size=6)


def same_order(one, other, written, other_written):
    assert (one < other) == (written < other_written)
    assert (one == other) == (written == other_written)


@given(decimals, decimals)
@example(Decimal(99), Decimal(100))
@example(Decimal(-1), Decimal("-1.5"))
@example(Decimal("1.0"), Decimal("1.00"))
@example(Decimal("9" * 38 + "E+64"), Decimal("9" * 37 + "8E+64"))
def test_decimals_sort_by_their_texts(one, other):
    assert is_within_limits(one)
    same_order(one, other, number_text(one), number_text(other))


@given(integers, integers)
@example(-(10**1_000) + 1, -(10**1_000) + 2)
@example(2**63, 2**63 - 1)
def test_whole_numbers_sort_by_their_texts(one, other):
    same_order(one, other, number_text(one), number_text(other))


@given(st.lists(texts, max_size=8))
def test_texts_without_null_characters_keep_their_order(values):
    written = [escaped(each) for each in values]
    assert not any("\0" in each for each in written)
    assert [unescaped(each) for each in written] == values
    assert sorted(written) == [escaped(each) for each in sorted(values)]


@given(texts, texts)
def test_a_text_begins_as_before(text, prefix):
    assert escaped(text).startswith(escaped(prefix)) == text.startswith(prefix)
