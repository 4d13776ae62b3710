from __future__ import annotations

import sys

import pytest

from sourceflow.errors import MissingExtraError
from sourceflow.transports.aws.encryption.aes import Aes


def test_without_the_library_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(MissingExtraError, match=r"sourceflow\[aws\]"):
        Aes(b"k" * 32)


def test_a_key_is_seen_in_no_repr():
    assert "kkkk" not in repr(Aes(b"k" * 32))
