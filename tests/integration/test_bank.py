from __future__ import annotations

import importlib.util
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from encrypted_stores import EncryptedStores

from sourceflow import App
from sourceflow.bus.changes import Stream
from sourceflow.errors import AlreadyExistsError, NotFoundError, RejectedError
from sourceflow.testing import given
from sourceflow.transports.aws import LocalKeyProvider

BANK = Path(__file__).parents[2] / "examples" / "bank" / "bank.py"


def load_bank():
    spec = importlib.util.spec_from_file_location("bank", BANK)
    module = importlib.util.module_from_spec(spec)
    sys.modules["bank"] = module
    spec.loader.exec_module(module)
    return module


bank = sys.modules.get("bank") or load_bank()


BANK_APP = App(bank.COMPONENTS, name="bank")


@pytest.fixture(params=["in memory", "encrypted at rest"])
async def app(request, tmp_path):
    stores = None
    if request.param == "encrypted at rest":
        stores = EncryptedStores(f"sqlite:///{tmp_path / 'bank.db'}", LocalKeyProvider())
    async with App(bank.COMPONENTS, name="bank", stores=stores) as running:
        yield running


@pytest.fixture
async def used(app):
    accounts = app.aggregate(bank.Accounts)
    await accounts.open("a-1", "John Doe", Decimal(1000))
    await accounts.deposit("a-1", Decimal(500))
    await accounts.withdraw("a-1", Decimal(200))
    await accounts.deposit("a-1", Decimal(100))
    return app


async def numbers(app):
    stream = Stream("Account", "a-1")
    return [entry.position async for entry in app._running.stores.commands.read(stream)]


async def test_an_account_that_is_used_has_its_balance_and_its_count(used):
    row = await used.get(bank.AccountView, "a-1")
    assert (row.balance, row.transactions) == (Decimal(1400), 3)
    assert (await used.get(bank.Account, "a-1")).balance == Decimal(1400)


async def test_a_closed_account_refuses_everything(used):
    accounts = used.aggregate(bank.Accounts)
    await accounts.close("a-1", "moved away")
    assert (await used.get(bank.AccountView, "a-1")).closed_because == "moved away"
    for refused in (
        accounts.deposit("a-1", Decimal(1)),
        accounts.withdraw("a-1", Decimal(1)),
        accounts.close("a-1", "again"),
    ):
        with pytest.raises(RejectedError, match="closed"):
            await refused
    assert await numbers(used) == [1, 2, 3, 4, 5]


def opened(**fields):
    """Return a scenario that begins with an open account."""
    return given(bank.Account(id="a-1", holder="John", balance=Decimal(10), **fields), app=BANK_APP)


async def test_an_account_is_opened_once():
    order = bank.OpenAccount(account_id="a-1", holder="John", deposit=Decimal(10))
    account = bank.Account(id="a-1", holder="John", balance=Decimal(10))
    event = bank.AccountOpened(account_id="a-1", holder="John", balance=Decimal(10))

    await given(app=BANK_APP).when(order).twice().then(event, account)
    await given(order, app=BANK_APP).when(order).then_raises(AlreadyExistsError)


@pytest.mark.parametrize(
    ("holder", "deposit"), [("", 1000), ("  ", 1000), ("John", 0), ("John", -1)]
)
async def test_an_account_that_cannot_be_opened_leaves_no_trace(holder, deposit):
    order = bank.OpenAccount(account_id="a-1", holder=holder, deposit=Decimal(deposit))

    await given(app=BANK_APP).when(order).then_raises(RejectedError)


@pytest.mark.parametrize("amount", [0, -5])
@pytest.mark.parametrize("use", [bank.Deposit, bank.Withdraw])
async def test_amounts_that_are_nothing_are_refused_and_leave_no_trace(use, amount):
    order = use(account_id="a-1", amount=Decimal(amount))

    await opened().when(order).then_raises(RejectedError, match="more than nothing")


@pytest.mark.parametrize(
    ("use", "balance"), [(bank.Deposit, 16), (bank.Withdraw, 4)], ids=["deposit", "withdraw"]
)
async def test_an_order_that_comes_twice_moves_money_once(use, balance):
    order = use(account_id="a-1", amount=Decimal(6))
    row = bank.AccountView(id="a-1", holder="John", balance=Decimal(10))

    await (
        given(row, bank.Account(id="a-1", holder="John", balance=Decimal(10)), app=BANK_APP)
        .when(order)
        .twice()
        .then(
            bank.AccountUsed(account_id="a-1", balance=Decimal(balance)),
            bank.AccountView(id="a-1", holder="John", balance=Decimal(balance), transactions=1),
        )
    )


async def test_nobody_withdraws_more_than_there_is():
    order = bank.Withdraw(account_id="a-1", amount=Decimal(11))

    await opened().when(order).then_raises(RejectedError, match="too low")


async def test_a_blank_reason_does_not_close_an_account():
    order = bank.CloseAccount(account_id="a-1", reason=" ")

    await opened().when(order).then_raises(RejectedError, match="reason")


async def test_a_missing_account_is_not_found():
    order = bank.Deposit(account_id="a-9", amount=Decimal(1))

    await opened().when(order).then_raises(NotFoundError, match="a-9")


async def test_a_replay_leaves_the_view_as_it_was(used):
    row = await used.get(bank.AccountView, "a-1")
    account = await used.get(bank.Account, "a-1")
    replayed = await used.replay(bank.Account, "a-1")
    assert (replayed.commands, replayed.rebuilt) == (4, ("AccountView",))
    assert await used.get(bank.AccountView, "a-1") == row
    assert await used.get(bank.Account, "a-1") == account
    assert await numbers(used) == [1, 2, 3, 4]


async def test_a_rebuild_leaves_the_view_as_it_was(used):
    row = await used.get(bank.AccountView, "a-1")
    assert (await used.rebuild(bank.AccountViews)).events == 4
    assert await used.get(bank.AccountView, "a-1") == row
