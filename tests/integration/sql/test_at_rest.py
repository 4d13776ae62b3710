"""``encrypt_at_rest``: what stands in the database, and what works on rows of both kinds."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import msgspec
import pytest
from encrypted_stores import EncryptedStores, WatchedKeys

from leaping_clock import LeapingClock
from letter_watch import LetterWatch
from raw_rows import files_with, tables_with
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
    subscribes,
)
from sourceflow import projects as project
from sourceflow.bus.ports import DeadLetterFilter
from sourceflow.errors import (
    DecryptionFailedError,
    DependencyError,
    ReplayError,
)
from sourceflow.host import engine

SECRET = "kiwi-4711"
LONG = 60

KEPT = {"commands", "events", "streams", "outbox", "schedule", "view_note_row"}


class Write(Command):
    id: Key[str]
    text: str


class Remind(Command):
    id: Key[str]
    text: str


class Written(Event):
    id: Key[str]
    text: str


class Notebook(Entity):
    id: Key[str]
    texts: list[str] = msgspec.field(default_factory=list)


class NoteRow(ViewModel, indexes=("language",)):
    id: Key[str]
    text: str
    language: str = "en"


class Writing(Saga[Notebook]):
    @handles
    async def write(self, entity: Notebook | None, command: Write) -> Notebook:
        self.raise_event(Written(id=command.id, text=command.text))
        await self.send(Remind(id=command.id, text=command.text), delay=timedelta(hours=1))
        texts = [] if entity is None else entity.texts
        return Notebook(id=command.id, texts=[*texts, command.text])


class Reminding(Saga[Notebook]):
    @handles
    async def remind(self, entity: Notebook | None, command: Remind) -> Notebook:
        assert entity is not None
        return Notebook(id=entity.id, texts=[*entity.texts, f"again {command.text}"])


class NoteRows(View[NoteRow]):
    @project
    def written(self, event: Written, row: NoteRow | None) -> NoteRow:
        text = event.text if row is None else f"{row.text}, {event.text}"
        return NoteRow(id=event.id, text=text)


class Gate:
    """Holds up whoever reads what was written, or lets them refuse it."""

    def __init__(self):
        self.open = asyncio.Event()
        self.refuses = False


class Readers(Aggregate[Notebook]):
    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    @subscribes
    async def read(self, event: Written) -> None:
        await self._gate.open.wait()
        if self._gate.refuses:
            raise Reject(f"nobody reads {event.text}")


@pytest.fixture
def keys():
    return WatchedKeys()


@pytest.fixture
def gate():
    gate = Gate()
    gate.open.set()
    return gate


@pytest.fixture
def watch():
    return LetterWatch()


class Clock(LeapingClock):
    """Leaps for those, too, who count seconds."""

    def monotonic(self):
        return super().monotonic() + self.ahead.total_seconds()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def notes(database, keys, gate, watch, clock, monkeypatch):
    """Runs the App on the database, in clear or encrypted, one run after the other."""
    monkeypatch.setattr(engine, "STOP_GRACE", timedelta(0))

    @asynccontextmanager
    async def notes(*, encrypt=True, keys=keys):
        app = App(
            [Writing, Reminding, NoteRows, Readers],
            name="notes",
            stores=database.stores()
            if keys is None
            else EncryptedStores(database.url, keys, encrypt=encrypt, schema=database.schema),
            services=[gate],
            observer=watch,
            clock=clock,
        )
        async with app:
            yield app

    return notes


async def texts(app):
    notebook = await app.get(Notebook, "n-1")
    return notebook.texts


@pytest.mark.parametrize("encrypt", [False, True], ids=["in clear", "encrypted"])
async def test_nothing_of_a_message_an_entity_or_a_row_stands_in_the_database(
    notes, database, gate, encrypt
):
    gate.open.clear()  # so that a row stays in the outbox
    async with notes(encrypt=encrypt) as app:
        await app.send(Write(id="n-1", text=SECRET))
        assert await tables_with(database, SECRET) == (set() if encrypt else KEPT)
        if database.product == "sqlite":
            assert bool(files_with(database, SECRET)) is not encrypt
        assert await tables_with(database, "n-1") >= KEPT  # keys stay in clear
        assert await texts(app) == [SECRET]
        assert (await app.get(NoteRow, "n-1")).text == SECRET


@pytest.mark.parametrize("encrypt", [False, True], ids=["in clear", "encrypted"])
async def test_nothing_of_a_dead_letter_stands_in_the_database(
    notes, database, gate, watch, encrypt
):
    gate.refuses = True
    async with notes(encrypt=encrypt) as app:
        await app.send(Write(id="n-1", text=SECRET))
        letter = await watch.letter()
        assert ("dead_letters" in await tables_with(database, SECRET)) is not encrypt
        (found,) = await app.dead_letters.query(DeadLetterFilter())
        assert (found.body, found.error) == (letter.body, letter.error)
        assert SECRET in found.body.decode()
        assert SECRET in found.error
        assert (found.type_name, found.reason) == ("Written", "Rejected")


async def test_what_a_user_reads_by_sql_of_their_own_is_the_index(notes, database):
    async with notes() as app:
        await app.send(Write(id="n-1", text=SECRET))
        (row,) = await app.query(NoteRow, where={"language": "en"})
        assert row.text == SECRET
        table = database.name("sourceflow_view_note_row")
        assert await database.run(f"SELECT by_language_text FROM {table}") == [("en",)]


async def test_rows_in_clear_and_encrypted_ones_work_together(notes, database, gate, clock):
    """The option is off, on, and off again: every row is read, whatever kind it is."""
    gate.open.clear()
    for encrypt, text in ((False, "one"), (True, "two"), (False, "three")):
        async with notes(encrypt=encrypt) as app:
            await app.send(Write(id="n-1", text=text))
    async with notes(encrypt=True) as app:
        expected = ["one", "two", "three"]
        assert await texts(app) == expected
        assert (await app.get(NoteRow, "n-1")).text == ", ".join(expected)
        entries = [each async for each in app.history(Notebook, "n-1")]
        assert [each.envelope.message.text for each in entries] == expected
        assert (await app.at(Notebook, "n-1", sequence=2)).texts == expected[:2]
        assert (await app.replay(Notebook, "n-1")).commands == 3
        assert (await app.rebuild(NoteRows)).events == 3
        assert await texts(app) == expected
        assert (await app.get(NoteRow, "n-1")).text == ", ".join(expected)

        gate.open.set()
        await app.drained(timeout=LONG)  # what the three runs have left in the outbox
    clock.leap(timedelta(hours=1))
    async with notes(encrypt=True) as app:  # their reminders are due
        await app.drained(timeout=LONG)
        assert sorted(await texts(app)) == sorted(
            [*expected, *(f"again {each}" for each in expected)]
        )


async def test_a_row_that_another_key_encrypted_stops_a_replay_and_changes_nothing(notes, database):
    async with notes(encrypt=False) as app:
        await app.send(Write(id="n-1", text="one"))
    async with notes() as app:
        await app.send(Write(id="n-1", text="two"))
    streams, rows = (
        f"SELECT * FROM {database.name(f'sourceflow_{table}')}"
        for table in ("streams", "view_note_row")
    )
    before = [await database.run(streams), await database.run(rows)]
    for keys in (WatchedKeys(b"x" * 32), None):
        async with notes(keys=keys) as app:
            with pytest.raises(ReplayError, match="can no longer be read") as caught:
                await app.replay(Notebook, "n-1")
            assert (caught.value.position, caught.value.type_name) == (2, "Write")
            with pytest.raises(ReplayError):
                await app.rebuild(NoteRows)
            with pytest.raises(DecryptionFailedError):
                await app.get(Notebook, "n-1")
        assert [await database.run(streams), await database.run(rows)] == before


async def test_a_key_that_is_away_stops_a_replay_and_it_works_when_the_key_is_back(
    notes, clock, keys
):
    async with notes() as app:
        await app.send(Write(id="n-1", text="one"))
        await app.drained(timeout=LONG)
    async with notes() as app:
        keys.is_away = True
        for refused in (
            app.replay(Notebook, "n-1"),
            app.rebuild(NoteRows),
            app.get(Notebook, "n-1"),
            app.get(NoteRow, "n-1"),
            app.send(Write(id="n-1", text="two")),
        ):
            with pytest.raises(DependencyError):
                await refused
        keys.is_away = False
        clock.leap(timedelta(seconds=1))
        await app.replay(Notebook, "n-1")
        assert await texts(app) == ["one"]


async def test_a_long_log_is_read_at_the_cost_of_a_call_for_each_data_key(notes, keys):
    for run in range(3):
        async with notes() as app:
            for number in range(20):
                await app.send(Write(id="n-1", text=f"{run}.{number}"))
            await app.drained(timeout=LONG)
    async with notes() as app:
        before = keys.calls
        assert (await app.replay(Notebook, "n-1")).commands == 60
        assert keys.calls == before + 3 + 1  # what is read; and one to write with


@pytest.mark.parametrize(
    ("table", "column", "read"),
    [
        ("streams", "state", lambda app: app.get(Notebook, "n-1")),
        ("view_note_row", "document", lambda app: app.get(NoteRow, "n-1")),
        ("view_note_row", "document", lambda app: app.query(NoteRow)),
        ("commands", "body", lambda app: app.replay(Notebook, "n-1")),
        ("events", "body", lambda app: app.rebuild(NoteRows)),
    ],
    ids=["entity", "row", "rows", "command", "event"],
)
async def test_a_record_that_was_copied_over_another_is_refused(
    notes, database, table, column, read
):
    key = {"events": "stream_key"}.get(table, "key")
    table = database.name(f"sourceflow_{table}")
    async with notes() as app:
        for each in ("n-1", "n-2"):
            await app.send(Write(id=each, text="the same"))
        await app.drained(timeout=LONG)
        await read(app)
        other = f"SELECT {column} FROM {table} WHERE {key} = 'n-2'"
        await database.run(f"UPDATE {table} SET {column} = ({other}) WHERE {key} = 'n-1'")
        with pytest.raises((DecryptionFailedError, ReplayError), match="another place"):
            await read(app)
