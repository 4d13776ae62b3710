"""Values of options as plain data, for people and logs."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from sourceflow.host.settings.durations import write_duration
from sourceflow.host.settings.tables import Entry

__all__ = ("plain",)


def plain(value: Any) -> Any:
    """Return a value as a file would hold it, addresses without their passwords."""
    if isinstance(value, timedelta):
        return write_duration(value)
    if isinstance(value, str):
        return _without_password(value) if "://" in value else value
    if isinstance(value, Entry):
        return plain(value.options)
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = (field.name for field in dataclasses.fields(value))
        return {name: plain(getattr(value, name)) for name in names}
    return value if value is None or isinstance(value, (bool, int)) else repr(value)


def _without_password(url: str) -> str:
    """Return an address without what may be secret: its password, and its query."""
    scheme, _, rest = url.partition("://")
    parts = urlsplit(f"//{rest}")
    user, _, host = parts.netloc.rpartition("@")
    netloc = f"{user.partition(':')[0]}@{host}" if user else host
    return f"{scheme}://{netloc}{parts.path}"
