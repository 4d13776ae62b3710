from __future__ import annotations

import os
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from sourceflow.messages import check_message_id, ids, new_message_id
from sourceflow.messages.ids import MessageIds


def test_an_id_is_a_uuid_of_version_7():
    made = uuid.UUID(new_message_id())

    assert (made.version, made.variant) == (7, uuid.RFC_4122)


def test_an_id_is_in_its_hyphenated_form_and_can_be_sent():
    made = new_message_id()

    assert made == str(uuid.UUID(made))
    check_message_id(made)


def test_an_id_begins_with_the_time():
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(MessageIds().new())

    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000


def test_ids_grow_also_within_one_millisecond():
    made = [new_message_id() for _ in range(10_000)]

    assert made == sorted(made)
    assert len(set(made)) == len(made)


def at(monkeypatch, milliseconds):
    monkeypatch.setattr(ids.time, "time_ns", lambda: milliseconds * 1_000_000)


def test_ids_grow_when_the_clock_goes_back(monkeypatch):
    source = MessageIds()
    at(monkeypatch, 1_000_000)
    first = source.new()
    at(monkeypatch, 999_000)

    assert source.new() > first


def test_a_millisecond_that_is_used_up_borrows_the_next(monkeypatch):
    source = MessageIds()
    at(monkeypatch, 1_000_000)
    first = source.new()
    source._tail = (1 << 74) - 1
    second = source.new()

    assert second > first
    assert uuid.UUID(second).int >> 80 == 1_000_001


def test_ids_grow_when_the_last_group_is_used_up(monkeypatch):
    source = MessageIds()
    at(monkeypatch, 1_000_000)
    first = source.new()
    source._tail |= (1 << 48) - 1
    second = source.new()

    assert second > first
    assert uuid.UUID(second).int & ((1 << 62) - 1) == source._tail & ((1 << 62) - 1)


def test_two_sources_make_different_ids(monkeypatch):
    at(monkeypatch, 1_000_000)

    assert MessageIds().new() != MessageIds().new()


def test_threads_make_different_ids():
    with ThreadPoolExecutor(4) as threads:
        made = [
            each
            for some in threads.map(lambda _: [new_message_id() for _ in range(2000)], range(8))
            for each in some
        ]

    assert len(set(made)) == len(made)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_makes_other_ids():
    new_message_id()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, "\n".join(new_message_id() for _ in range(50)).encode())
        os._exit(0)
    own = {new_message_id() for _ in range(50)}
    os.close(write)
    with os.fdopen(read) as pipe:
        others = pipe.read().splitlines()
    os.waitpid(child, 0)

    assert len(set(others)) == 50
    assert own.isdisjoint(others)
    # random bits that follow on the same seed would be the same, whatever the milliseconds
    assert {each[-17:] for each in own}.isdisjoint(each[-17:] for each in others)
