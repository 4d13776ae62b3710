"""Takes entries out of batches, and turns successes in their answers into failures."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qsl, urlencode

from sourceflow.testing.local_aws.face import xml_answer
from sourceflow.testing.local_aws.sns.answers import batch_result
from sourceflow.transports.aws.client.xml import parse_xml

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = ("Batch", "read_batch")

_FAILURE: Final = {"Code": "InternalError", "Message": "Please try again."}
_DEDUPLICATION: Final = "MessageDeduplicationId"
_COPY: Final = ".copy"
_MEMBER: Final = re.compile(r"(.+\.member)\.(\d+)\.(.+)")


class Batch(NamedTuple):
    """A request for several entries.

    Attributes:
        operation: The API operation.
        body: The request as it came.
        ids: The entries' ids.
    """

    operation: str
    body: bytes
    ids: tuple[str, ...]

    @property
    def is_json(self) -> bool:
        """Whether it is in the protocol of SQS; SNS has another one."""
        return self.operation != "PublishBatch"

    def without(self, ids: Collection[str]) -> bytes:
        """Return the request without some entries."""
        if self.is_json:
            request = json.loads(self.body)
            request["Entries"] = [each for each in request["Entries"] if each["Id"] not in ids]
            return json.dumps(request).encode()
        fields = parse_qsl(self.body.decode(), keep_blank_values=True)
        kept = [place for place, each in enumerate(self.ids, 1) if each not in ids]
        numbers = {str(old): new for new, old in enumerate(kept, 1)}
        return urlencode([*_renumbered(fields, numbers)]).encode()

    def copy(self) -> bytes:
        """Return a request that sends the same once more, and is no repetition to a FIFO queue."""
        if self.is_json:
            request = json.loads(self.body)
            for entry in request["Entries"]:
                if _DEDUPLICATION in entry:
                    entry[_DEDUPLICATION] += _COPY
            return json.dumps(request).encode()
        fields = parse_qsl(self.body.decode(), keep_blank_values=True)
        return urlencode(
            [
                (name, value + _COPY if name.endswith(f".{_DEDUPLICATION}") else value)
                for name, value in fields
            ]
        ).encode()

    def answer_without_success(self, answer: bytes | None, ids: Collection[str]) -> bytes:
        """Return an answer in which some entries have failed; None stands for an empty one."""
        failures = [{"Id": each, **_FAILURE} for each in ids]
        if self.is_json:
            result = {"Successful": [], "Failed": []} | json.loads(answer or "{}")
            result["Successful"] = [each for each in result["Successful"] if each["Id"] not in ids]
            result["Failed"] += [{"SenderFault": False, **failure} for failure in failures]
            return json.dumps(result).encode()
        successful, failed = _rows(answer, "Successful"), _rows(answer, "Failed")
        result = batch_result(
            (row for row in successful if row["Id"] not in ids),
            [*failed, *({"SenderFault": "false", **failure} for failure in failures)],
        )
        return xml_answer("sns", self.operation, result).body


def read_batch(operation: str, body: bytes) -> Batch:
    """Read a batch request."""
    if operation == "PublishBatch":
        fields = parse_qsl(body.decode(), keep_blank_values=True)
        ids = tuple(value for name, value in fields if re.fullmatch(r".+\.member\.\d+\.Id", name))
    else:
        ids = tuple(entry["Id"] for entry in json.loads(body)["Entries"])
    return Batch(operation, body, ids)


def _renumbered(
    fields: Iterable[tuple[str, str]], numbers: dict[str, int]
) -> Iterable[tuple[str, str]]:
    for name, value in fields:
        member = _MEMBER.fullmatch(name)
        if member is None:
            yield name, value
        elif member[2] in numbers:
            yield f"{member[1]}.{numbers[member[2]]}.{member[3]}", value


def _rows(answer: bytes | None, name: str) -> list[dict[str, str]]:
    if answer is None:
        return []
    members = parse_xml(answer).iterfind(f"PublishBatchResult/{name}/member")
    return [{field.tag: field.text or "" for field in member} for member in members]
