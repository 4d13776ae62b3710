"""Commands for those who operate a service, on what its App has left."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing

import pytest

CARD = "4111 1111 1111 1111"
APP = "post:app"


def rows(ended):
    return [json.loads(line) for line in ended.out.splitlines()]


def packed(folder):
    return [key for _, key, what in folder.book if what == "packed"]


async def pack(folder, *, code=0, options=(), **fields):
    return await folder.call("send", APP, "Pack", json.dumps(fields), *options, code=code)


@pytest.fixture
async def made(folder):
    """The folder, after an App has made queues and tables."""
    await folder.work()
    return folder


async def test_an_app_is_checked_and_described_without_being_started(folder):
    sound = await folder.call("check", APP)
    assert "post can start; 0 warning(s)" in sound.out
    wrong = await folder.call("check", "post:wrong", code=2)
    assert "Parcel is neither a Saga" in wrong.err
    (as_json,) = rows(await folder.call("check", "post:wrong", "--json", code=2))
    assert as_json["faults"][0].startswith("Parcel is neither a Saga")
    strict = await folder.call("check", "post:unheard", "--strict", code=1)
    assert "warning: nobody listens to Packed" in strict.out

    told = await folder.call("describe", APP)
    for text in ("post", "packing.fifo", "ParcelSaga.pack", "Weights.packed"):
        assert text in told.out
    (described,) = rows(await folder.call("describe", APP, "--json"))
    assert {each["name"] for each in described["commands"]} == {"Pack", "Stamp"}
    await folder.call("describe", "post:wrong", code=2)
    assert not (folder.path / "post.db").exists()


async def test_nothing_is_made_by_a_command_that_only_looks(folder, aws):
    ended = await folder.call("dead-letters", "list", APP, code=2)

    assert "error: " in ended.err
    assert not (folder.path / "post.db").exists()
    assert not any(name.startswith("Create") for name in aws.calls)


async def test_a_command_is_sent_and_not_handled_here(made):
    sent = await pack(made, parcel_id="p-1", weight=3, options=("--message-id", "m-1", "--json"))
    assert rows(sent) == [{"message_id": "m-1", "type": "Pack", "destination": "packing.fifo"}]
    left = await made.call("send", APP, "Stamp", '{"parcel_id": "p-1"}')
    assert "is in the schedule, due now" in left.out
    assert made.book == []

    await made.work(lambda: packed(made) == ["p-1"])
    history = rows(await made.call("history", APP, "Parcel", "p-1", "--json"))
    assert ("Pack", "m-1") in [(each["type"], each["message_id"]) for each in history]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("Pak", "{}"), "the App has no command 'Pak', did you mean 'Pack'?"),
        (("Packed", "{}"), "the App has no command 'Packed', did you mean 'Pack'?"),
        (("Pack", "{"), "Pack: it is not JSON that can be read"),
        (("Pack", '{"weight": 1}'), "Pack: it does not fit: Object missing required field"),
        (("Pack", '{"parcel_id": "p", "weight": "4111"}'), "Pack: it does not fit: "),
        (
            ("Pack", '{"parcel_id": "p", "wieght": 4111}'),
            "Pack has no field 'wieght', did you mean 'weight'?",
        ),
        (
            ("Pack", '{"parcel_id": "p"}', "--delay", "99999999 d"),
            "a command cannot wait beyond the year 9999",
        ),
        (("Pack", '{"parcel_id": "p"}', "--message-id", ""), "error: "),
        (("Pack", '{"parcel_id": "p"}', "--delay", "5"), "write a duration such as '30s'"),
    ],
)
async def test_a_command_that_does_not_fit_is_refused_without_its_values(made, arguments, told):
    ended = await made.call("send", APP, *arguments, code=2)

    assert told in ended.err
    assert "4111" not in ended.err


async def test_stores_in_memory_are_within_the_processes_that_run(folder):
    for arguments in (
        ("send", "post:local", "Pack", '{"parcel_id": "p"}'),
        ("history", "post:local", "Parcel", "p"),
        ("outbox", "list", "post:local"),
    ):
        ended = await folder.call(*arguments, code=2)
        assert "has its stores in memory" in ended.err


async def test_the_past_is_printed_run_again_and_projected_anew(made):
    await pack(made, parcel_id="p-1", weight=7, card=CARD)
    await made.work(lambda: packed(made) == ["p-1"])

    table = await made.call("history", APP, "Parcel", "p-1")
    assert table.out.split()[:4] == ["position", "handled_at", "type", "message_id"]
    assert CARD not in table.out
    assert '"weight":7' in table.out
    first, *_ = rows(await made.call("history", APP, "Parcel", "p-1", "--limit", "1", "--json"))
    assert first["command"]["parcel_id"] == "p-1"
    assert CARD not in json.dumps(first)
    assert "Parcel p-9 has no command" in (await made.call("history", APP, "Parcel", "p-9")).out
    unknown = await made.call("history", APP, "Parcl", "p-1", code=2)
    assert "the App has no entity 'Parcl', did you mean 'Parcel'?" in unknown.err

    beyond = await made.call("history", APP, "Parcel", "p-1", "--after", "9" * 30, code=2)
    assert "Invalid value for '--after'" in beyond.err
    missing = await made.call("replay", APP, "Parcel", "p-9", code=1)
    assert "Parcel p-9 has no commands: nothing was run again" in missing.err

    (replayed,) = rows(await made.call("replay", APP, "Parcel", "p-1", "--json"))
    assert replayed["commands"] >= 1
    assert "of Parcel p-1 were run again" in (await made.call("replay", APP, "Parcel", "p-1")).out
    assert rows(await made.call("rebuild", APP, "Weights", "--json")) == [{"events": 1, "rows": 1}]
    assert "Weights has 1 row(s)" in (await made.call("rebuild", APP, "Weights")).out
    wrong = await made.call("rebuild", APP, "Weight", code=2)
    assert "the App has no view 'Weight', did you mean 'Weights'?" in wrong.err
    assert packed(made) == ["p-1"]


async def letters(folder, *more):
    return rows(await folder.call("dead-letters", "list", APP, "--json", *more))


async def test_dead_letters_of_a_queue_are_looked_at_sent_again_and_removed(made):
    await pack(made, parcel_id="p-1", weight=-1, card=CARD)
    await made.work(lambda: made.book)
    (letter,) = await letters(made)
    assert (letter["queue"], letter["type"]) == ("packing.fifo", "Pack")
    assert letter["message"]["parcel_id"] == "p-1"
    table = await made.call("dead-letters", "list", APP, "--queue", "packing.fifo")
    shown = await made.call("dead-letters", "show", APP, "packing.fifo", letter["id"])
    assert letter["id"] in table.out
    assert "RetriesExhausted" in shown.out
    assert CARD not in table.out + shown.out + json.dumps(letter)

    again = rows(await made.call("dead-letters", "redrive", APP, "packing.fifo", "--json"))
    assert again == [{"moved": 1, "failed": 0, "left": 0, "error": None}]
    assert await letters(made) == []
    await made.work(lambda: len(made.book) == 2)

    (letter,) = await letters(made)
    edited = '{"parcel_id": "p-1", "weight": 2}'
    resend = ("dead-letters", "resend", APP, "packing.fifo", letter["id"])
    assert "did you mean" in (await made.call(*resend, edited, "--type", "Pak", code=2)).err
    await made.call(*resend, edited)
    await made.work(lambda: packed(made) == ["p-1"])

    await pack(made, parcel_id="p-2", weight=-1)
    await made.work(lambda: ["p-2", "begins"] in [each[1:] for each in made.book])
    assert len(await letters(made)) == 1
    unasked = await made.call("dead-letters", "purge", APP, "packing.fifo", code=2)
    assert "nothing was deleted" in unasked.err
    await made.call("dead-letters", "purge", APP, "packing.fifo", "--yes")
    assert await letters(made) == []


@pytest.mark.parametrize("command", ["redrive", "purge"])
async def test_a_queue_that_the_app_does_not_have_is_refused(made, command):
    ended = await made.call("dead-letters", command, APP, "packing", code=2)

    assert "the App has no queue 'packing', did you mean 'packing.fifo'?" in ended.err


async def test_letters_of_work_inside_the_app_are_redriven_by_an_instance_that_runs(made):
    await pack(made, parcel_id="p-1", weight=13)

    def given_up():
        with closing(sqlite3.connect(made.path / "post.db")) as connection:
            (count,) = connection.execute("SELECT count(*) FROM sourceflow_dead_letters").fetchone()
        return count

    await made.work(given_up)
    (letter,) = await letters(made, "--queue", "local")
    assert letter["queue"] == "local"
    assert letter["subscribers"] == ["Parcels.packed"]

    again = await made.call("dead-letters", "redrive", APP, "local")
    assert "1 letter(s) were sent again" in again.out
    assert await letters(made) == []


async def test_what_waits_is_listed_and_taken_back(made):
    await pack(made, parcel_id="p-1", options=("--delay", "1 h", "--message-id", "m-1"))
    (waiting,) = rows(await made.call("schedule", "list", APP, "--json"))
    assert (waiting["message_id"], waiting["key"]) == ("m-1", "p-1")

    assert "m-1 was taken back" in (await made.call("schedule", "cancel", APP, "m-1")).out
    late = await made.call("schedule", "cancel", APP, "m-1", code=1)
    assert "no command 'm-1' waits" in late.err
    assert "no command waits" in (await made.call("schedule", "list", APP)).out


async def test_parked_rows_are_listed_and_wait_again(made):
    with closing(sqlite3.connect(made.path / "post.db")) as connection:
        connection.execute(
            "INSERT INTO sourceflow_outbox (app, entity, stream_key, kind, destination, source, "
            "message_id, type, body, created, parked) VALUES ('post', 'Parcel', 'p', 'queue', "
            "'packing.fifo', '/post', 'm-1', 'Gone', '{}', 1, 'UnknownType')"
        )
        connection.commit()
    listed = await made.call("outbox", "list", APP, "--json")
    (row,) = rows(listed)
    assert (row["type"], row["reason"], row["message_id"]) == ("Gone", "UnknownType", "m-1")
    assert "0 message(s) wait to be sent" in listed.err

    assert "or --all" in (await made.call("outbox", "retry", APP, code=2)).err
    await made.call("outbox", "retry", APP, "987654", code=1)
    again = await made.call("outbox", "retry", APP, str(row["position"]))
    assert "1 row(s) wait for a sender again" in again.out
    assert "nothing is parked" in (await made.call("outbox", "list", APP)).out


async def test_resources_are_planned_made_and_pruned(folder, aws):
    planned = rows(await folder.call("provision", APP, "--plan", "--json"))
    assert {each["kind"] for each in planned} == {"queue", "dead letter queue"}
    assert {each["what"] for each in planned} == {"missing"}
    assert not any(name.startswith("Create") for name in aws.calls)
    made = await folder.call("provision", APP)
    assert "packing.fifo" in made.out
    assert "everything is there already" in (await folder.call("provision", APP)).out
    assert "nothing is left over" in (await folder.call("provision", APP, "--prune")).out

    both = await folder.call("provision", APP, "--plan", "--prune", code=2)
    assert "give --plan or --prune, not both" in both.err
    assert "does not use AWS" in (await folder.call("provision", "post:local", code=2)).err


async def test_what_is_left_over_is_removed_after_asking(folder):
    await folder.call("provision", "post:subscribed")
    unasked = await folder.call("provision", APP, "--prune", code=2)
    assert "nothing was removed: --yes does it unasked" in unasked.err
    assert "post-events" in unasked.err
    assert unasked.out == ""

    pruned = rows(await folder.call("provision", APP, "--prune", "--yes", "--json"))
    assert [each["what"] for each in pruned] == ["removed"] * 4
    assert "nothing is left over" in (await folder.call("provision", APP, "--prune")).out
    silent = await folder.call("provision", "post:silent", "--prune", code=2)
    assert "does not listen to events as it is configured here" in silent.err


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_every_command_runs_as_a_process_of_its_own(folder):
    await folder.process("check", APP)
    await folder.process("describe", APP)
    await folder.process("provision", APP)
    worker = await folder.start("run", APP)
    await folder.until((folder.path / "post.db").exists)
    while b"post is running" not in await worker.stderr.readline():
        pass
    await folder.process("send", APP, "Pack", '{"parcel_id": "p-1"}')
    await folder.until(lambda: packed(folder) == ["p-1"])
    worker.send_signal(signal.SIGINT)
    assert (await folder.ended(worker)).code == 0
    for arguments in (
        ("history", APP, "Parcel", "p-1"),
        ("replay", APP, "Parcel", "p-1"),
        ("rebuild", APP, "Weights"),
        ("dead-letters", "list", APP),
        ("outbox", "list", APP),
        ("schedule", "list", APP),
    ):
        await folder.process(*arguments)
        mistyped = ["post:ap" if each == APP else each for each in arguments]
        wrong = await folder.process(*mistyped, code=2)
        assert wrong.err.startswith("error: post has no 'ap', did you mean 'app'?")
