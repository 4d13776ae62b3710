"""Where a database is, as users write it."""

from __future__ import annotations

import pytest

from sourceflow.errors import StoreConfigurationError
from sourceflow.stores.sql.url import parse_url


@pytest.mark.parametrize(
    ("text", "product"),
    [
        ("sqlite:///orders.db", "sqlite"),
        ("sqlite+aiosqlite:///orders.db", "sqlite"),
        ("postgresql://h/orders", "postgresql"),
        ("postgres://h/orders", "postgresql"),
        ("postgresql+psycopg2://h/orders", "postgresql"),
    ],
)
def test_a_driver_is_left_out_of_account(text, product):
    url = parse_url(text)
    assert (url.product, url.url.drivername) == (product, product)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("orders.db", "cannot be read: write sqlite:///file.db or"),
        ("", "cannot be read"),
        ("postgresql://h:port/orders", "cannot be read"),
        (None, "cannot be read"),
        ("mysql://h/orders", "'mysql' is not supported: use sqlite:// or postgresql://"),
        ("sqlite://orders.db", "three slashes, sqlite:///orders.db"),
        ("sqlite:///orders.db?mode=ro", r"takes no options \(mode\)"),
    ],
)
def test_a_wrong_url_is_refused_with_what_to_write(text, problem):
    with pytest.raises(StoreConfigurationError, match=problem):
        parse_url(text)


def test_a_part_of_a_password_is_not_taken_for_a_host():
    with pytest.raises(StoreConfigurationError, match="as %40") as caught:
        parse_url("postgresql://shop:se@cret@h/orders")
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://shop:secret@h/orders",
        "postgresql://h/orders?user=shop&password=secret",
        "postgresql://h/orders?sslpassword=secret",
    ],
)
def test_no_secret_is_shown(text):
    url = parse_url(text)
    assert "secret" in url.url.render_as_string(hide_password=False)
    assert "secret" not in f"{url} {url!r}"
    assert str(url).startswith("postgresql://")


def test_a_database_without_a_file_is_in_memory():
    assert parse_url("sqlite://").is_in_memory
    assert parse_url("sqlite:///:memory:").is_in_memory
    assert not parse_url("sqlite:///orders.db").is_in_memory
    assert not parse_url("postgresql://h/:memory:").is_in_memory
