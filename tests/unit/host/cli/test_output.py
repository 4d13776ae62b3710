"""Rows, for people and for programs."""

from __future__ import annotations

import io
import json
import re
import sys
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


@pytest.fixture
def terminal(monkeypatch):
    """Let standard output pass for a terminal of so many columns."""

    def terminal(columns):
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", str(columns))

    return terminal


LETTERS = (
    {"queue": "packing.fifo", "id": "0c8a2b1e-52c1-4d1b-9d6a-0f7f3c0a8a11", "error": "x y " * 30},
    {"queue": "packing.fifo", "id": "5d0e6f3a-8b1c-4f7e-a2b9-6c1d9e4f2b70", "error": None},
)


def told(capsys):
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)


def test_only_the_last_column_is_folded_where_a_terminal_is_wide_enough(terminal, capsys):
    terminal(100)
    Output(as_json=False).table(("queue", "id", "error"), LETTERS, empty="")

    head, *lines = told(capsys).splitlines()
    assert head.split() == ["queue", "id", "error"]
    assert all(len(line) <= 100 for line in lines)
    for letter in LETTERS:
        assert any(letter["id"] in line for line in lines)


@pytest.mark.parametrize("columns", [71, 48])
def test_a_row_is_a_block_of_lines_where_a_terminal_is_narrow(columns, terminal, capsys):
    terminal(columns)
    Output(as_json=False).table(("queue", "id", "error"), LETTERS, empty="")

    lines = [line.rstrip() for line in told(capsys).splitlines()]
    assert all(len(line) <= columns for line in lines)
    assert lines[:2] == ["queue  packing.fifo", f"id     {LETTERS[0]['id']}"]
    assert lines[-4:] == ["", "queue  packing.fifo", f"id     {LETTERS[1]['id']}", "error  -"]


def test_json_is_json_whatever_the_encoding_of_standard_output(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", out)
    Output(as_json=True).record({"text": "grün ☃ 😀"})

    out.flush()
    written = out.buffer.getvalue()
    assert written.isascii()
    assert json.loads(written) == {"text": "grün ☃ 😀"}


def test_what_belongs_to_a_question_goes_to_standard_error(capsys):
    Output(as_json=False, aside=True).table(("id",), ROWS, empty="")

    out, err = capsys.readouterr()
    assert out == ""
    assert err.split()[0] == "id"
