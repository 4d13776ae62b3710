"""What every test finds: signals as in a terminal, files in memory, and LocalStack where it is asked for.

It is started once, in the background, and ended by us.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from postgres_server import Permission

START = Path(__file__).parents[1] / "tools" / "localstack" / "start.sh"
GIVEN_URL = "SOURCEFLOW_TEST_LOCALSTACK_URL"
SERVICES = ("sqs", "sns", "kms")

#: Seconds it may take to answer: about ten, and minutes where its environment is made first.
STARTS_WITHIN = 420.0
#: Seconds it may take to end when asked to.
ENDS_WITHIN = 15.0
#: Characters of its log that a failure shows.
LOG_TAIL = 4000


class LocalStackError(Exception):
    """LocalStack does not answer; the text says why."""


class LocalStack:
    """One LocalStack for the session: the one that the environment names, or one of our own."""

    def __init__(self) -> None:
        self._given = os.environ.get(GIVEN_URL)
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: TemporaryDirectory[str] | None = None
        self._deadline = 0.0
        self._failure: str | None = None
        self._is_ready = False
        self.url = self._given or ""

    def start(self) -> None:
        """Begin to start it, if nobody has; returns at once."""
        if self._deadline:
            return
        self._deadline = time.monotonic() + STARTS_WITHIN
        if self._given:
            return
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._folder = TemporaryDirectory(prefix="sourceflow-localstack-")
        folder = Path(self._folder.name)
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [START],
                env={
                    **os.environ,
                    "LOCALSTACK_PORT": str(port),
                    "LOCALSTACK_STATE": str(folder / "state"),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a group of its own, to be ended as one
            )

    def wait(self) -> None:
        """Wait until it is healthy or cannot become so; ``ready_url`` says which."""
        self.start()
        while not self._is_ready and self._failure is None:
            if self._is_healthy():
                self._is_ready = True
            elif self._process is not None and self._process.poll() is not None:
                self._fail(f"ended with status {self._process.returncode}")
            elif time.monotonic() > self._deadline:
                self._fail(f"does not answer on {self.url} after {STARTS_WITHIN:.0f} s")
            else:
                time.sleep(0.2)

    def ready_url(self) -> str:
        """Return where it answers.

        Raises:
            LocalStackError: It does not.
        """
        self.wait()
        if self._failure is not None:
            raise LocalStackError(self._failure)
        return self.url

    def _is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_localstack/health", timeout=2) as answer:
                services = json.load(answer)["services"]
        except (OSError, ValueError, KeyError):
            return False
        return all(services.get(name) in {"available", "running"} for name in SERVICES)

    def _fail(self, why: str) -> None:
        self._failure = f"LocalStack {why}"
        if self._folder is not None:
            log = (Path(self._folder.name) / "log").read_text(errors="replace")
            self._failure += f"; the end of its log:\n{log[-LOG_TAIL:]}"

    def stop(self) -> None:
        """End the process group that was started, if one was."""
        process, self._process = self._process, None
        if process is not None:
            for how, within in ((signal.SIGTERM, ENDS_WITHIN), (signal.SIGKILL, ENDS_WITHIN)):
                with suppress(ProcessLookupError):  # all of the group have ended
                    os.killpg(process.pid, how)
                try:
                    process.wait(within)
                    break
                except subprocess.TimeoutExpired:
                    continue
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


KEY = pytest.StashKey[LocalStack]()

#: A file system in memory, as Linux has it.
MEMORY = Path("/dev/shm")
#: Bytes that must be free there: several times what the tests keep at a time.
ROOM = 4 * 2**30
#: Where pytest makes ``tmp_path``, unless it is told by ``--basetemp``.
TEMPORARY = "PYTEST_DEBUG_TEMPROOT"


def pytest_configure(config):
    config.stash[KEY] = LocalStack()
    _take_sigint()
    if _has_room_in_memory():
        os.environ.setdefault(TEMPORARY, str(MEMORY))


def _has_room_in_memory():
    """Whether files may stand in memory: SQLite waits for the disk at each commit.

    Tests end processes, and never the power, so no promise depends on what is on the disk.
    """
    try:
        return (
            os.access(MEMORY, os.W_OK)
            and shutil.disk_usage(MEMORY).free >= ROOM
            and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC
        )
    except OSError:
        return False


def _take_sigint():
    """Let SIGINT end what tests start, as in a terminal.

    Shells start what runs in the background with SIGINT ignored, and whatever that starts inherits
    it: Ctrl-C would then end none of the programs under test.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure(config):
    config.stash[KEY].stop()


def needs_localstack(item):
    return item.get_closest_marker("localstack") is not None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Put what needs LocalStack last: the other tests run while it starts."""
    items.sort(key=needs_localstack)


def pytest_collection_finish(session):
    if not session.config.option.collectonly and any(map(needs_localstack, session.items)):
        session.config.stash[KEY].start()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    """Wait for LocalStack before the test's own time begins to count; see who may use PostgreSQL."""
    if needs_localstack(item):
        item.config.stash[KEY].wait()
    Permission.is_given = item.get_closest_marker("postgresql") is not None
    return (yield)


@pytest.fixture(scope="session")
def localstack_url(request):
    """Where LocalStack answers. It fails where there is none: nothing is skipped silently."""
    return request.config.stash[KEY].ready_url()
