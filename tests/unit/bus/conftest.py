"""A running App with a clock that stands still, a transport that goes nowhere, and open ears."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from sourceflow import App
from sourceflow.bus.observer import Observer
from sourceflow.bus.ports import Delivery
from sourceflow.bus.routes import Routes
from sourceflow.stores.memory import MemoryStores
from sourceflow.testing.clock import ManualClock, settle


class Ears(Observer):
    """Writes down each signal and what it was about."""

    def __init__(self):
        self.heard = []

    def sent(self, envelope, destination, error):
        self.heard.append(("sent", envelope.type_name, str(destination), error))

    def received(self, delivery):
        self.heard.append(("received", delivery.type_hint))

    def settled(self, delivery, outcome, seconds):
        self.heard.append(("settled", delivery.type_hint, outcome, seconds))

    def handled(self, envelope, sequence, seconds):
        self.heard.append(("handled", envelope.type_name, sequence, seconds))

    def projected(self, envelope, subscriber):
        self.heard.append(("projected", envelope.type_name, subscriber))

    def failed(self, envelope, handler, error):
        self.heard.append(("failed", envelope.type_name, handler, error))

    def duplicate(self, envelope):
        self.heard.append(("duplicate", envelope.type_name))

    def dead_lettered(self, letter):
        self.heard.append(("dead_lettered", letter.type_name, letter.source))

    def of(self, signal):
        return [each[1:] for each in self.heard if each[0] == signal]


class Nowhere:
    """A transport that keeps what it is given, or fails as it is told."""

    def __init__(self, **routes):
        self.routes = Routes(**routes)
        self.sent = []
        self.faults = []
        self.refuse = None
        self.receive = None

    async def open(self, context):
        self.context = context

    async def start(self, receive):
        self.receive = receive

    async def stop(self, grace=None):
        pass

    async def aclose(self):
        pass

    def admit(self, outgoing):
        if self.refuse is not None:
            raise self.refuse

    async def send(self, outgoing):
        errors = []
        for each in outgoing:
            error = self.faults.pop(0) if self.faults else None
            if error is None:
                self.sent.append(each)
            errors.append(error)
        return errors

    async def depths(self):
        return ()

    def describe(self):
        return {}


class Bench:
    """A running App and its parts."""

    def __init__(self, app, clock, ears, transport):
        self.app = app
        self.clock = clock
        self.ears = ears
        self.transport = transport
        self.engine = app._running
        self.stores = self.engine.stores
        self.relay = self.engine.relay

    @property
    def locks(self):
        return self.engine.commands._locks

    def envelope(self, command, **options):
        return self.engine.router.command(command, **options)

    async def handle(self, command, **options):
        return await self.engine.commands.handle(self.envelope(command), **options)

    def delivery(self, envelope, **options):
        body = self.engine._codec.encode(envelope)
        kind = options.pop("kind", envelope.kind)
        return Delivery(body, envelope.type_name, kind, options.pop("origin", "q"), **options)

    async def receive(self, envelope, **options):
        return await self.engine.receiver.receive(self.delivery(envelope, **options))

    async def log(self, stream):
        return [each async for each in self.stores.commands.read(stream)]

    async def events(self):
        return [each async for each in self.stores.events.read()]

    async def settle(self):
        await settle()

    async def wait(self, **parts):
        """Let time pass, stopping for each sleeper on the way."""
        await self.clock.advance(timedelta(**parts))


@pytest.fixture
async def start():
    """Start an App; it is stopped when the test ends."""
    async with AsyncExitStack() as stack:

        async def start(
            *components, transport=None, stores=None, name="shop", clock=None, **options
        ):
            clock, ears = clock or ManualClock(), Ears()
            app = App(
                components,
                name=name,
                stores=stores or MemoryStores(),
                clock=clock,
                observer=ears,
                **options,
            )
            if transport is not None:
                app.use(transport)
            await stack.enter_async_context(app)
            return Bench(app, clock, ears, transport)

        yield start


@pytest.fixture
def nowhere():
    return Nowhere
