"""The way from one worker to LocalAws: it takes time, and it breaks."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

from sourceflow.errors import AwsTransientError

__all__ = ("KINDS", "Fault", "Wire")

#: Seconds that a request takes to arrive, and its answer to come back.
LATENCY = 0.005

#: Seconds that a slow answer takes.
SLOW = 9.0

KINDS = ("refused", "lost", "throttled", "slow", "half")


@dataclass
class Fault:
    """What becomes of the next calls of an operation.

    Attributes:
        kind: ``refused`` before it takes effect, ``lost`` is the answer; ``half`` of a batch fails.
        calls: How many of them.
    """

    kind: str
    calls: int


class Wire:
    """The HTTP client of one worker; tells the ledger of everything that passes.

    Attributes:
        faults: By operation.
        cut_until: When the worker is reachable again, and AWS for it.
        has_failed: Whether a call ever failed.
        is_dead: Whether the worker's machine is gone: nothing leaves it any more.
    """

    def __init__(self, worker, aws, ledger):
        self._worker = worker
        self._aws = aws
        self._ledger = ledger
        self.faults = {}
        self.cut_until = 0.0
        self.is_dead = False
        self.has_failed = False

    @property
    def is_cut(self):
        return self._ledger.time() < self.cut_until

    def _fault(self, operation):
        fault = self.faults.get(operation)
        if fault is None:
            return ""
        fault.calls -= 1
        if not fault.calls:
            del self.faults[operation]
        return fault.kind

    async def post(self, url, headers, body, timeout):  # noqa: ASYNC109 - as HttpClient has it
        try:
            return await self._post(url, headers, body, timeout)
        except AwsTransientError:
            raise
        except Exception as error:
            self._ledger.violations.append(f"the ledger itself failed: {error!r}")
            raise

    async def _post(self, url, headers, body, timeout):  # noqa: ASYNC109 - as HttpClient has it
        if self.is_dead:
            await asyncio.Event().wait()
        operation = {name.lower(): value for name, value in headers.items()}["x-amz-target"]
        operation = operation.partition(".")[2]
        request = json.loads(body)
        queue = request.get("QueueUrl", "").rpartition("/")[2]
        asked_at = self._ledger.time()
        self._ledger.asked(self._worker, operation, queue, request)
        kind = self._fault(operation)
        self.has_failed = self.has_failed or bool(kind) or self.is_cut
        await asyncio.sleep(LATENCY)
        if self.is_cut or kind == "refused":
            raise AwsTransientError("no connection", code="ConnectionFailed")
        if kind == "throttled":
            return 400, {}, b'{"__type": "com.amazonaws.sqs#RequestThrottled"}'
        if kind == "half" and "Entries" in request:
            status, answered, body = self._half(operation, request)
        else:
            status, answered, body = await self._aws.post(url, headers, body, timeout)
        answer = json.loads(body)
        if status == 200:
            self._ledger.took_effect(self._worker, operation, queue, request, answer)
        if kind == "slow":
            await asyncio.sleep(SLOW)
        await asyncio.sleep(LATENCY)
        if self.is_cut or kind == "lost":
            raise AwsTransientError("no answer", code="ConnectionFailed")
        if status == 200:
            self._ledger.answered(operation, request, answer, asked_at)
        return status, answered, body

    def _half(self, operation, request):
        """Let SQS refuse every other entry of a batch, the first among them."""
        failed = request["Entries"][::2]
        passed = {**request, "Entries": request["Entries"][1::2]}
        answer = {"Successful": [], "Failed": []}
        if passed["Entries"]:
            done = self._aws._sqs.call(operation, json.dumps(passed).encode(), self._aws._now())
            answer |= json.loads(done)
        answer["Failed"] += [
            {"Id": entry["Id"], "Code": "InternalError", "SenderFault": False, "Message": ""}
            for entry in failed
        ]
        return 200, {}, json.dumps(answer).encode()

    async def aclose(self):
        """Nothing is held open."""
