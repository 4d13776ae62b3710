"""A service whose handler takes as long as the test says, behind FastAPI."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from pathlib import Path

from fastapi import FastAPI

from sourceflow import App, Command, Entity, HealthApp, Key, Saga, handles
from sourceflow.stores.sql import SqlStores
from sourceflow.transports.aws import AwsOptions, AwsTransport

FOLDER = Path(os.environ["SLOW_FOLDER"])


class Work(Command):
    id: Key[str]


class Done(Entity):
    id: Key[str]


class Working(Saga[Done]):
    @handles
    async def work(self, entity: Done | None, command: Work) -> Done:
        (FOLDER / "began").touch()
        await asyncio.sleep(1)
        return Done(id=command.id)


SQL = SqlStores(f"sqlite:///{FOLDER}/slow.db")
app = App([Working], name="slow", stores=SQL).use(
    AwsTransport(
        AwsOptions(
            region="us-east-1",
            wait_time=timedelta(seconds=1),
            enable_command_listener="SLOW_ONLY_SENDS" not in os.environ,
        ),
        lambda bus: bus.send.command(Work, queue="work.fifo").listen.to.command_queue("work.fifo"),
    )
)
web = FastAPI(lifespan=app.lifespan)
web.mount("/probes", HealthApp(app))
probes = HealthApp(app, details=True)


@web.post("/jobs/{work_id}", status_code=202)
async def work(work_id: str) -> str:
    return await app.send(Work(id=work_id))
