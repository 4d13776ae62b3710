"""The Python in the documents runs, and prints what they say.

The blocks of one document are one module, run in order: a later one may use what an earlier one
defines. A block may await: it then runs in an event loop of its own. Blocks with a title are files
of the tutorial, which tests/integration/test_tutorial.py walks through.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import logging
import sys
import types
import typing

import pytest

from sourceflow.telemetry.lines import LOGGER


@pytest.fixture
def module(document):
    """An empty module for a document's code, importable so that hints resolve in it."""
    name = "document_" + "".join(each if each.isalnum() else "_" for each in document.name)
    made = sys.modules[name] = types.ModuleType(name)
    yield made
    del sys.modules[name]


@pytest.fixture(autouse=True)
def step_logger():
    """The logger of steps is as it was, whatever a document does to it."""
    logger = logging.getLogger(LOGGER)
    level, handlers = logger.level, logger.handlers[:]
    yield
    logger.setLevel(level)
    logger.handlers[:] = handlers


def run(block, document, module):
    # Lines are moved to where they stand, so that a traceback points into the document.
    source = "\n" * (block.line - 1) + block.code
    code = compile(source, document.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, module.__dict__)
    if inspect.iscoroutine(result):
        asyncio.run(result)


def test_code_runs_and_prints_what_the_document_says(document, module, capsys):
    printed = None
    for block in document.blocks:
        if block.title is not None:
            continue
        if block.language == "python":
            run(block, document, module)
            printed = capsys.readouterr().out
        elif block.prints and printed is not None:
            assert printed == block.code, f"{document.name}:{block.line}"
            printed = None

    for value in list(vars(module).values()):
        if getattr(value, "__module__", None) == module.__name__ and callable(value):
            typing.get_type_hints(value)
