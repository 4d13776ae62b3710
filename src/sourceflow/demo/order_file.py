"""Orders read from a file of JSON lines, checked before anything is sent."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from sourceflow.demo.orders import AddOrderLine, CreateOrder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sourceflow import Command

__all__ = (
    "BadOrderError",
    "OrderLine",
    "OrderRecord",
    "commands_of",
    "read_orders",
    "sample_orders",
)

MAX_AMOUNT: Final = 10**9
MAX_DECIMALS: Final = 4
"""Money within these, times a quantity, adds up exactly in the 28 digits that Decimal reckons with."""

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Number = Annotated[int, msgspec.Meta(ge=1, lt=2**53)]
Quantity = Annotated[int, msgspec.Meta(ge=1, le=10**6)]


class OrderLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of an order as the file has it."""

    product_id: Number
    quantity: Quantity
    unit_price: Decimal
    discount: Decimal


class OrderRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One order as the file has it."""

    order_id: Number
    customer_id: Text
    order_date: date
    shipped_date: date | None
    freight: Decimal
    ship_country: Text
    lines: Annotated[tuple[OrderLine, ...], msgspec.Meta(min_length=1)]


class BadOrderError(ValueError):
    """Raised when a line of the file is not an order.

    Attributes:
        line: The line's number, from 1.
        field: The field's path; ``(line)`` where the fault is not one field's.
    """

    def __init__(self, line: int, field: str, problem: str) -> None:
        self.line = line
        self.field = field
        super().__init__(f"line {line}, field {field}: {problem}")


_DECODER: Final = msgspec.json.Decoder(OrderRecord)
_WHERE: Final = re.compile(r"^(?P<problem>.*?)(?: - at `(?P<path>\$?[^`]*)`)?$", re.DOTALL)
_FIELD: Final = re.compile(r"field `(?P<field>[^`]+)`")
_BYTE: Final = re.compile(r"\(byte (?P<at>\d+)\)")
_NAME: Final = re.compile(rb'"([^"\\]+)"\s*:')


def read_orders(path: Path) -> list[OrderRecord]:
    """Return all orders of a file.

    Raises:
        BadOrderError: A line is not an order, or two lines are one order.
        OSError: The file cannot be read.
    """
    return _parse(path.read_bytes())


def sample_orders() -> list[OrderRecord]:
    """Return the few orders that come with the package."""
    return _parse(files("sourceflow.demo").joinpath("sample-orders.jsonl").read_bytes())


def _parse(text: bytes) -> list[OrderRecord]:
    orders: list[OrderRecord] = []
    lines: dict[int, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        order = _parse_line(number, line)
        _check_texts(number, order)
        _check_amounts(number, order)
        if order.order_id in lines:
            raise BadOrderError(
                number, "order_id", f"{order.order_id} stands on line {lines[order.order_id]} too"
            )
        lines[order.order_id] = number
        orders.append(order)
    if not orders:
        raise BadOrderError(1, "(line)", "the file holds no order")
    return orders


def _parse_line(number: int, line: bytes) -> OrderRecord:
    try:
        return _DECODER.decode(line)
    except msgspec.ValidationError as error:
        raise _bad(number, str(error)) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadOrderError(number, _field_before(line, str(error)), f"not JSON: {error}") from None


def _field_before(line: bytes, problem: str) -> str:
    """Return the last field that begins before the place where JSON ends to make sense."""
    place = _BYTE.search(problem)
    names = _NAME.findall(line if place is None else line[: int(place["at"])])
    return names[-1].decode(errors="replace") if names else "(line)"


def _check_texts(number: int, order: OrderRecord) -> None:
    for field, text in (("customer_id", order.customer_id), ("ship_country", order.ship_country)):
        if not text.strip() or not text.isprintable():
            raise BadOrderError(number, field, "must be text that can be printed")


def _check_amounts(number: int, order: OrderRecord) -> None:
    _check_amount(number, "freight", order.freight, MAX_AMOUNT)
    for at, line in enumerate(order.lines):
        _check_amount(number, f"lines[{at}].unit_price", line.unit_price, MAX_AMOUNT)
        _check_amount(number, f"lines[{at}].discount", line.discount, 1)


def _check_amount(number: int, field: str, amount: Decimal, most: int) -> None:
    if not amount.is_finite() or not 0 <= amount <= most:
        raise BadOrderError(number, field, f"must be a number from 0 to {most:,}")
    if -int(amount.as_tuple().exponent) > MAX_DECIMALS:
        raise BadOrderError(number, field, f"has more than {MAX_DECIMALS} decimals")


def _bad(number: int, text: str) -> BadOrderError:
    """Say in one way where it is wrong: the path, or the field that is missing or unknown."""
    match = _WHERE.match(text)
    assert match is not None
    problem = match["problem"]
    path = (match["path"] or "$").removeprefix("$").removeprefix(".")
    named = _FIELD.search(problem)
    if named is not None:
        path = f"{path}.{named['field']}" if path else named["field"]
    return BadOrderError(number, path or "(line)", problem)


def commands_of(order: OrderRecord) -> Iterator[Command]:
    """Return the commands of an order, in the order they have to take effect in."""
    yield CreateOrder(
        order_id=order.order_id,
        customer_id=order.customer_id,
        order_date=order.order_date,
        ship_date=order.shipped_date,
        freight=order.freight,
        country=order.ship_country,
        lines=len(order.lines),
    )
    for line in order.lines:
        yield AddOrderLine(
            order_id=order.order_id,
            product_id=line.product_id,
            quantity=line.quantity,
            unit_price=line.unit_price,
            discount=line.discount,
        )
