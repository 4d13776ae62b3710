"""What holds for every command: how it is interrupted, and what it may be given and may write to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

START = (sys.executable, "-m", "sourceflow")
PATIENCE = 60

SLOW = """
import sys, time
sys.stderr.write("imported\\n")
sys.stderr.flush()
time.sleep(600)
"""

#: What shells do to processes that they start in the background.
IGNORING = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"


def run(*arguments, **options):
    return subprocess.run(
        [*START, *arguments], capture_output=True, check=False, timeout=PATIENCE, **options
    )


@pytest.mark.parametrize(
    ("stop", "before"),
    [
        (signal.SIGINT, ()),
        (signal.SIGTERM, ()),
        (signal.SIGTERM, (sys.executable, "-c", IGNORING)),
    ],
)
def test_a_command_ends_with_130_when_it_is_interrupted(stop, before, tmp_path):
    (tmp_path / "slow_module.py").write_text(SLOW)
    process = subprocess.Popen(
        [*before, *START, "check", "slow_module:app"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr.readline() == "imported\n"
        process.send_signal(stop)
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (130, "", "interrupted\n")


def test_an_argument_that_is_no_text_is_told():
    ended = run("check", os.fsdecode(b"gr\xfcn:app"))

    assert (ended.returncode, ended.stdout) == (2, b"")
    assert ended.stderr.startswith(b"error: an argument cannot be read as utf-8: set LC_ALL")


def test_what_the_encoding_has_no_sign_for_is_written_out(tmp_path):
    (tmp_path / "shop_signs.py").write_text(
        "from sourceflow import App, View, ViewModel, Event, Key, projects\n"
        "class Gone(Event, name='gr\u00fcn'):\n    id: Key[str]\n"
        "class Row(ViewModel):\n    id: Key[str]\n"
        "class Rows(View[Row]):\n"
        "    @projects\n"
        "    def gone(self, event: Gone) -> Row:\n        return Row(id=event.id)\n"
        "app = App([Rows], name='shop')\n"
    )
    ended = run(
        "describe", "shop_signs:app", cwd=tmp_path, env=os.environ | {"PYTHONIOENCODING": "ascii"}
    )

    assert (ended.returncode, ended.stderr) == (0, b"")
    assert b"gr\\xfcn" in ended.stdout


@pytest.mark.parametrize("arguments", [("--help",), ("db", "sql", "--url", "sqlite://")])
def test_a_standard_output_that_is_closed_is_no_fault(arguments):
    ended = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *START, *arguments],
        capture_output=True,
        check=False,
        timeout=PATIENCE,
    )

    assert (ended.returncode, ended.stderr) == (0, b"")
