from __future__ import annotations

import asyncio

import pytest

from sourceflow.bus.ports import Depth
from sourceflow.bus.routes import Routes


class Wire:
    """A transport that keeps what it is given: a real one as far as the App can see."""

    def __init__(self, **routes):
        self.routes = Routes(**routes)
        self.sent = []
        self.steps = []
        self.waiting = ()
        self.error = None
        self.unseen = None
        self.receive = None

    async def open(self, context):
        self.steps.append("open")
        self.context = context

    async def start(self, receive):
        self.steps.append("start")
        self.receive = receive

    async def stop(self, grace=None):
        self.steps.append("stop")

    async def aclose(self):
        self.steps.append("aclose")

    def admit(self, outgoing):
        pass

    async def send(self, outgoing):
        await asyncio.sleep(0)
        self.sent += outgoing
        return [self.error for _ in outgoing]

    async def depths(self):
        if self.unseen is not None:
            raise self.unseen
        return [Depth(name, count, 0, 0) for name, count in self.waiting]

    def describe(self):
        return {"kind": "wire"}


@pytest.fixture
def wire():
    """Makes transports: ``wire(commands={...}, listens=(...))``."""
    return Wire
