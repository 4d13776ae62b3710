"""Just enough XML to read the answers of SNS."""

from __future__ import annotations

from xml.etree import ElementTree as ET

__all__ = ("InvalidXmlError", "parse_xml")


class InvalidXmlError(ValueError):
    """Raised when an answer is no XML that AWS would send."""


def parse_xml(document: bytes) -> ET.Element:
    """Parse an answer and drop its namespace from the names of all elements.

    Document types are refused, so there are no entities to expand or to fetch. Decoding first makes sure
    that no other encoding hides one.

    Raises:
        InvalidXmlError: It is not UTF-8, not well-formed, or has a document type.
    """
    try:
        text = document.decode()
        if "<!DOCTYPE" in text:
            raise InvalidXmlError("a document type is not allowed")
        root = ET.fromstring(text)  # nosec B314 # noqa: S314 - made safe above
    except (UnicodeDecodeError, ET.ParseError) as error:
        raise InvalidXmlError(str(error)) from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root
