"""Runs the demo: sends a file of orders through the service and sums up what came out."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from contextlib import AsyncExitStack
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from sourceflow import App
from sourceflow.demo.order_file import commands_of
from sourceflow.demo.orders import (
    COMPONENTS,
    CountrySales,
    Order,
    OrderSummary,
    topology,
)
from sourceflow.demo.tally import Tally
from sourceflow.resilience.task_scope import TaskScope
from sourceflow.transports.aws import AwsOptions, AwsTransport
from sourceflow.transports.aws.client import StaticCredentials

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sourceflow.bus.ports import Stores
    from sourceflow.demo.order_file import OrderRecord
    from sourceflow.transports.aws.client import CredentialsProvider

__all__ = ("OrdersExistError", "Summary", "build_app", "run_demo")

REGION: Final = "us-east-1"
SENT_AT_ONCE: Final = 200
DRAIN_LIMIT: Final = timedelta(minutes=10)

EMULATOR_CREDENTIALS: Final = StaticCredentials("test", "test")
"""What LocalAws and LocalStack take."""

_SAYS_WHO: Final = frozenset({"AWS_ACCESS_KEY_ID", "AWS_PROFILE"})


class OrdersExistError(Exception):
    """Raised when the store has an order of the file already; nothing was sent.

    Attributes:
        order_id: One of them.
    """

    def __init__(self, order_id: int) -> None:
        self.order_id = order_id
        super().__init__(
            f"the store has order {order_id} already: give --store a fresh one, or other orders"
        )


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What came out, as ``--json`` prints it."""

    orders: int
    lines: int
    shipped: int
    total: str
    freight: str
    commands_handled: int
    events_projected: int
    duplicates: int
    dead_letters: int
    by_country: dict[str, str]
    seconds: float


def build_app(
    *,
    endpoint_url: str,
    prefix: str,
    stores: Stores | None,
    tally: Tally,
    credentials: CredentialsProvider | None,
) -> App:
    """Put the orders service together."""
    transport = AwsTransport(
        AwsOptions(
            region=REGION,
            endpoint_url=endpoint_url,
            resource_prefix=prefix,
            max_concurrent_calls=50,
        ),
        topology,
        credentials=credentials,
    )
    return App(COMPONENTS, name="orders", stores=stores, observer=tally).use(transport)


def new_tally() -> Tally:
    """Return a tally that knows who projects what."""
    views = ("OrderSummaries", "CountrySalesView")
    return Tally(
        {
            name: frozenset(f"{view}.{method}" for view in views)
            for name, method in (
                ("OrderCreated", "created"),
                ("OrderLineAdded", "line_added"),
                ("OrderShipped", "shipped"),
            )
        }
    )


def credentials_for(endpoint_url: str) -> CredentialsProvider | None:
    """Return what an emulator on this machine takes, unless the environment says who asks.

    None leaves it to the environment.
    """
    is_local = urlsplit(endpoint_url).hostname in {"localhost", "127.0.0.1", "::1"}
    return EMULATOR_CREDENTIALS if is_local and not _SAYS_WHO & os.environ.keys() else None


async def run_demo(
    orders: Sequence[OrderRecord],
    *,
    endpoint_url: str | None = None,
    stores: Stores | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Summary, bool]:
    """Send orders through the service and wait until everything has come out.

    Args:
        orders: What to send.
        endpoint_url: Where AWS is; a LocalAws is started where None.
        stores: Where state is kept; in memory where None.
        progress: Is told now and then how many commands are handled, of how many, if anybody.

    Returns:
        The summary, and whether each command was handled once and each event projected once.

    Raises:
        OrdersExistError: The store has one of the orders already.
    """
    tally = new_tally()
    async with AsyncExitStack() as stack:
        if endpoint_url is None:
            from sourceflow.testing import LocalAws  # noqa: PLC0415 - brings a server along

            endpoint_url = (await stack.enter_async_context(LocalAws())).endpoint_url
            credentials: CredentialsProvider | None = EMULATOR_CREDENTIALS
        else:
            credentials = credentials_for(endpoint_url)
        app = build_app(
            endpoint_url=endpoint_url,
            prefix=f"demo-{secrets.token_hex(4)}-",
            stores=stores,
            tally=tally,
            credentials=credentials,
        )
        await stack.enter_async_context(app)
        for order in orders:
            if await app.find(Order, order.order_id) is not None:
                raise OrdersExistError(order.order_id)
        before = await _sales(app)
        started = time.monotonic()
        await _send_all(app, orders, tally, progress or _nobody_looks)
        return await _sum_up(app, orders, before, tally, time.monotonic() - started)


