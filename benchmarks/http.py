"""CPU a post: our own HTTP/1.1 beside aiohttp, in plaintext and over TLS, on asyncio and on uvloop.

Run it: ``python -m benchmarks.http``; ``BENCH_POSTS`` and ``BENCH_ROUNDS`` as they are named. The server
is another process, so that only the client's CPU is counted; rounds alternate, the medians are printed,
and the ratio is the figure to look at.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import trustme
import uvloop

from sourceflow.transports.aws.client import DirectClient
from sourceflow.transports.aws.client.http.aiohttp_client import AiohttpClient
from sourceflow.transports.aws.client.http.tls import make_tls_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

POSTS = int(os.environ.get("BENCH_POSTS", "4000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
CALLERS = 16
BODY = b"x" * 6000
HEADERS = {
    "Content-Type": "application/x-amz-json-1.0",
    "X-Amz-Target": "AmazonSQS.SendMessageBatch",
    "X-Amz-Date": "20261125T041734Z",
    "Authorization": "AWS4-HMAC-SHA256 " + "a" * 230,
}
ANSWER_BODY = b"y" * 1500
ANSWER = (
    b"HTTP/1.1 200 OK\r\nx-amzn-RequestId: 0f1b1a7e-4f4a-5c1b-9d4e-45d0f0d6b1c4\r\n"
    b"Date: Wed, 25 Nov 2026 04:17:34 GMT\r\nContent-Type: application/x-amz-json-1.0\r\n"
    b"connection: keep-alive\r\nContent-Length: %d\r\n\r\n%b" % (len(ANSWER_BODY), ANSWER_BODY)
)
KINDS = {"aiohttp": AiohttpClient, "ours": DirectClient}
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class Answering(asyncio.Protocol):
    """Says the same to every request of one length."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        head = self._received.find(b"\r\n\r\n")
        if head >= 0 and len(self._received) >= head + 4 + len(BODY):
            self._received = self._received[head + 4 + len(BODY) :]
            self._transport.write(ANSWER)  # type: ignore[attr-defined]


async def serve(certificate: str) -> None:
    loop = asyncio.get_running_loop()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    for tls in (None, context):
        server = await loop.create_server(Answering, "127.0.0.1", 0, ssl=tls)
        print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


@asynccontextmanager
async def server(folder: Path) -> AsyncIterator[dict[str, str]]:
    """Serve in another process; gives the URLs."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "root.pem")
    leaf = folder / "leaf.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(leaf)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.http", str(leaf), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        plain, secure = [int(await process.stdout.readline()) for _ in range(2)]
        yield {
            "plaintext": f"http://127.0.0.1:{plain}/",
            "TLS": f"https://127.0.0.1:{secure}/",
        }
    finally:
        process.terminate()
        await process.wait()


async def play(kind: str, url: str, tls: ssl.SSLContext) -> float:
    """Return the microseconds of CPU that a post costs."""
    async with KINDS[kind](tls=tls) as client:

        async def call(times: int) -> None:
            for _ in range(times):
                status, _, body = await client.post(url, HEADERS, BODY, 15)
                assert (status, len(body)) == (200, len(ANSWER_BODY))

        await asyncio.gather(*(call(2) for _ in range(CALLERS)))  # connections are open
        began = time.process_time()
        await asyncio.gather(*(call(POSTS // CALLERS) for _ in range(CALLERS)))
        return (time.process_time() - began) / (POSTS // CALLERS * CALLERS) * 1e6


def measure(urls: dict[str, str], tls: ssl.SSLContext) -> dict[tuple[str, str, str], float]:
    costs = defaultdict(list)
    for _ in range(ROUNDS):
        for loop, factory in LOOPS.items():
            for way, url in urls.items():
                for kind in KINDS:
                    with asyncio.Runner(loop_factory=factory) as runner:
                        costs[loop, way, kind].append(runner.run(play(kind, url, tls)))
    return {what: statistics.median(found) for what, found in costs.items()}


async def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with server(folder) as urls:
            tls = make_tls_context(str(folder / "root.pem"))
            medians = await asyncio.to_thread(measure, urls, tls)
    for loop in LOOPS:
        for way in ("plaintext", "TLS"):
            theirs, ours = medians[loop, way, "aiohttp"], medians[loop, way, "ours"]
            print(
                f"{loop:8} {way:10} aiohttp {theirs:6.1f} us, ours {ours:6.1f} us CPU a post: "
                f"{ours / theirs:.2f} times"
            )


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]) if len(sys.argv) > 1 else main())
