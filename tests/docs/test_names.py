"""What the documents name exists: targets, commands, files, names of the API."""

from __future__ import annotations

import builtins
import dataclasses
import importlib
import re

import pytest
import typer.main

import sourceflow
from sourceflow import errors
from sourceflow.host.cli.program import program
from sourceflow.telemetry.lines import LOGGER
from sourceflow.telemetry.names import ATTRIBUTES, METRICS, SPANS
from sourceflow.testing import LocalAws, ManualClock
from sourceflow.transports.aws import AwsOptions, AwsTransport
from sourceflow.transports.aws.bus import Bus

OWNERS = {
    "App": sourceflow.App,
    "app": sourceflow.App,
    "AwsOptions": AwsOptions,
    "AwsTransport": AwsTransport,
    "LocalAws": LocalAws(),
    "aws": (AwsTransport, LocalAws()),
    "bus": Bus,
    "ManualClock": ManualClock,
    "self": sourceflow.Saga,
    "self.context": sourceflow.Context,
}
MEMBER = re.compile(r"(?<![\w.+/\[-])(self\.context|\w+)\.([a-z_]\w*)")
PATH = re.compile(r"(?:src|tests|docs|tools|examples|changes|benchmarks)/[\w./-]*")
FOLDER = re.compile(
    r"(?:demo|testing|host|stores|transports|bus|domain|messages|resilience|telemetry)/"
)
MODULE = re.compile(r"sourceflow(?:\.\w+)+")


#: Names of telemetry, which look like modules and members.
TELEMETRY = {each.name for each in (*ATTRIBUTES, *METRICS, *SPANS)}.union(
    *(attribute.values for attribute in ATTRIBUTES)
)


def consoles(document):
    return [
        line.partition("#")[0].strip()
        for block in document.blocks_of("console")
        for line in block.code.splitlines()
    ]


def named(document, pattern):
    """Return what a pattern finds in the code of a document's prose and in its commands."""
    texts = [text for text in document.codes if text not in TELEMETRY]
    return [match for text in [*texts, *consoles(document)] for match in pattern.findall(text)]


@pytest.fixture(scope="session")
def targets(root):
    return set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(), re.MULTILINE))


@pytest.fixture(scope="session")
def commands():
    """The commands of `sourceflow` with their options."""
    return {
        name: options_of(command)
        for name, command in typer.main.get_command(program).commands.items()
    }


def options_of(command):
    """Return the options of a command, and of those it consists of."""
    own = {
        option
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--")
    }
    return own.union(*map(options_of, getattr(command, "commands", {}).values()))


def test_make_targets_exist(document, targets):
    wanted = named(document, re.compile(r"\bmake (?:\w+=\S+ )*([a-z-]+)"))

    assert set(wanted) <= targets


def test_every_make_target_is_told_to_contributors(documents, targets):
    told = set(named(documents["CONTRIBUTING.md"], re.compile(r"^make ([a-z-]+)")))

    assert targets - {"help"} <= told


def test_commands_exist(document, commands):
    for command in named(document, re.compile(r"^(?:\S*/)?sourceflow ([a-z][a-z-]*)")):
        assert command in commands


GROUPS = {
    name: set(command.commands)
    for name, command in typer.main.get_command(program).commands.items()
    if hasattr(command, "commands")
}


@pytest.mark.parametrize("group", GROUPS)
def test_commands_of_a_group_exist_and_are_told(group, documents):
    pattern = re.compile(rf"sourceflow {group} ([a-z]+)")
    told = {each for document in documents.values() for each in named(document, pattern)}

    assert told <= GROUPS[group]
    assert set(named(documents["docs/cli.md"], pattern)) == GROUPS[group]


def test_every_command_has_a_section(commands, documents):
    told = re.findall(r"^## sourceflow ([a-z-]+)$", documents["docs/cli.md"].text, re.MULTILINE)

    assert sorted(told) == sorted(commands)


@pytest.mark.parametrize("command", typer.main.get_command(program).commands)
def test_the_options_of_a_command_are_those_it_has(command, commands, documents):
    section = documents["docs/cli.md"].text.partition(f"## sourceflow {command}\n")[2]
    section = section.partition("\n## ")[0]

    assert set(re.findall(r"^\| `(--[a-z-]+)", section, re.MULTILINE)) == commands[command]


def test_paths_exist(document, root):
    for path in named(document, PATH):
        assert (root / path).exists(), path


def test_folders_of_the_source_exist(document, root):
    for text in document.codes:
        if FOLDER.match(text):
            assert (root / "src" / "sourceflow" / text).exists(), text


def test_modules_and_their_names_can_be_imported(document):
    for dotted in set(named(document, MODULE)) - {LOGGER}:  # a logger is named like a module
        parts = dotted.split(".")
        try:
            importlib.import_module(dotted)
        except ModuleNotFoundError:
            module = importlib.import_module(".".join(parts[:-1]))
            assert hasattr(module, parts[-1]), dotted


def test_members_exist(document):
    for owner, member in named(document, MEMBER):
        found = OWNERS.get(owner, ())
        owners = found if isinstance(found, tuple) else (found,)
        assert not owners or any(hasattr(each, member) for each in owners), f"{owner}.{member}"


def test_errors_exist(document):
    for name in named(document, re.compile(r"\b[A-Z]\w*Error\b")):
        assert hasattr(errors, name) or hasattr(builtins, name), name


def test_options_exist(document):
    fields = {field.name for field in dataclasses.fields(AwsOptions)}
    for arguments in named(document, re.compile(r"AwsOptions\(([^)]*)\)")):
        assert set(re.findall(r"(\w+)=", arguments)) <= fields


def test_extras_exist(document, root):
    project = (root / "pyproject.toml").read_text()
    for extra in named(document, re.compile(r"sourceflow\[(\w+)\]")):
        assert re.search(rf"^{extra} = \[", project, re.MULTILINE), extra
