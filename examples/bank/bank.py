"""A bank: accounts are opened, used and closed; the account's view counts what happened.

Run it: ``python examples/bank/bank.py``. State is kept in an SQLite file that is removed at the end,
unless ``--store`` names a database, or ``memory``.
"""

from __future__ import annotations

import argparse
import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from sourceflow import (
    Aggregate,
    App,
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
from sourceflow.demo.store import stores_at
from sourceflow.errors import RejectedError

if TYPE_CHECKING:
    from sourceflow.bus.ports import Stores


class OpenAccount(Command):
    account_id: Key[str]
    holder: str
    deposit: Decimal


class Deposit(Command):
    account_id: Key[str]
    amount: Decimal


class Withdraw(Command):
    account_id: Key[str]
    amount: Decimal


class CloseAccount(Command):
    account_id: Key[str]
    reason: str


class AccountOpened(Event):
    account_id: Key[str]
    holder: str
    balance: Decimal


class AccountUsed(Event):
    account_id: Key[str]
    balance: Decimal


class AccountClosed(Event):
    account_id: Key[str]
    reason: str


class Account(Entity):
    id: Key[str]
    holder: str
    balance: Decimal
    closed: bool = False


class AccountView(ViewModel):
    id: Key[str]
    holder: str
    balance: Decimal
    transactions: int = 0
    closed_because: str | None = None


class AccountSaga(Saga[Account]):
    """The rules of accounts."""

    @handles(creates=True)
    async def open(self, command: OpenAccount) -> Account:
        if not command.holder.strip():
            raise Reject("an account needs the name of its holder")
        if command.deposit <= 0:
            raise Reject("the first deposit must be more than nothing")
        self.raise_event(
            AccountOpened(
                account_id=command.account_id, holder=command.holder, balance=command.deposit
            )
        )
        return Account(id=command.account_id, holder=command.holder, balance=command.deposit)

    @handles
    async def deposit(self, account: Account, command: Deposit) -> Account:
        return self._use(account, command.amount, command.amount)

    @handles
    async def withdraw(self, account: Account, command: Withdraw) -> Account:
        if command.amount > account.balance:
            raise Reject("the balance is too low")
        return self._use(account, command.amount, -command.amount)

    @handles
    async def close(self, account: Account, command: CloseAccount) -> Account:
        self._check_open(account)
        if not command.reason.strip():
            raise Reject("closing an account needs a reason")
        self.raise_event(AccountClosed(account_id=account.id, reason=command.reason))
        return replace(account, closed=True)

    def _use(self, account: Account, amount: Decimal, change: Decimal) -> Account:
        self._check_open(account)
        if amount <= 0:
            raise Reject("the amount must be more than nothing")
        account = replace(account, balance=account.balance + change)
        self.raise_event(AccountUsed(account_id=account.id, balance=account.balance))
        return account

    def _check_open(self, account: Account) -> None:
        if account.closed:
            raise Reject("the account is closed")


class Accounts(Aggregate[Account]):
    """What the rest of the program calls."""

    async def open(self, account_id: str, holder: str, deposit: Decimal) -> None:
        await self.send(OpenAccount(account_id=account_id, holder=holder, deposit=deposit))

    async def deposit(self, account_id: str, amount: Decimal) -> None:
        await self.send(Deposit(account_id=account_id, amount=amount))

    async def withdraw(self, account_id: str, amount: Decimal) -> None:
        await self.send(Withdraw(account_id=account_id, amount=amount))

    async def close(self, account_id: str, reason: str) -> None:
        await self.send(CloseAccount(account_id=account_id, reason=reason))


class AccountViews(View[AccountView]):
    """What customers see. The opening resets the row, so a replay counts from nothing."""

    @projects
    async def opened(self, event: AccountOpened) -> AccountView:
        return AccountView(id=event.account_id, holder=event.holder, balance=event.balance)

    @projects
    async def used(self, event: AccountUsed, row: AccountView) -> AccountView:
        return replace(row, balance=event.balance, transactions=row.transactions + 1)

    @projects
    async def closed(self, event: AccountClosed, row: AccountView) -> AccountView:
        return replace(row, closed_because=event.reason)


COMPONENTS = (AccountSaga, Accounts, AccountViews)


async def main(stores: Stores) -> None:
    async with App(COMPONENTS, name="bank", stores=stores) as app:
        accounts = app.aggregate(Accounts)
        await accounts.open("a-1", "John Doe", Decimal(1000))
        await accounts.deposit("a-1", Decimal(500))
        await accounts.withdraw("a-1", Decimal(200))
        await accounts.deposit("a-1", Decimal(100))
        row = await app.get(AccountView, "a-1")
        print(f"{row.holder}: balance {row.balance} after {row.transactions} transactions")

        await app.replay(Account, "a-1")
        print("replayed:", "as it was" if row == await app.get(AccountView, "a-1") else "changed")

        await accounts.close("a-1", "moved away")
        try:
            await accounts.deposit("a-1", Decimal(1))
        except RejectedError as error:
            print("deposit refused:", error.reason)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="John Doe's account.")
    parser.add_argument("--store", metavar="URL", help="memory, or the URL of a database")
    with stores_at(parser.parse_args().store) as chosen:
        asyncio.run(main(chosen))
