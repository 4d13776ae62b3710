"""``sourceflow demo`` and ``sourceflow local`` as a user runs them: in processes of their own."""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import asyncpg
import pytest
from postgres_server import PRODUCTS, postgres_url

from sourceflow.demo.order_file import read_orders
from sourceflow.demo.program import OrdersExistError, run_demo
from sourceflow.stores.memory import MemoryStores

SOURCEFLOW = Path(sys.executable).with_name("sourceflow")
COUNTRIES = ("Austria", "Brazil", "Canada", "Denmark", "Estonia")
KEYS = {
    "orders",
    "lines",
    "shipped",
    "total",
    "freight",
    "commands_handled",
    "events_projected",
    "duplicates",
    "dead_letters",
    "by_country",
    "seconds",
}


def environment(**more):
    """The caller's environment without anything that says who asks AWS."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {**kept, "AWS_EC2_METADATA_DISABLED": "true", **more}


def run(*arguments, **more):
    return subprocess.run(
        [SOURCEFLOW, *map(str, arguments)],
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def start(*arguments):
    return subprocess.Popen(
        [SOURCEFLOW, *map(str, arguments)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def order(number, lines=2, *, shipped=True):
    dice = random.Random(number)
    return {
        "order_id": 10_000 + number,
        "customer_id": f"CUST{number % 7}",
        "order_date": "1996-07-04",
        "shipped_date": "1996-07-16" if shipped else None,
        "freight": f"{dice.randrange(1, 20_000) / 100:.2f}",
        "ship_country": COUNTRIES[number % len(COUNTRIES)],
        "lines": [
            {
                "product_id": dice.randrange(1, 78),
                "quantity": dice.randrange(1, 60),
                "unit_price": f"{dice.randrange(100, 12_000) / 100:.2f}",
                "discount": dice.choice(("0.00", "0.05", "0.15", "0.25")),
            }
            for _ in range(lines)
        ],
    }


def thirty_orders():
    return [order(number, 1 + number % 4, shipped=number % 6 != 0) for number in range(30)]


def write(path, orders):
    path.write_text("".join(json.dumps(each) + "\n" for each in orders))
    return path


def worth(orders):
    return sum(
        Decimal(line["unit_price"]) * line["quantity"] * (1 - Decimal(line["discount"]))
        for each in orders
        for line in each["lines"]
    )


@pytest.fixture
def orders_file(tmp_path):
    return write(tmp_path / "orders.jsonl", thirty_orders())


def check_summary(summary, orders):
    lines = sum(len(each["lines"]) for each in orders)
    shipped = sum(each["shipped_date"] is not None for each in orders)
    assert set(summary) == KEYS
    assert (summary["orders"], summary["lines"], summary["shipped"]) == (
        len(orders),
        lines,
        shipped,
    )
    assert Decimal(summary["total"]) == worth(orders)
    assert Decimal(summary["freight"]) == sum(Decimal(each["freight"]) for each in orders)
    assert summary["commands_handled"] == len(orders) + lines + shipped
    assert summary["events_projected"] == len(orders) + lines + shipped
    assert summary["dead_letters"] == 0
    assert {country: Decimal(total) for country, total in summary["by_country"].items()} == {
        country: worth([each for each in orders if each["ship_country"] == country])
        for country in {each["ship_country"] for each in orders}
    }
    assert all("E" not in amount for amount in (summary["total"], *summary["by_country"].values()))


def test_the_sample_comes_out_as_a_table():
    done = run("demo")
    assert (done.returncode, done.stderr) == (0, "")
    assert "12 orders with 34 lines, 10 shipped: total 23120.979, freight 505.86" in done.stdout
    assert "Austria" in done.stdout


def test_the_sample_comes_out_as_one_json_object():
    done = run("demo", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    summary = json.loads(done.stdout.splitlines()[-1])
    assert set(summary) == KEYS
    assert (summary["orders"], summary["total"]) == (12, "23120.979")
    assert summary["seconds"] > 0


def test_a_file_of_orders_comes_out_exactly(orders_file):
    done = run("demo", "--orders", orders_file, "--store", "memory", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["duplicates"] == 0
    check_summary(summary, thirty_orders())


@pytest.mark.localstack
def test_a_file_of_orders_comes_out_exactly_on_localstack(orders_file, localstack_url):
    done = run("demo", "--orders", orders_file, "--endpoint-url", localstack_url, "--json")
    assert done.returncode == 0, done.stderr
    check_summary(json.loads(done.stdout.splitlines()[-1]), thirty_orders())


def test_orders_and_their_lines_may_stand_in_any_order(tmp_path):
    orders = thirty_orders()
    random.Random(1).shuffle(orders)
    for each in orders:
        each["lines"].reverse()
    done = run("demo", "--orders", write(tmp_path / "orders.jsonl", orders), "--json")
    assert done.returncode == 0, done.stderr
    check_summary(json.loads(done.stdout.splitlines()[-1]), orders)


def changed(**fields):
    return {**order(2), **fields}


def without(name):
    return {field: value for field, value in order(2).items() if field != name}


def line_changed(**fields):
    first, second = order(2)["lines"]
    return changed(lines=[first, {**second, **fields}])


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ("this is no JSON", "(line)"),
        ('{"order_id": 10002, "customer_id": "A', "customer_id"),
        ("[]", "(line)"),
        (without("ship_country"), "ship_country"),
        (changed(order_id="ten"), "order_id"),
        (changed(order_id=0), "order_id"),
        (changed(customer_id=""), "customer_id"),
        (changed(customer_id=None), "customer_id"),
        (changed(ship_country="\ufffe"), "ship_country"),
        (changed(order_date="1996-02-30"), "order_date"),
        (changed(freight="NaN"), "freight"),
        (changed(freight=float("nan")), "freight"),
        (changed(freight="-1.00"), "freight"),
        (changed(freight="1e400"), "freight"),
        (changed(lines=[]), "lines"),
        (line_changed(quantity=-3), "lines[1].quantity"),
        (line_changed(quantity="3"), "lines[1].quantity"),
        (line_changed(unit_price="-0.01"), "lines[1].unit_price"),
        (line_changed(unit_price="0.00001"), "lines[1].unit_price"),
        (line_changed(discount="1.01"), "lines[1].discount"),
        (line_changed(colour="red"), "lines[1].colour"),
        (order(1), "order_id"),
    ],
)
def test_a_bad_line_is_named_with_its_field(tmp_path, bad, field):
    """In process: the reading is the same, and every case as a process would take a minute."""
    path = write(tmp_path / "orders.jsonl", [order(0), order(1)])
    with path.open("a") as file:
        file.write((bad if isinstance(bad, str) else json.dumps(bad)) + "\n")
    with pytest.raises(ValueError, match=r"^line 3, field ") as refused:
        read_orders(path)
    assert str(refused.value).startswith(f"line 3, field {field}: ")


async def test_a_bad_line_ends_the_command_before_anything_is_sent(tmp_path, local_aws):
    path = write(tmp_path / "orders.jsonl", [order(0), changed(freight="NaN")])
    done = await asyncio.to_thread(
        run, "demo", "--orders", path, "--endpoint-url", local_aws.endpoint_url, "--json"
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: {path}: line 2, field freight: must be a number from 0 to 1,000,000,000\n"
    )
    assert local_aws.calls == {}


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("empty", "", "the file holds no order"),
        ("blank", "\n \n", "the file holds no order"),
        ("missing", None, "cannot be read: No such file or directory"),
        (".", None, "cannot be read: Is a directory"),
    ],
)
def test_a_file_without_orders_is_refused(tmp_path, name, text, problem):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    done = run("demo", "--orders", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert str(path) in done.stderr
    assert problem in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("--store", "mysql://localhost/orders", "'mysql' is not supported"),
        ("--store", "sqlite:////no/such/folder/orders.db", "cannot be opened"),
        ("--endpoint-url", "nonsense", "no http or https URL"),
        ("--colour", "red", "No such option"),
    ],
)
def test_an_option_that_cannot_work_is_refused(option, value, problem):
    done = run("demo", option, value)
    assert (done.returncode, done.stdout) == (2, "")
    assert problem in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("product", PRODUCTS)
def test_a_database_keeps_what_came_out(orders_file, tmp_path, product):
    """A second run takes other orders; the sums of countries go on."""
    name = f"t{secrets.token_hex(8)}"
    if product == "sqlite":
        url = f"sqlite:///{tmp_path / 'orders.db'}"
    else:
        url = f"{postgres_url()}&options=-csearch_path%3D{name}"
        execute(f"CREATE SCHEMA {name}")
    lines = orders_file.read_text().splitlines(keepends=True)
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    first.write_text("".join(lines[:3]))
    second.write_text("".join(lines[3:6]))
    for part in (first, second):
        done = run("demo", "--orders", part, "--store", url, "--json")
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["orders"] == 3
    done = run("demo", "--orders", first, "--store", url)
    assert (done.returncode, done.stdout) == (2, "")
    assert "has order" in done.stderr
    if product == "postgresql":
        execute(f"DROP SCHEMA {name} CASCADE")


def execute(statement):
    async def run_it():
        connection = await asyncpg.connect(postgres_url())
        await connection.execute(statement)
        await connection.close()

    asyncio.run(run_it())


async def test_a_store_that_has_an_order_already_is_refused_before_anything_is_sent(
    orders_file, local_aws
):
    orders, stores = read_orders(orders_file), MemoryStores()
    await run_demo(orders[:3], stores=stores)
    with pytest.raises(OrdersExistError, match="has order 10002 already"):
        await run_demo(orders[2:], stores=stores, endpoint_url=local_aws.endpoint_url)
    assert local_aws.calls["SendMessage"] == local_aws.calls["SendMessageBatch"] == 0


def test_an_endpoint_that_nobody_answers_is_named_soon():
    started = time.monotonic()
    done = run("demo", "--endpoint-url", f"http://127.0.0.1:{free_port()}", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Could not connect to the endpoint" in done.stderr
    assert "Traceback" not in done.stderr
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("operation", ["CreateQueue", "DeleteMessageBatch"])
async def test_ctrl_c_ends_the_demo_quickly_and_quietly(tmp_path, local_aws, operation):
    """Once while it starts, once in the middle."""
    path = write(tmp_path / "orders.jsonl", [order(number, 4) for number in range(2_000)])
    demo = start("demo", "--orders", path, "--endpoint-url", local_aws.endpoint_url)
    try:
        while not local_aws.calls[operation]:  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.01)
        demo.send_signal(signal.SIGINT)
        interrupted = time.monotonic()
        out, err = await asyncio.to_thread(demo.communicate, timeout=30)
    finally:
        demo.kill()
    assert (demo.returncode, out) == (130, "")
    assert err == "interrupted: the demo has stopped before everything came out\n"
    assert time.monotonic() - interrupted < 8


def test_local_serves_until_it_is_interrupted():
    port = free_port()
    local = start("local", "--port", port)
    try:
        assert local.stdout.readline() == (
            f"SQS, SNS and KMS answer on http://127.0.0.1:{port} (Ctrl-C ends it)\n"
        )
        assert f"AWS_ENDPOINT_URL=http://127.0.0.1:{port}" in local.stdout.readline()
        done = run("demo", "--endpoint-url", f"http://127.0.0.1:{port}", "--json")
        assert done.returncode == 0, done.stderr
        second = run("local", "--port", port)
        assert (second.returncode, second.stdout) == (2, "")
        assert second.stderr == f"error: port {port} cannot be used: something else uses it\n"
    finally:
        local.send_signal(signal.SIGINT)
        out, err = local.communicate(timeout=10)
    assert (local.returncode, out, err) == (0, "", "")


def test_local_refuses_a_port_that_is_none():
    done = run("local", "--port", "70000")
    assert done.returncode == 2
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
