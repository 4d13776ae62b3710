"""The largest bodies that SQS takes, made to cost as much as they can."""

from __future__ import annotations

import contextlib
import gc
import time
import tracemalloc
from typing import Any

import pytest

from sourceflow import Command, Key
from sourceflow.errors import MalformedError
from sourceflow.messages import Codec, Registry

LARGEST = 1_048_576
"""Bytes that SQS takes (quotas of Amazon SQS, "Message size")."""

SECONDS = 2.0
"""What none may cost: several times what the worst does, and what a quadratic reader exceeds."""

GROWTH = 40
"""How many times its own size a body may take in memory: an empty object of one byte in three."""


class Note(Command):
    id: Key[str]
    note: Any = None
    amounts: tuple[float, ...] = ()


HEAD = (
    '{"specversion":"1.0","id":"m-1","source":"/elsewhere","type":"Note","kind":"command",'
    '"time":"2026-01-01T00:00:00Z","data":{"id":"1","note":'
)


def filled(opening, piece, closing, tail="}}"):
    """Return a document as large as may be that repeats a piece."""
    room = LARGEST - len(HEAD) - len(opening) - len(closing) - len(tail)
    return (HEAD + opening + (piece * (room // len(piece))).rstrip(",") + closing + tail).encode()


def numbered(opening, tail):
    """Return a document that holds as many different names as fit."""
    names = ",".join(f'"a{number}":"b"' for number in range(70_000))
    return (HEAD + opening + names + tail).encode()


WORST = {
    "a text": filled('"', "x", '"'),
    "escapes": filled('"', "\\u0041", '"'),
    "numbers": filled("[", "1,", "]"),
    "floats of many digits": filled("[", "1.7976931348623157e-300,", "]"),
    "empty lists": filled("[", "[],", "]"),
    "empty objects": filled("[", "{},", "]"),
    "one name again and again": filled("{", '"a":1,', '"a":1}'),
    "names that all differ": numbered("{", "}}}"),
    "headers": numbered("1},", "}"),
    "floats where texts stand": filled('1,"amounts":["', "x", '"]'),
    "a number of a million digits": filled("", "9", ""),
}


def read(body):
    with contextlib.suppress(MalformedError):  # refused or read: this is about what it costs
        Codec(Registry([Note])).decode(body, type_hint="Note", kind="command")


@pytest.fixture
def no_leftovers():
    """Keep the collector from what other tests have left, at which it would look again and again."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("no_leftovers")
@pytest.mark.parametrize("body", WORST.values(), ids=WORST)
def test_the_largest_body_costs_little_time(body):
    assert LARGEST * 0.7 < len(body) <= LARGEST
    started = time.process_time()

    read(body)

    assert time.process_time() - started < SECONDS


@pytest.mark.slow
@pytest.mark.parametrize("body", WORST.values(), ids=WORST)
def test_the_largest_body_unfolds_into_no_more_than_its_own_values(body):
    """Slow: every one of up to 350,000 small values is written down by tracemalloc."""
    tracemalloc.start()
    try:
        read(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < GROWTH * LARGEST
