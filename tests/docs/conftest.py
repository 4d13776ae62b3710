"""Every test that asks for ``document`` runs on each of them."""

from __future__ import annotations

import pytest
from project_documents import DOCUMENTS, ROOT


def pytest_generate_tests(metafunc):
    if "document" in metafunc.fixturenames:
        metafunc.parametrize("document", DOCUMENTS, ids=repr, scope="session")


@pytest.fixture(scope="session")
def root():
    """The folder of the project."""
    return ROOT


@pytest.fixture(scope="session")
def documents():
    """Every document by its name."""
    return {document.name: document for document in DOCUMENTS}
