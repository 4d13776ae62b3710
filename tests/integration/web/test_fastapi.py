"""FastAPI under uvicorn, as in production: the App starts with the server and drains with it."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

PROGRAMS = Path(__file__).parent / "programs"
EXAMPLE = Path(__file__).parents[3] / "examples" / "fastapi"


async def test_the_example_takes_an_order_and_shows_it(serve, tmp_path):
    url = f"sqlite:///{tmp_path}/orders.db"
    async with serve(EXAMPLE, "service:web", ORDERS_DATABASE_URL=url) as service:
        await service.until("/probes/ready", 200)
        assert (await service.client.get("/orders/o-1")).status_code == 404

        answer = await service.client.post("/orders/o-1", json={"total": "9.90"})
        assert (answer.status_code, answer.json()["order"]) == (202, "o-1")

        answer = await service.client.post("/orders/o-2", json={"total": "1e100"})
        assert (answer.status_code, answer.json()["detail"][:17]) == (422, "PlaceOrder: total")

        shown = await service.until("/orders/o-1", 200)
        assert shown.json() == {"order": "o-1", "total": "9.90"}
        health = await service.client.get("/probes/health")
        assert (health.status_code, health.json()) == (200, {"status": "healthy"})
        assert (await service.client.get("/probes/live")).json() == {"status": "alive"}
        assert await service.end() == (-signal.SIGTERM, "")


async def test_a_service_whose_topic_is_deleted_is_not_ready_and_stays_alive(
    serve, local_aws, tmp_path
):
    url = f"sqlite:///{tmp_path}/orders.db"
    async with serve(EXAMPLE, "service:web", ORDERS_DATABASE_URL=url) as service:
        await service.until("/probes/ready", 200)
        (arn,) = local_aws._sns._topics
        local_aws._sns.call("DeleteTopic", {"TopicArn": arn}, 0.0)

        await service.until("/probes/ready", 503)
        assert (await service.client.get("/probes/health")).json() == {"status": "unhealthy"}
        assert (await service.client.get("/probes/live")).status_code == 200


async def test_a_service_that_is_told_to_end_finishes_what_it_handles(serve, tmp_path):
    async with serve(PROGRAMS, "slow_service:web", SLOW_FOLDER=str(tmp_path)) as service:
        await service.until("/probes/ready", 200)
        await service.client.post("/jobs/w-1")
        await until(tmp_path / "began")

        assert await service.end() == (-signal.SIGTERM, "")

    assert committed(tmp_path) == 1


async def test_a_worker_can_be_served_by_its_probes_alone(serve, tmp_path):
    folder = {"SLOW_FOLDER": str(tmp_path)}
    async with serve(PROGRAMS, "slow_service:web", SLOW_ONLY_SENDS="1", **folder) as service:
        await service.until("/probes/ready", 200)
        await service.client.post("/jobs/w-1")
        await service.end()
    assert committed(tmp_path) == 0

    async with serve(PROGRAMS, "slow_service:probes", **folder) as service:
        await until(tmp_path / "began")
        health = await service.until("/health", 200)
        assert "listener work.fifo" in [entry["name"] for entry in health.json()["entries"]]
        assert await service.end() == (-signal.SIGTERM, "")
    assert committed(tmp_path) == 1


async def until(path):
    async with asyncio.timeout(20):
        while not is_there(path):  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.02)


def is_there(path):
    return path.exists()


def committed(folder):
    """Return how many commands have taken effect."""
    with closing(sqlite3.connect(folder / "slow.db")) as database:
        return database.execute("SELECT count(*) FROM sourceflow_commands").fetchone()[0]
