"""The orders service: two sagas, two read models, and who talks to whom.

Everything here is what a user writes; ``examples/orders`` starts it by a program of its own.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from sourceflow import (
    Command,
    Entity,
    Event,
    Key,
    Reject,
    Saga,
    View,
    ViewModel,
    handles,
    projects,
)

if TYPE_CHECKING:
    from sourceflow.transports.aws.bus import Bus

__all__ = (
    "COMPONENTS",
    "AddOrderLine",
    "CountrySales",
    "CountrySalesView",
    "CreateOrder",
    "Order",
    "OrderCreated",
    "OrderLineAdded",
    "OrderSaga",
    "OrderShipped",
    "OrderSummaries",
    "OrderSummary",
    "ShipOrder",
    "Shipment",
    "ShipmentSaga",
    "line_total",
    "topology",
)

ZERO = Decimal(0)


class CreateOrder(Command):
    """Open an order that will have so many lines."""

    order_id: Key[int]
    customer_id: str
    order_date: date
    ship_date: date | None
    freight: Decimal
    country: str
    lines: int


class AddOrderLine(Command):
    """Add one line; with the last line of a shipped order, its shipment is sent off."""

    order_id: Key[int]
    product_id: int
    quantity: int
    unit_price: Decimal
    discount: Decimal


class ShipOrder(Command):
    """Send an order off."""

    order_id: Key[int]
    ship_date: date
    country: str


class OrderCreated(Event):
    """An order is open."""

    order_id: Key[int]
    customer_id: str
    country: str
    freight: Decimal


class OrderLineAdded(Event):
    """An order has one line more."""

    order_id: Key[int]
    country: str
    total: Decimal


class OrderShipped(Event):
    """An order is on its way."""

    order_id: Key[int]
    country: str
    ship_date: date


class Order(Entity):
    """An order with its lines so far."""

    id: Key[int]
    country: str
    ship_date: date | None
    lines_expected: int
    lines: int = 0
    total: Decimal = ZERO


class Shipment(Entity):
    """What was sent off for an order."""

    id: Key[int]
    ship_date: date


class OrderSummary(ViewModel, indexes=("country", "total", "shipped")):
    """One order as the shop shows it. Every field may come first: events arrive in any order."""

    id: Key[int]
    customer_id: str = ""
    country: str = ""
    lines: int = 0
    total: Decimal = ZERO
    freight: Decimal = ZERO
    shipped: bool = False


class CountrySales(ViewModel, indexes=("total",)):
    """What one country has bought."""

    country: Key[str]
    orders: int = 0
    lines: int = 0
    shipped: int = 0
    total: Decimal = ZERO
    freight: Decimal = ZERO


def line_total(command: AddOrderLine) -> Decimal:
    """Return what a line costs, exactly."""
    return command.unit_price * command.quantity * (1 - command.discount)


class OrderSaga(Saga[Order]):
    """Handles the commands of orders."""

    @handles(creates=True)
    async def create(self, command: CreateOrder) -> Order:
        """Open an order."""
        self.raise_event(
            OrderCreated(
                order_id=command.order_id,
                customer_id=command.customer_id,
                country=command.country,
                freight=command.freight,
            )
        )
        return Order(
            id=command.order_id,
            country=command.country,
            ship_date=command.ship_date,
            lines_expected=command.lines,
        )

    @handles
    async def add_line(self, order: Order, command: AddOrderLine) -> Order:
        """Add a line, and send the order off when it was the last one."""
        if order.lines >= order.lines_expected:
            raise Reject(f"the order has all of its {order.lines_expected} lines already")
        total = line_total(command)
        self.raise_event(
            OrderLineAdded(order_id=command.order_id, country=order.country, total=total)
        )
        order = replace(order, lines=order.lines + 1, total=order.total + total)
        if order.lines == order.lines_expected and order.ship_date is not None:
            await self.send(
                ShipOrder(order_id=order.id, ship_date=order.ship_date, country=order.country)
            )
        return order


class ShipmentSaga(Saga[Shipment]):
    """Handles the commands of shipments."""

    @handles(creates=True)
    async def ship(self, command: ShipOrder) -> Shipment:
        """Send an order off."""
        self.raise_event(
            OrderShipped(
                order_id=command.order_id, country=command.country, ship_date=command.ship_date
            )
        )
        return Shipment(id=command.order_id, ship_date=command.ship_date)


class OrderSummaries(View[OrderSummary], lifecycle="async"):
    """Keeps a summary of each order."""

    @projects
    async def created(self, event: OrderCreated, row: OrderSummary | None) -> OrderSummary:
        """Note whose order it is."""
        return replace(
            row or OrderSummary(id=event.order_id),
            customer_id=event.customer_id,
            country=event.country,
            freight=event.freight,
        )

    @projects
    async def line_added(self, event: OrderLineAdded, row: OrderSummary | None) -> OrderSummary:
        """Add a line to the total."""
        row = row or OrderSummary(id=event.order_id)
        return replace(row, lines=row.lines + 1, total=row.total + event.total)

    @projects
    async def shipped(self, event: OrderShipped, row: OrderSummary | None) -> OrderSummary:
        """Note that it is on its way."""
        return replace(row or OrderSummary(id=event.order_id), shipped=True)


def _country(event: OrderCreated | OrderLineAdded | OrderShipped) -> str:
    return event.country


class CountrySalesView(View[CountrySales], lifecycle="async"):
    """Adds up what each country buys."""

    @projects(key=_country)
    async def created(self, event: OrderCreated, row: CountrySales | None) -> CountrySales:
        """Count an order."""
        row = row or CountrySales(country=event.country)
        return replace(row, orders=row.orders + 1, freight=row.freight + event.freight)

    @projects(key=_country)
    async def line_added(self, event: OrderLineAdded, row: CountrySales | None) -> CountrySales:
        """Add a line."""
        row = row or CountrySales(country=event.country)
        return replace(row, lines=row.lines + 1, total=row.total + event.total)

    @projects(key=_country)
    async def shipped(self, event: OrderShipped, row: CountrySales | None) -> CountrySales:
        """Count a shipment."""
        row = row or CountrySales(country=event.country)
        return replace(row, shipped=row.shipped + 1)


COMPONENTS = (OrderSaga, ShipmentSaga, OrderSummaries, CountrySalesView)


def topology(bus: Bus) -> object:
    """Say where messages travel: two FIFO queues and one topic, and this service listens to all."""
    return (
        bus.send.command(CreateOrder, queue="orders.fifo")
        .command(AddOrderLine, queue="orders.fifo")
        .command(ShipOrder, queue="shipping.fifo")
        .raise_.event(OrderCreated, topic="order-events")
        .event(OrderLineAdded, topic="order-events")
        .event(OrderShipped, topic="order-events")
        .listen.to.command_queue("orders.fifo")
        .command_queue("shipping.fifo")
        .subscribe.to.topic("order-events")
    )
