"""Requests and answers as they look on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qsl
from xml.etree.ElementTree import Element, SubElement, tostring

import msgspec

from sourceflow.testing.local_aws.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sourceflow.testing.local_aws.errors import AwsFault

__all__ = (
    "JSON_TARGETS",
    "Answer",
    "form_of",
    "json_answer",
    "json_fault",
    "xml_answer",
    "xml_fault",
)

JSON_TARGETS: Final = {"AmazonSQS": "sqs", "TrentService": "kms"}
"""The services that speak JSON, by their names in ``X-Amz-Target``."""

NAMESPACES: Final = {
    "sns": "http://sns.amazonaws.com/doc/2010-03-31/",
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
}
BAD_REQUEST: Final = 400
SERVER_ERROR: Final = 500
_CONTENT_TYPES: Final = {
    "sqs": "application/x-amz-json-1.0",
    "kms": "application/x-amz-json-1.1",
}
_SIGNATURE_CODES: Final = {
    "MissingAuthenticationToken": "MissingAuthenticationTokenException",
    "InvalidClientTokenId": "UnrecognizedClientException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
    "IncompleteSignature": "IncompleteSignatureException",
}
"""What KMS says where others say the former (KMS API reference, "Common Errors")."""


class Answer(NamedTuple):
    """What goes back.

    Attributes:
        status: The HTTP status.
        headers: The headers.
        body: The body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


def json_answer(service: str, body: bytes) -> Answer:
    """Return the answer to a JSON request."""
    return Answer(
        200, {"Content-Type": _CONTENT_TYPES[service], "x-amzn-RequestId": new_id()}, body
    )


def json_fault(service: str, fault: AwsFault) -> Answer:
    """Return an error in the JSON protocol; SQS puts its code in the old protocol beside it."""
    headers = {"Content-Type": _CONTENT_TYPES[service], "x-amzn-RequestId": new_id()}
    kind, status = fault.code, fault.status
    if service == "sqs":
        blame = "Sender" if status < SERVER_ERROR else "Receiver"
        headers["x-amzn-query-error"] = f"{fault.query_code};{blame}"
        kind = f"com.amazonaws.sqs#{kind}"
    elif kind in _SIGNATURE_CODES:
        kind, status = _SIGNATURE_CODES[kind], BAD_REQUEST
    body = {"__type": kind, "message": fault.message}
    return Answer(status, headers, msgspec.json.encode(body))


def form_of(body: bytes) -> dict[str, str]:
    """Return the parameters of a query request."""
    return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))


def xml_answer(service: str, action: str, result: Element | None) -> Answer:
    """Return the answer to a query request."""
    root = Element(f"{action}Response", xmlns=NAMESPACES[service])
    if result is not None:
        result.tag = f"{action}Result"
        root.append(result)
    metadata = SubElement(root, "ResponseMetadata")
    SubElement(metadata, "RequestId").text = new_id()
    return Answer(200, {"Content-Type": "text/xml"}, tostring(root))


def xml_fault(service: str, fault: AwsFault) -> Answer:
    """Return an error in the query protocol."""
    root = Element("ErrorResponse", xmlns=NAMESPACES.get(service, NAMESPACES["sns"]))
    error = SubElement(root, "Error")
    SubElement(error, "Type").text = "Sender" if fault.status < SERVER_ERROR else "Receiver"
    SubElement(error, "Code").text = fault.code
    SubElement(error, "Message").text = fault.message
    SubElement(root, "RequestId").text = new_id()
    return Answer(fault.status, {"Content-Type": "text/xml"}, tostring(root))
