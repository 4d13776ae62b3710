"""Rows, for people and for programs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from sourceflow.host.cli.output import Output, printable, say

ROWS = (
    {"id": "a" * 300, "when": datetime(2026, 3, 1, 9, 30, 5, 7, UTC), "subscribers": ("x", "y")},
    {"id": "b", "when": None, "subscribers": ()},
)


def test_people_see_the_columns_that_are_named(capsys):
    Output(as_json=False).table(("id", "when"), ROWS, empty="nothing")

    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["id", "when"]
    assert first.split() == ["a" * 300, "2026-03-01", "09:30:05Z"]  # a pipe wraps nothing
    assert second.split() == ["b", "-"]


def test_programs_read_every_member_an_object_a_line(capsys):
    Output(as_json=True).table(("id",), ROWS, empty="nothing")

    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"id": "a" * 300, "when": "2026-03-01T09:30:05.000007Z", "subscribers": ["x", "y"]},
        {"id": "b", "when": None, "subscribers": []},
    ]


@pytest.mark.parametrize(("as_json", "out"), [(False, "nothing waits\n"), (True, "")])
def test_no_rows_are_a_sentence_for_people_and_nothing_for_programs(as_json, out, capsys):
    Output(as_json=as_json).table(("id",), (), empty="nothing waits")

    assert capsys.readouterr().out == out


def test_one_record_is_a_line_for_each_member(capsys):
    record = {"total": Decimal("1.50"), "is_fifo": True, "kinds": ["a", "b"], "more": {"x": 1}}
    Output(as_json=False).record(record)

    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["total", "1.50"],
        ["is_fifo", "yes"],
        ["kinds", "a,", "b"],
        ["more", '{"x":1}'],
    ]


def test_one_record_is_one_object(capsys):
    Output(as_json=True).record({"total": Decimal("1.50")})

    assert capsys.readouterr().out == '{"total":"1.50"}\n'


def test_what_would_steer_a_terminal_is_written_out(capsys):
    hostile = "\x1b[2J\r\x9b1m\x07[red]\u202eü"
    Output(as_json=False).table(("error",), [{"error": hostile}], empty="")
    say(hostile)

    _, *lines = capsys.readouterr().out.splitlines()
    assert lines == ["\\x1b[2J\\r\\x9b1m\\x07[red]\\u202eü"] * 2


def test_lines_stay_lines():
    assert printable("one\ntwo\x00") == "one\ntwo\\x00"
