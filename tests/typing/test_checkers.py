from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MARK = re.compile(r"# error(?:: (\w+))?$")


def lines_that_mypy_refuses(path):
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--output", "json", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode in {0, 1}, ran.stdout + ran.stderr
    found = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    assert {Path(each["file"]).name for each in found} <= {path.name}
    return {each["line"] for each in found if each["severity"] == "error"}


def lines_that_pyright_refuses(path):
    ran = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode in {0, 1}, ran.stdout + ran.stderr
    found = json.loads(ran.stdout)["generalDiagnostics"]
    return {each["range"]["start"]["line"] + 1 for each in found}


CHECKERS = {"mypy": lines_that_mypy_refuses, "pyright": lines_that_pyright_refuses}


def marked_lines(path, checker):
    lines = path.read_text(encoding="utf-8").splitlines()
    marks = ((number, MARK.search(line)) for number, line in enumerate(lines, start=1))
    return {number for number, mark in marks if mark and mark[1] in {None, checker}}


@pytest.mark.slow
@pytest.mark.parametrize("checker", CHECKERS)
def test_a_checker_accepts_right_code(checker):
    assert CHECKERS[checker](HERE / "accepted.py") == set()


@pytest.mark.slow
@pytest.mark.parametrize("checker", CHECKERS)
def test_a_checker_refuses_each_wrong_line_and_no_other(checker):
    path = HERE / "rejected.py"

    assert CHECKERS[checker](path) == marked_lines(path, checker)


async def test_right_code_is_sound_when_it_runs():
    spec = importlib.util.spec_from_file_location("accepted", HERE / "accepted.py")
    accepted = importlib.util.module_from_spec(spec)
    sys.modules["accepted"] = accepted
    spec.loader.exec_module(accepted)
    try:
        accepted.the_types_of_data()
        accepted.build().check()
    finally:
        del sys.modules["accepted"]
