"""What no database can keep to is refused when stores are made, not when an App starts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sourceflow.stores.sql import SqlIdempotency, SqlStores


@pytest.mark.parametrize("owner", [SqlStores, SqlIdempotency])
@pytest.mark.parametrize(
    ("limits", "error", "told"),
    [
        ({"pool_size": 0}, ValueError, "pool_size is at least 1, not 0"),
        ({"pool_size": "7"}, TypeError, "pool_size is a whole number, not str"),
        ({"pool_size": True}, TypeError, "pool_size is a whole number, not bool"),
        ({"timeout": timedelta(0)}, ValueError, "timeout is more than nothing, not 0:00:00"),
        ({"timeout": 30}, TypeError, "timeout is a timedelta, not int"),
    ],
)
def test_limits_that_no_database_can_keep_to_are_refused(owner, limits, error, told):
    with pytest.raises(error, match=told):
        owner("postgresql://host/name", **limits)
