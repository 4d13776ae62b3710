"""LocalAws in a process of its own, so that its CPU is not the measured one's."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from sourceflow.testing import LocalAws

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def local_aws() -> AsyncIterator[str]:
    """Serve a LocalAws in another process; gives its URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.server", stdout=subprocess.PIPE, stdin=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.terminate()
        await process.wait()


async def _serve() -> None:
    async with LocalAws() as aws:
        print(aws.endpoint_url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve())
