"""The tutorial is walked through, as its readers do: files are written, commands are run.

In its blocks, a file is Python with the title of its name. ``shop.py: OrderSaga`` is a part of one:
it takes the place of what has that name, and imports go to the others. A command is run in the
terminal of the title, where it goes on in the background, or else until it ends. Text behind it
shows what it prints, all of it or, with the title of a terminal, lines of it or their ends.
"""

from __future__ import annotations

import ast
import os
import re
import secrets
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from project_documents import DOCUMENTS

#: What readers do to get a Python with sourceflow and pytest, which runs this test already.
SETS_UP = re.compile(r"mkdir |python3 -m venv |pip install ")
PAGES = tuple(f"docs/tutorial/{each}.md" for each in ("first-service", "tests", "two-services"))
#: Seconds that a terminal may take to say something.
PATIENCE = 120


class Terminal:
    """A program that runs in the background, and what it has said."""

    def __init__(self, command, folder, variables):
        self.lines = []
        self._said = threading.Condition()
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            with self._said:
                self.lines.append(line.rstrip("\n"))
                self._said.notify()
        with self._said:
            self.lines.append(None)
            self._said.notify()

    def wait_for(self, matches):
        """Wait for a line, and take it and those before it away."""
        with self._said:
            found = self._said.wait_for(lambda: any(map(matches, self.lines)), PATIENCE)
            assert found, f"{self._process.args} said only {self.lines}"
            (at, *_) = [at for at, line in enumerate(self.lines) if matches(line)]
            line, self.lines = self.lines[at], self.lines[at + 1 :]
        return line

    def interrupt(self):
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(PATIENCE)

    def end(self):
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join()
        self._process.stdout.close()


class Walk:
    """A reader of the tutorial: a folder, terminals, and what was printed last.

    ``elsewhere`` has the variables that lead to another AWS than `sourceflow local`.
    """

    def __init__(self, folder, variables):
        self.elsewhere = {}
        self.folder = folder
        self.variables = variables
        self.terminals = {}
        self.printed = ""

    def read(self, document):
        for block in document.blocks:
            where = f"{document.name}:{block.line}"
            if block.language == "python":
                self.write(block.code, *block.title.split(": "))
            elif block.language == "console":
                self.printed = ""
                for command in block.code.splitlines():
                    if not SETS_UP.match(command):
                        self.do(command, block.title)
            elif block.title is not None:
                for line in block.code.splitlines():
                    self.terminals[block.title].wait_for(ends_with(line))
            elif block.prints:
                assert self.printed == block.code, where

    def write(self, code, name, part=None):
        path = self.folder / name
        path.write_text(code if part is None else replaced(path.read_text(), code, part))

    def do(self, command, terminal):
        if command == "^C":
            assert self.terminals[terminal].interrupt() == 0
            self.terminals.pop(terminal).end()
        elif self.elsewhere and command == "sourceflow local":
            pass
        elif terminal is not None:
            # Other servers may run here: it gets a free port.
            free = " --port 0" if command == "sourceflow local" else ""
            words = shlex.split(command + free)
            self.terminals[terminal] = Terminal(words, self.folder, self.variables)
        elif self.elsewhere and command.startswith("export "):
            self.variables |= self.elsewhere
        elif command.startswith("export "):
            (local,) = self.terminals.values()
            told = local.wait_for(lambda line: line is not None and line.startswith("export "))
            assert re.sub(r":\d+", ":4566", told) == command
            self.variables |= dict(each.split("=", 1) for each in shlex.split(told)[1:])
        else:
            done = subprocess.run(
                shlex.split(command),
                cwd=self.folder,
                env=self.variables,
                capture_output=True,
                text=True,
                check=False,
                timeout=PATIENCE,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            self.printed += done.stdout


def ends_with(end):
    return lambda line: line is not None and line.endswith(end)


def replaced(text, code, part):
    """Put a class or function in the place of the one before, and imports to the others."""
    tree, new = ast.parse(text), ast.parse(code)
    (old,) = [each for each in tree.body if getattr(each, "name", None) == part]
    *imports, changed = new.body
    assert changed.name == part
    lines = text.splitlines()
    first = min([old.lineno, *(each.lineno for each in old.decorator_list)])
    lines[first - 1 : old.end_lineno] = ast.get_source_segment(code, changed).splitlines()
    at = next(each.lineno for each in tree.body if isinstance(each, ast.Import | ast.ImportFrom))
    lines[at - 1 : at - 1] = [ast.get_source_segment(code, each) for each in imports]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def documents():
    """Every document by its name."""
    return {document.name: document for document in DOCUMENTS}


@pytest.fixture
def variables():
    """The environment of a terminal: no AWS yet, and the programs of this Python."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    programs = Path(sys.executable).parent
    return inherited | {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def walk(tmp_path, variables):
    made = Walk(tmp_path, variables)
    yield made
    for terminal in made.terminals.values():
        terminal.end()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_tutorial_does_what_it_says(walk, documents):
    for name in PAGES:
        walk.read(documents[name])

    # They end when they are told to, the services before the server.
    for title in sorted(walk.terminals, reverse=True):
        assert walk.terminals[title].interrupt() == 0


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.localstack
def test_the_two_services_work_on_localstack_as_they_are(walk, documents, localstack_url):
    walk.read(documents[PAGES[0]])
    walk.elsewhere = {
        "AWS_ENDPOINT_URL": localstack_url,
        "AWS_ACCESS_KEY_ID": f"{10**11 + secrets.randbelow(9 * 10**11)}",  # an account of its own
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    walk.read(documents[PAGES[2]])

    (export,) = [
        block.code
        for block in documents["docs/tutorial/aws.md"].blocks_of("console")
        if block.code.startswith("export AWS_ENDPOINT_URL=")
    ]
    assert set(re.findall(r"(\w+)=", export)) == set(walk.elsewhere)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_tests_of_the_tutorial_see_the_rule(walk, documents):
    """Without it one of them fails, as the text says."""
    for name in PAGES[:2]:
        walk.read(documents[name])
    (first,) = [block for block in documents[PAGES[0]].blocks if block.title == "shop.py"]
    walk.write(first.code, "shop.py")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--asyncio-mode=auto"],
        cwd=walk.folder,
        env=walk.variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 failed, 3 passed" in done.stdout


def test_only_pages_that_are_walked_through_have_files(documents):
    """A block with a title is run nowhere else."""
    titled = {
        name
        for name, each in documents.items()
        if any(block.title is not None for block in each.blocks_of("python"))
    }

    assert titled == set(PAGES)
