"""Results of SNS's operations, as XML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from xml.etree.ElementTree import Element, SubElement

from sourceflow.testing.local_aws.errors import AwsFault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ("batch_result", "list_of", "map_of_texts", "page_of", "texts")

PAGE: Final = 100
"""Rows that one listing returns (SNS API reference, ``ListTopics``)."""


def texts(values: Mapping[str, str]) -> Element:
    """Return one text an element."""
    result = Element("Result")
    _write(result, values)
    return result


def map_of_texts(values: Mapping[str, str]) -> Element:
    """Return attributes, by name."""
    result = Element("Result")
    attributes = SubElement(result, "Attributes")
    for key, value in values.items():
        _write(SubElement(attributes, "entry"), {"key": key, "value": value})
    return result


def list_of(name: str, rows: Iterable[Mapping[str, str]]) -> Element:
    """Return rows, each of several texts."""
    result = Element("Result")
    _write_rows(SubElement(result, name), rows)
    return result


def page_of(name: str, rows: Sequence[Mapping[str, str]], token: str | None) -> Element:
    """Return one page of rows, from a token on, and the token of the next page.

    Raises:
        AwsFault: The token is none.
    """
    if token is not None and not (token.isascii() and token.isdigit()):
        raise AwsFault("InvalidParameter", "Invalid parameter: NextToken")
    start = int(token or 0)
    result = list_of(name, rows[start : start + PAGE])
    if len(rows) > start + PAGE:
        SubElement(result, "NextToken").text = str(start + PAGE)
    return result


def batch_result(
    successful: Iterable[Mapping[str, str]], failed: Iterable[Mapping[str, str]]
) -> Element:
    """Return what became of the entries of a batch."""
    result = Element("Result")
    _write_rows(SubElement(result, "Successful"), successful)
    _write_rows(SubElement(result, "Failed"), failed)
    return result


def _write_rows(parent: Element, rows: Iterable[Mapping[str, str]]) -> None:
    for row in rows:
        _write(SubElement(parent, "member"), row)


def _write(parent: Element, values: Mapping[str, str]) -> None:
    for name, text in values.items():
        SubElement(parent, name).text = text
