"""The rules of the orders service, told as scenarios of its App as it is deployed."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from sourceflow import App
from sourceflow.demo.orders import (
    COMPONENTS,
    AddOrderLine,
    CountrySales,
    CreateOrder,
    Order,
    OrderLineAdded,
    OrderShipped,
    OrderSummary,
    Shipment,
    ShipOrder,
    topology,
)
from sourceflow.errors import RejectedError
from sourceflow.testing import absent, given, like
from sourceflow.transports.aws import AwsOptions, AwsTransport

DAY = date(1996, 7, 16)
APP = App(COMPONENTS, name="orders").use(AwsTransport(AwsOptions(region="us-east-1"), topology))
LINE = AddOrderLine(
    order_id=1, product_id=11, quantity=2, unit_price=Decimal(5), discount=Decimal("0.1")
)
ADDED = OrderLineAdded(order_id=1, country="France", total=Decimal("9.0"))


def ordered(lines, *, ship_date=DAY):
    return CreateOrder(
        order_id=1,
        customer_id="VINET",
        order_date=date(1996, 7, 4),
        ship_date=ship_date,
        freight=Decimal(3),
        country="France",
        lines=lines,
    )


async def test_a_line_is_added_to_the_order_and_to_both_views():
    await (
        given(ordered(2), app=APP)
        .when(LINE)
        .then(
            ADDED,
            like(Order, id=1, lines=1, total=Decimal("9.0")),
            like(OrderSummary, id=1, lines=1, shipped=False),
            like(CountrySales, country="France", orders=1, lines=1, shipped=0),
            absent(Shipment, 1),
        )
    )


@pytest.mark.parametrize("times", ["once", "twice"])
async def test_the_last_line_sends_the_order_off_once(times):
    last = given(ordered(1), app=APP).when(LINE)
    if times == "twice":
        last = last.twice()

    await last.then(
        ADDED,
        OrderShipped(order_id=1, country="France", ship_date=DAY),
        ShipOrder(order_id=1, country="France", ship_date=DAY),
        Shipment(id=1, ship_date=DAY),
        like(OrderSummary, id=1, shipped=True),
    )


async def test_an_order_without_a_day_is_not_sent_off():
    await given(ordered(1, ship_date=None), app=APP).when(LINE).then(ADDED, absent(Shipment, 1))


async def test_an_order_that_has_all_of_its_lines_takes_no_more():
    await given(ordered(1), LINE, app=APP).when(LINE).then_raises(RejectedError, match="1 lines")
