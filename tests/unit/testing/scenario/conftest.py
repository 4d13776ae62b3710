"""A small library: books are lent, and must come back in time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated
from uuid import UUID, uuid4

import pytest

from sourceflow import (
    CARD,
    DELETE,
    Aggregate,
    App,
    Command,
    Entity,
    Event,
    Key,
    Middleware,
    Reject,
    Retry,
    Saga,
    Sensitive,
    View,
    ViewModel,
    handles,
    projects,
    subscribes,
)


class Lend(Command):
    book: Key[str]
    reader: str


class Return(Command):
    book: Key[str]


class Recall(Command):
    book: Key[str]


class Scrap(Command):
    book: Key[str]


class Charge(Command):
    book: Key[str]
    card: Annotated[str, Sensitive(CARD)]


class Lent(Event):
    book: Key[str]
    reader: str


class Returned(Event):
    book: Key[str]


class Recalled(Event):
    book: Key[str]


class Charged(Event):
    book: Key[str]
    card: Annotated[str, Sensitive(CARD)]
    receipt: UUID


class ReaderMoved(Event):
    """What another service tells."""

    reader: Key[str]
    town: str


class Stamp(Command):
    book: Key[str]


class Loan(Entity):
    book: Key[str]
    reader: str


class Reader(ViewModel):
    reader: Key[str]
    town: str = ""
    books: int = 0


class Printer:
    """A service that may be out of order so many times."""

    def __init__(self, faults=0):
        self.faults = faults
        self.printed = 0

    def print(self):
        if self.faults:
            self.faults -= 1
            raise OSError("no paper")
        self.printed += 1


class Desk(Saga[Loan]):
    def __init__(self, printer: Printer) -> None:
        self._printer = printer

    @handles
    async def lend(self, loan: Loan | None, command: Lend) -> Loan:
        if loan is not None:
            raise Reject("it is lent already")
        self.raise_event(Lent(book=command.book, reader=command.reader))
        await self.send(Recall(book=command.book), delay=timedelta(days=28))
        return Loan(book=command.book, reader=command.reader)

    @handles
    def bring_back(self, loan: Loan, command: Return) -> object:
        self.raise_event(Returned(book=command.book))
        return DELETE

    @handles
    def recall(self, loan: Loan | None, command: Recall) -> None:
        if loan is not None:
            self.raise_event(Recalled(book=command.book))

    @handles
    def scrap(self, loan: Loan | None, command: Scrap) -> None:
        self._printer.print()
        raise ValueError(f"nobody scraps {command.book}")

    @handles
    def charge(self, loan: Loan | None, command: Charge) -> None:
        if command.card == "0":
            raise Reject(f"the card {command.card} is refused")
        self.raise_event(Charged(book=command.book, card=command.card, receipt=uuid4()))


class Slips(Saga[None]):
    def __init__(self, printer: Printer) -> None:
        self._printer = printer

    @handles
    def stamp(self, command: Stamp) -> None:
        self._printer.print()


class Letters(Aggregate[Loan]):
    @subscribes
    async def returned(self, event: Returned) -> None:
        await self.send(Stamp(book=event.book))

    @subscribes
    def moved(self, event: ReaderMoved) -> None:
        if event.town == "nowhere":
            raise Reject("no such town")
        if event.town == "later":
            raise Retry(timedelta(minutes=5))


class Readers(View[Reader]):
    @projects(key=lambda event: event.reader)
    def lent(self, reader: Reader | None, event: Lent) -> Reader:
        town = "" if reader is None else reader.town
        return Reader(reader=event.reader, town=town, books=1 + (reader.books if reader else 0))

    @projects
    def moved(self, reader: Reader | None, event: ReaderMoved) -> Reader:
        return Reader(reader=event.reader, town=event.town, books=reader.books if reader else 0)


@dataclass
class Library:
    """The types of the library, and an App of them."""

    app: App
    printer: Printer

    Lend, Return, Recall, Scrap, Charge, Stamp = Lend, Return, Recall, Scrap, Charge, Stamp
    Lent, Returned, Recalled, Charged, ReaderMoved = Lent, Returned, Recalled, Charged, ReaderMoved
    Loan, Reader = Loan, Reader
    components = (Desk, Slips, Letters, Readers)
    Printer = Printer
    Middleware = Middleware


@pytest.fixture
def library():
    printer = Printer()
    return Library(App(Library.components, name="library", services=[printer]), printer)
