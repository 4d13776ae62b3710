"""Every relative link of the documents leads somewhere."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest


def test_links_lead_somewhere(document, documents, root):
    lost = []
    for link in document.links:
        url = urlsplit(link)
        if url.scheme:
            continue
        target = (document.path.parent / url.path).resolve() if url.path else document.path
        name = target.relative_to(root).as_posix()
        if not target.exists() or (url.fragment and url.fragment not in documents[name].anchors):
            lost.append(link)
    assert lost == []


def test_links_to_the_outside_are_secure(document):
    outside = [urlsplit(link) for link in document.links if urlsplit(link).scheme]

    assert [url.geturl() for url in outside if url.scheme != "https"] == []


@pytest.mark.parametrize("folder", ["docs", "docs/tutorial", "docs/guide", "docs/reference"])
def test_the_index_leads_to_every_page(folder, documents, root):
    index = documents["docs/index.md"]
    linked = {(index.path.parent / link.partition("#")[0]).resolve() for link in index.links}

    assert set((root / folder).glob("*.md")) - {index.path} <= linked


def test_the_list_of_decisions_leads_to_every_decision(documents, root):
    linked = {link for link in documents["docs/adr/README.md"].links if link[0].isdigit()}

    assert linked == {path.name for path in (root / "docs" / "adr").glob("[0-9]*.md")}
