"""The orders service that ``sourceflow demo`` runs, started by a program of one's own.

Run it: ``python examples/orders/orders.py``. SQS and SNS are in memory, unless ``AWS_ENDPOINT_URL``
names another place, such as LocalStack. State is kept in an SQLite file that is removed at the
end, unless ``--store`` names a database. With ``AWS_ENDPOINT_URL`` set, ``python
examples/orders/orders.py work --store sqlite:///orders.db`` is a worker that goes on until Ctrl-C or
SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from contextlib import AsyncExitStack
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from sourceflow import App
from sourceflow.demo.orders import (
    COMPONENTS,
    AddOrderLine,
    CountrySales,
    CreateOrder,
    OrderSummary,
    topology,
)
from sourceflow.demo.program import credentials_for
from sourceflow.demo.store import stores_at
from sourceflow.testing import LocalAws
from sourceflow.transports.aws import AwsOptions, AwsTransport

if TYPE_CHECKING:
    from sourceflow.bus.ports import Stores


def orders_app(endpoint_url: str, stores: Stores) -> App:
    """Put the service together: its components, and where their messages travel."""
    options = AwsOptions(region="us-east-1", endpoint_url=endpoint_url, resource_prefix="example-")
    transport = AwsTransport(options, topology, credentials=credentials_for(endpoint_url))
    return App(COMPONENTS, name="orders", stores=stores).use(transport)


async def order_two_things(app: App, order_id: int) -> None:
    """Order two things that are shipped when the second one is known."""
    await app.send(
        CreateOrder(
            order_id=order_id,
            customer_id="VINET",
            order_date=date(1996, 7, 4),
            ship_date=date(1996, 7, 16),
            freight=Decimal("32.38"),
            country="France",
            lines=2,
        )
    )
    for product, price in ((11, "14.00"), (42, "9.80")):
        await app.send(
            AddOrderLine(
                order_id=order_id,
                product_id=product,
                quantity=10,
                unit_price=Decimal(price),
                discount=Decimal("0.05"),
            )
        )


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="The orders service.")
    parser.add_argument("mode", nargs="?", choices=["order", "work"], default="order")
    parser.add_argument("--store", metavar="URL", help="memory, or the URL of a database")
    return parser.parse_args()


async def main() -> None:
    asked = arguments()
    async with AsyncExitStack() as stack:
        endpoint_url = os.environ.get("AWS_ENDPOINT_URL")
        if not endpoint_url:
            endpoint_url = (await stack.enter_async_context(LocalAws())).endpoint_url
        app = orders_app(endpoint_url, stack.enter_context(stores_at(asked.store)))
        if asked.mode == "work":
            await app.run()
            return
        async with app:
            await order_two_things(app, 10248)
            await app.drained()
            order = await app.get(OrderSummary, 10248)
            print(f"order {order.id}: {order.lines} lines, {order.total}, shipped: {order.shipped}")
            sales = await app.get(CountrySales, "France")
            print(
                f"{sales.country}: {sales.orders} order, {sales.total} and {sales.freight} freight"
            )


if __name__ == "__main__":
    asyncio.run(main())
