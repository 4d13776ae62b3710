"""The one door to botocore, opened when credentials or endpoints are first asked for."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

from sourceflow.errors import MissingExtraError

if TYPE_CHECKING:
    from botocore.loaders import Loader
    from botocore.session import Session

__all__ = ("new_session",)


def new_session(profile: str | None = None) -> Session:
    """Return a fresh botocore session: it reads files and environment again. Blocks.

    Args:
        profile: A profile of the shared AWS files; None takes ``AWS_PROFILE`` or the default one.

    Raises:
        MissingExtraError: botocore is not installed.
    """
    try:
        from botocore.session import Session  # noqa: PLC0415 - takes 100 ms to import; wanted late, in a thread
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "botocore":
            raise
        raise MissingExtraError("aws", "botocore") from error
    session = Session(profile=profile)
    session.register_component("data_loader", _loader(os.environ.get("AWS_DATA_PATH")))
    return session


@cache
def _loader(path: str | None) -> Loader:
    """Return the reader of AWS's API models, one for all sessions: they take 100 ms to read."""
    from botocore.loaders import create_loader  # noqa: PLC0415 - see new_session

    return create_loader(path)