def _nobody_looks(_done: int, _all: int) -> None:
    """Show nothing."""


async def _send_all(
    app: App,
    orders: Sequence[OrderRecord],
    tally: Tally,
    progress: Callable[[int, int], None],
) -> None:
    commands = [command for order in orders for command in commands_of(order)]
    expected = len(commands) + sum(order.shipped_date is not None for order in orders)

    async def report() -> None:
        while True:
            progress(tally.commands_handled, expected)
            await asyncio.sleep(0.1)

    async with TaskScope() as tasks:
        reporting = tasks.create_task(report())
        try:
            for start in range(0, len(commands), SENT_AT_ONCE):
                await app.send_many(commands[start : start + SENT_AT_ONCE])
            await app.drained(timeout=DRAIN_LIMIT)
        finally:
            reporting.cancel()
    progress(tally.commands_handled, expected)


class _Sales(NamedTuple):
    """The sums of all countries."""

    total: Decimal
    orders: int
    lines: int
    shipped: int


async def _sales(app: App) -> _Sales:
    rows = await app.query(CountrySales)
    return _Sales(
        sum((row.total for row in rows), Decimal(0)),
        sum(row.orders for row in rows),
        sum(row.lines for row in rows),
        sum(row.shipped for row in rows),
    )


async def _sum_up(
    app: App, orders: Sequence[OrderRecord], before: _Sales, tally: Tally, seconds: float
) -> tuple[Summary, bool]:
    sent = {order.order_id for order in orders}
    summaries = [row for row in await app.query(OrderSummary) if row.id in sent]
    countries = await app.query(CountrySales)
    summary = Summary(
        orders=len(summaries),
        lines=sum(row.lines for row in summaries),
        shipped=sum(row.shipped for row in summaries),
        total=plain(sum((row.total for row in summaries), Decimal(0))),
        freight=plain(sum((row.freight for row in summaries), Decimal(0))),
        commands_handled=tally.commands_handled,
        events_projected=tally.events_projected,
        duplicates=tally.duplicates,
        dead_letters=tally.dead_letters,
        by_country={row.country: plain(row.total) for row in countries},
        seconds=round(seconds, 3),
    )
    after = await _sales(app)
    grown = _Sales(
        after.total - before.total,
        after.orders - before.orders,
        after.lines - before.lines,
        after.shipped - before.shipped,
    )
    return summary, tally.each_once and _is_complete(summary, orders, grown)


def _is_complete(summary: Summary, orders: Sequence[OrderRecord], grown: _Sales) -> bool:
    """Whether everything came out that went in, in both read models."""
    lines = sum(len(order.lines) for order in orders)
    shipped = sum(order.shipped_date is not None for order in orders)
    total = sum(
        (
            line.unit_price * line.quantity * (1 - line.discount)
            for order in orders
            for line in order.lines
        ),
        Decimal(0),
    )
    messages = len(orders) + lines + shipped
    return (
        (summary.orders, summary.lines, summary.shipped) == (len(orders), lines, shipped)
        and summary.total == plain(total)
        and summary.commands_handled == messages
        and summary.events_projected == messages
        and grown == _Sales(total, len(orders), lines, shipped)
    )


def plain(amount: Decimal) -> str:
    """Return money as a plain decimal number."""
    return format(amount.normalize(), "f")
