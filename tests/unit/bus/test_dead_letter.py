from __future__ import annotations

import pytest

from sourceflow.bus.dead_letter import MAX_ERROR, describe_error


class UnreadableError(Exception):
    def __str__(self):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no"), "ValueError: no"),
        (ValueError("a\ud800b\ufffe\uffff"), "ValueError: a\ufffdb\ufffd\ufffd"),
        (ValueError("a\x00b"), "ValueError: a\ufffdb"),
        (UnreadableError(), "UnreadableError: (its text cannot be read)"),
        (ValueError("x" * 9999), f"ValueError: {'x' * (MAX_ERROR - 12)}"),
    ],
)
def test_whatever_an_error_says_can_be_stored_and_sent(error, text):
    described = describe_error(error)
    assert described == text
    assert described.encode()
