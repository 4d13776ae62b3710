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

Text = Annotated[str, msgspec.Meta(min_length=1)]
Positive = Annotated[int, msgspec.Meta(ge=1)]


class OrderLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of an order as the file has it."""

    product_id: Positive
    quantity: Positive
    unit_price: Decimal
    discount: Decimal


class OrderRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One order as the file has it."""

    order_id: Positive
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
        field: The field's path; ``(line)`` where the line is not JSON at all.
    """

    def __init__(self, line: int, field: str, problem: str) -> None:
        self.line = line
        self.field = field
        super().__init__(f"line {line}, field {field}: {problem}")


_DECODER: Final = msgspec.json.Decoder(OrderRecord)
_WHERE: Final = re.compile(r"^(?P<problem>.*?)(?: - at `(?P<path>\$?[^`]*)`)?$", re.DOTALL)
_FIELD: Final = re.compile(r"field `(?P<field>[^`]+)`")


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
        raise BadOrderError(number, "(line)", f"not JSON: {error}") from None


def _check_amounts(number: int, order: OrderRecord) -> None:
    amounts: list[tuple[str, Decimal, Decimal | None]] = [("freight", order.freight, None)]
    for at, line in enumerate(order.lines):
        amounts.append((f"lines[{at}].unit_price", line.unit_price, None))
        amounts.append((f"lines[{at}].discount", line.discount, Decimal(1)))
    for field, amount, most in amounts:
        if not amount.is_finite() or amount < 0:
            raise BadOrderError(number, field, "must be a number from 0")
        if most is not None and amount > most:
            raise BadOrderError(number, field, f"must be at most {most}")


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
