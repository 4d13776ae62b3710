from __future__ import annotations

import random
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest

from sourceflow.demo.orders import (
    AddOrderLine,
    CountrySales,
    CountrySalesView,
    OrderCreated,
    OrderLineAdded,
    OrderShipped,
    OrderSummaries,
    OrderSummary,
    line_total,
)

EVENTS = (
    OrderCreated(order_id=1, customer_id="ALPHA", country="Austria", freight=Decimal("32.38")),
    OrderLineAdded(order_id=1, country="Austria", total=Decimal("168.00")),
    OrderLineAdded(order_id=1, country="Austria", total=Decimal("98.005")),
    OrderShipped(order_id=1, country="Austria", ship_date=date(1996, 7, 16)),
)
METHODS = {OrderCreated: "created", OrderLineAdded: "line_added", OrderShipped: "shipped"}


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (
            OrderSummaries,
            OrderSummary(
                id=1,
                customer_id="ALPHA",
                country="Austria",
                lines=2,
                total=Decimal("266.005"),
                freight=Decimal("32.38"),
                shipped=True,
            ),
        ),
        (
            CountrySalesView,
            CountrySales(
                country="Austria",
                orders=1,
                lines=2,
                shipped=1,
                total=Decimal("266.005"),
                freight=Decimal("32.38"),
            ),
        ),
    ],
)
@pytest.mark.parametrize("seed", range(12))
async def test_a_view_is_right_in_any_order_of_events(view, expected, seed):
    row = None
    for event in random.Random(seed).sample(EVENTS, len(EVENTS)):
        row = await getattr(view(), METHODS[type(event)])(event, row)
    assert row == expected


def test_a_line_costs_what_it_costs_exactly():
    line = AddOrderLine(
        order_id=1,
        product_id=1,
        quantity=999_999,
        unit_price=Decimal("999999999.9999"),
        discount=Decimal("0.1234"),
    )
    exact = Fraction("999999999.9999") * 999_999 * (1 - Fraction("0.1234"))
    assert Fraction(line_total(line)) == exact
