from __future__ import annotations

from urllib.parse import parse_qsl, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sourceflow.errors import AwsRequestError
from sourceflow.transports.aws.client.form import encode_form

_texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@given(_texts)
def test_a_value_is_encoded_as_the_standard_library_does_it(text):
    assert encode_form([(b"Message", text)]) == b"Message=" + quote_plus(text, safe="-_.~").encode()


@given(st.lists(_texts, min_size=1))
def test_a_reader_of_forms_gets_back_each_field(values):
    body = encode_form([(b"F%d" % number, value) for number, value in enumerate(values)])
    read = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
    assert [value for _, value in read] == values


def test_a_value_with_nul_is_refused():
    with pytest.raises(AwsRequestError, match="NUL"):
        encode_form([(b"Message", "a\0b")])
