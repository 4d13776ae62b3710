"""An order service with a web face: FastAPI in front, commands over SQS, events over SNS, health.

Run it with LocalAws and an SQLite file::

    pip install 'sourceflow[cli]' fastapi uvicorn
    sourceflow local &
    AWS_ENDPOINT_URL=http://127.0.0.1:4566 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test \
        uvicorn --app-dir examples/fastapi service:web

    curl -X POST http://127.0.0.1:8000/orders/o-1 -H 'content-type: application/json' -d '{"total": "9.90"}'
    curl http://127.0.0.1:8000/orders/o-1
    curl http://127.0.0.1:8000/probes/ready

``ORDERS_DATABASE_URL`` names another database, ``AWS_ENDPOINT_URL`` another AWS. ``sourceflow health
service:app`` looks at what the service depends on, from beside it.
"""

from __future__ import annotations

import os
from decimal import Decimal

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from sourceflow import (
    Aggregate,
    App,
    Command,
    Entity,
    Event,
    HealthApp,
    Key,
    Saga,
    View,
    ViewModel,
    handles,
    projects,
)
from sourceflow.errors import InvalidMessageError
from sourceflow.stores.sql import SqlStores
from sourceflow.transports.aws import AwsOptions, AwsTransport


class PlaceOrder(Command):
    order_id: Key[str]
    total: Decimal


class OrderPlaced(Event):
    order_id: Key[str]
    total: Decimal


class Order(Entity):
    id: Key[str]
    total: Decimal


class OrderSummary(ViewModel):
    id: Key[str]
    total: Decimal


class OrderSaga(Saga[Order]):
    @handles
    async def place(self, order: Order | None, command: PlaceOrder) -> Order | None:
        if order is not None:  # asked for twice: it is placed once
            return None
        self.raise_event(OrderPlaced(order_id=command.order_id, total=command.total))
        return Order(id=command.order_id, total=command.total)


class Orders(Aggregate[Order]):
    async def place(self, order_id: str, total: Decimal) -> str:
        return await self.send(PlaceOrder(order_id=order_id, total=total))


class OrderSummaries(View[OrderSummary], lifecycle="async"):  # its events come through SNS
    @projects
    async def placed(self, event: OrderPlaced) -> OrderSummary:
        return OrderSummary(id=event.order_id, total=event.total)


app = App(
    [OrderSaga, Orders, OrderSummaries],
    name="orders",
    stores=SqlStores(os.environ.get("ORDERS_DATABASE_URL", "sqlite:///orders.db")),
).use(
    AwsTransport(
        AwsOptions(region="us-east-1", endpoint_url=os.environ.get("AWS_ENDPOINT_URL")),
        lambda bus: (
            bus.send.command(PlaceOrder, queue="orders.fifo")
            .raise_.event(OrderPlaced, topic="order-events")
            .listen.to.command_queue("orders.fifo")
            .subscribe.to.topic("order-events")
        ),
    )
)

web = FastAPI(title="Orders", lifespan=app.lifespan)  # starts the App, and drains it at the end
web.mount("/probes", HealthApp(app))  # /probes/live, /probes/ready, /probes/health


@web.exception_handler(InvalidMessageError)
async def refuse(_: Request, error: InvalidMessageError) -> JSONResponse:
    """Tell the client of a value that no message can hold: a total of 100 digits, for one."""
    return JSONResponse({"detail": str(error)}, status_code=422)


class NewOrder(BaseModel):
    total: Decimal


@web.post("/orders/{order_id}", status_code=202)
async def place_order(order_id: str, order: NewOrder) -> dict[str, str]:
    """Ask for an order: it is accepted when SQS has confirmed the command."""
    message_id = await app.aggregate(Orders).place(order_id, order.total)
    return {"order": order_id, "command": message_id}


@web.get("/orders/{order_id}")
async def show_order(order_id: str) -> dict[str, str]:
    """Show an order, as soon as its event was projected."""
    found = await app.find(OrderSummary, order_id)
    if found is None:
        raise HTTPException(status_code=404, detail="there is no such order, or not yet")
    return {"order": found.id, "total": str(found.total)}
