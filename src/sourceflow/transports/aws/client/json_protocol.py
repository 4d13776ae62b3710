"""Answers of the services that speak AWS's JSON protocols: SQS and KMS."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from sourceflow.transports.aws.client.errors import unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("json_headers", "read_answer")

_T = TypeVar("_T")


def json_headers(version: str, target: str) -> Mapping[str, str]:
    """Return the headers that mark an operation.

    Args:
        version: The protocol's, such as ``1.1``.
        target: The service's name in the protocol and the operation: ``TrentService.Decrypt``.
    """
    return {"Content-Type": f"application/x-amz-json-{version}", "X-Amz-Target": target}


def read_answer(decoder: msgspec.json.Decoder[_T], answer: bytes, operation: str) -> _T:
    """Read a successful answer.

    Raises:
        AwsTransientError: It is not what the operation answers.
    """
    try:
        return decoder.decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # No cause: msgspec's text may hold a value, and an answer of KMS holds keys.
        raise unreadable(operation) from None
