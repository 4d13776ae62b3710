"""The messages, sagas and views that are measured."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from sourceflow import Command, Entity, Event, Key, Saga, View, ViewModel, handles, projects

NOTE: Final = "x" * 400


class Pay(Command):
    id: Key[str]
    amount: Decimal
    note: str


class Paid(Event):
    id: Key[str]
    amount: Decimal


class Account(Entity):
    id: Key[str]
    paid: Decimal = Decimal(0)


class AccountRow(ViewModel):
    id: Key[str]
    paid: Decimal = Decimal(0)


class QuietSaga(Saga[Account]):
    @handles
    def pay(self, account: Account | None, command: Pay) -> Account:
        return Account(id=command.id, paid=(account.paid if account else 0) + command.amount)


class LoudSaga(Saga[Account]):
    @handles
    def pay(self, account: Account | None, command: Pay) -> Account:
        self.raise_event(Paid(id=command.id, amount=command.amount))
        return Account(id=command.id, paid=(account.paid if account else 0) + command.amount)


class AccountRows(View[AccountRow]):
    @projects
    def paid(self, event: Paid, row: AccountRow | None) -> AccountRow:
        return AccountRow(id=event.id, paid=(row.paid if row else 0) + event.amount)


def payments(count: int) -> list[Pay]:
    return [Pay(id=str(at), amount=Decimal("9.99"), note=NOTE) for at in range(count)]
