from __future__ import annotations

from decimal import Decimal

import pytest

from sourceflow.demo.order_file import sample_orders
from sourceflow.demo.program import credentials_for, plain, run_demo


@pytest.mark.parametrize(
    ("amount", "text"),
    [("1265793.0395", "1265793.0395"), ("1E+3", "1000"), ("0", "0"), ("5.10", "5.1")],
)
def test_money_is_a_plain_number(amount, text):
    assert plain(Decimal(amount)) == text


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_PROFILE"])
def test_an_emulator_here_is_asked_as_the_environment_says(monkeypatch, name):
    monkeypatch.setenv(name, "mine")
    assert credentials_for("http://127.0.0.1:4566") is None


def test_an_emulator_here_takes_test_credentials_where_nothing_else_is_said(monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    assert credentials_for("http://localhost:4566") is not None
    assert credentials_for("https://sqs.eu-central-1.amazonaws.com") is None


async def test_progress_ends_with_everything_handled():
    seen = []
    orders = sample_orders()[:2]
    summary, complete = await run_demo(
        orders, progress=lambda done, of_all: seen.append((done, of_all))
    )
    assert complete
    assert seen[-1] == (summary.commands_handled, summary.commands_handled)


async def test_a_run_that_fails_raises_what_failed_and_not_a_group(monkeypatch):
    async def refuse(*_arguments, **_options):
        raise TimeoutError("not drained")

    monkeypatch.setattr("sourceflow.host.app.App.drained", refuse)
    with pytest.raises(TimeoutError, match="not drained"):
        await run_demo(sample_orders()[:1])
