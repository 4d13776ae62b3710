"""Commands as people call them: as processes, on what one worker has left.

What is made once is shared, as each process takes a second or two to start: tests here change only
what no other one looks at.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from sourceflow.testing import LocalAws

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SERVICE = Path(__file__).parent / "service.py"
PATIENCE = 100
APP = "post:app"
CARD = "4111 1111 1111 1111"
LETTERS = ("m-redriven", "m-resent", "m-kept-1", "m-kept-2")


@contextmanager
def served():
    """Serve a LocalAws from a thread of this process, so that its calls can be counted."""
    ready, stop = threading.Event(), asyncio.Event()
    found = []

    async def serve():
        async with LocalAws() as aws:
            found.extend((aws, asyncio.get_running_loop()))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    ready.wait(PATIENCE)
    aws, loop = found
    try:
        yield aws
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE)


def until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():  # another process: nothing says when
        assert time.monotonic() < end
        time.sleep(0.02)


class Post:
    """A folder with the service in it, from which commands are called."""

    def __init__(self, path, aws):
        self.path = path
        self.aws = aws
        self.environment = {
            **os.environ,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            "POST_AWS": aws.endpoint_url,
            "POST_DATABASE": f"sqlite:///{path / 'post.db'}",
            "POST_BOOK": str(path / "book"),
        }

    def start(self, *arguments, **environment):
        return subprocess.Popen(
            [sys.executable, "-m", "sourceflow", *arguments],
            cwd=self.path,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def ended(self, process):
        out, err = process.communicate(timeout=PATIENCE)
        assert "Traceback" not in err
        assert CARD not in out + err
        return process.returncode, out, err

    def call(self, *arguments, **environment):
        return self.ended(self.start(*arguments, **environment))

    def rows(self, *arguments):
        code, out, err = self.call(*arguments, "--json")
        assert (code, err) == (0, "")
        return [json.loads(line) for line in out.splitlines()]

    def book(self, what):
        path = self.path / "book"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.split()[1] for line in lines if line.endswith(what)]


def pack(key, **fields):
    return ("send", APP, "Pack", json.dumps({"parcel_id": key, "card": CARD, **fields}))


@pytest.fixture(scope="module")
def post(tmp_path_factory):
    path = tmp_path_factory.mktemp("post")
    shutil.copy(SERVICE, path / "post.py")
    with served() as aws:
        post = Post(path, aws)
        code, out, err = post.call("provision", APP)
        assert (code, err) == (0, "")
        assert "packing.fifo" in out
        database = ("--url", post.environment["POST_DATABASE"])
        assert post.call("db", "upgrade", *database) == (0, "revision 0001 has run\n", "")
        assert post.call("db", "current", *database) == (0, "revision 0001, the latest\n", "")
        with closing_worker(post):
            for number in range(3):
                code, out, err = post.call(*pack(f"p-{number}"), "--json")
                assert (code, err, json.loads(out)["destination"]) == (0, "", "packing.fifo")
            for name in LETTERS:
                post.call(*pack(name, weight=-1), "--message-id", name)
            until(lambda: len(post.book("packed")) == 3)
            until(lambda: len(post.book("begins")) == 3 + len(LETTERS))
        yield post


@contextmanager
def closing_worker(post):
    worker = post.start("run", APP)
    try:
        yield
        worker.send_signal(signal.SIGTERM)
        code, out, _ = post.ended(worker)
        assert (code, out) == (0, "")
    finally:
        worker.kill()
        worker.wait()


def test_answers_are_json_on_standard_output_and_nothing_else(post):
    (stamped, first) = reversed(post.rows("history", APP, "Parcel", "p-0"))
    assert (first["type"], stamped["type"]) == ("Pack", "Stamp")
    assert post.rows("history", APP, "Parcel", "p-9") == []
    assert post.rows("replay", APP, "Parcel", "p-0")[0]["commands"] == 2
    assert post.rows("rebuild", APP, "Weights") == [{"events": 3, "rows": 3}]
    letters = post.rows("dead-letters", "list", APP)
    assert {"m-kept-1", "m-kept-2"} <= {each["message_id"] for each in letters}
    (shown,) = post.rows("dead-letters", "show", APP, "packing.fifo", "m-kept-1")
    assert (shown["type"], shown["reason"]) == ("Pack", "RetriesExhausted")
    assert post.rows("provision", APP, "--plan") == []
    (health,) = post.rows("health", APP)
    assert health["status"] == "degraded"  # there are dead letters
    code, out, err = post.call("outbox", "list", APP, "--json")
    assert (code, out, err) == (0, "", "0 message(s) wait to be sent\n")


def test_dead_letters_are_sent_again_and_replaced(post):
    letter = ("dead-letters", "redrive", APP, "packing.fifo", "--message-id", "m-redriven")
    assert post.call(*letter) == (0, "1 letter(s) were sent again, 3 were left\n", "")
    resend = ("dead-letters", "resend", APP, "packing.fifo", "m-resent")
    code, out, err = post.call(*resend, '{"parcel_id": "p-5", "wieght": 2}')
    assert (code, out) == (2, "")
    assert err == "error: Pack has no field 'wieght', did you mean 'weight'?\n"
    code, out, err = post.call(*resend, '{"parcel_id": "p-5", "weight": 2}')
    assert (code, err) == (0, "")
    assert out.endswith("was sent in its place\n")
    code, out, err = post.call(*resend, '{"parcel_id": "p-5"}')
    assert (code, out) == (2, "")
    assert "m-resent is not among the dead letters of packing.fifo" in err
    code, out, err = post.call("dead-letters", "purge", APP, "packing.fifo")
    assert (code, out) == (2, "")
    assert err.endswith("[y/N]: \nerror: nothing was deleted: --yes does it unasked\n")


def test_a_redrive_that_is_interrupted_leaves_the_rest_where_it_is(post):
    deleted = post.aws.calls["DeleteMessageBatch"]
    slow = ("dead-letters", "redrive", APP, "packing.fifo", "--reason", "Retries", "--rate", "0.01")
    process = post.start(*slow)
    until(lambda: post.aws.calls["DeleteMessageBatch"] > deleted)
    process.send_signal(signal.SIGTERM)
    assert post.ended(process) == (130, "", "interrupted\n")


def test_what_waits_is_taken_back_once(post):
    code, out, _ = post.call(*pack("p-6"), "--delay", "1 h", "--message-id", "m-late")
    assert (code, out) == (0, "Pack m-late is in the schedule\n")
    (waiting,) = post.rows("schedule", "list", APP)
    assert waiting["message_id"] == "m-late"
    cancel = ("schedule", "cancel", APP, "m-late")
    assert post.call(*cancel) == (0, "m-late was taken back\n", "")
    code, out, err = post.call(*cancel)
    assert (code, out) == (1, "")
    assert err.startswith("error: no command 'm-late' waits: ")
    code, out, err = post.call(*pack("p-6"), "--delay", "99999999 d")
    assert (code, out, err) == (2, "", "error: a command cannot wait beyond the year 9999\n")


def test_rows_of_the_outbox_that_are_not_parked_are_told(post):
    retry = ("outbox", "retry", APP)
    assert post.call(*retry)[0] == 2
    code, out, err = post.call(*retry, "7")
    assert (code, out) == (1, "")
    assert err == "error: 1 of 1 row(s) are not parked; 0 wait for a sender again\n"


def test_what_is_left_over_is_removed(post):
    assert post.call("provision", "post:subscribed")[0] == 0
    prune = ("provision", APP, "--prune", "--json")
    code, out, err = post.call(*prune)
    assert (code, out) == (2, "")
    assert "post-events" in err
    code, out, err = post.call(*prune, "--yes")
    assert (code, err) == (0, "")
    assert {json.loads(line)["what"] for line in out.splitlines()} == {"removed"}


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_rebuild_that_is_interrupted_says_so_and_can_be_resumed(post, stop):
    before = len(post.book("projected"))
    process = post.start("rebuild", APP, "Weights", POST_PAUSE="0.5")
    until(lambda: len(post.book("projected")) > before)
    process.send_signal(stop)
    assert post.ended(process) == (130, "", "interrupted\n")
    assert post.rows("rebuild", APP, "Weights", "--resume")[0]["rows"] == 3


def test_a_wrong_key_is_told(post):
    code, out, err = post.call("replay", APP, "Parcel", "p-9")
    assert (code, out) == (1, "")
    assert err == "error: Parcel p-9 has no commands: nothing was run again\n"


def test_what_an_app_prints_is_no_part_of_the_answer(post):
    (post.path / "loud.py").write_text("from post import app\nprint('loud')\n")
    code, out, err = post.call("describe", "loud:app", "--json")
    assert (code, json.loads(out)["app"], err) == (0, "post", "loud\n")


def test_a_demo_that_is_ended_leaves_no_file_behind(post, tmp_path):
    process = post.start("demo", TMPDIR=str(tmp_path))
    until(lambda: list(tmp_path.glob("sourceflow-*/store.db")))
    process.send_signal(signal.SIGTERM)
    code, out, err = post.ended(process)
    assert (code, out) == (130, "")
    assert err.startswith("interrupted: ")
    assert list(tmp_path.iterdir()) == []


def test_who_stops_reading_ends_a_command_without_a_word(post):
    process = post.start("local", "--port", "0")
    with closing(process.stdout) as out:
        pass
    assert out.closed
    assert process.wait(PATIENCE) == 1
    assert process.stderr.read() == ""
    process.stderr.close()
