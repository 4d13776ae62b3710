"""The site builds without a warning, shows the whole API, and needs nothing from elsewhere."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

pytestmark = pytest.mark.timeout(600)

#: Seconds that a build may take: about eight on an idle machine.
BUILDS_WITHIN = 500
#: Pages that the list of decisions leads to, instead of the navigation.
LISTED = "docs/adr/"


@pytest.fixture(scope="module")
def site(root, tmp_path_factory):
    """The site, built as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder]
    done = subprocess.run(
        command,
        cwd=root,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONWARNINGS": "default"},
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILDS_WITHIN,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


class Page(HTMLParser):
    """What a page of the site holds."""

    def __init__(self, path):
        super().__init__()
        self.ids = set()
        self.loaded = []
        self.links = []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids.add(given.get("id"))
        if tag in {"script", "img", "iframe", "source"}:
            self.loaded.append(given.get("src"))
        if tag == "link" and given.get("rel") in {"stylesheet", "preconnect", "icon"}:
            self.loaded.append(given["href"])
        if tag == "a":
            self.links.append(given.get("href") or "")


@pytest.fixture(scope="module")
def pages(site):
    return {str(path.relative_to(site)): Page(path) for path in site.rglob("*.html")}


@pytest.fixture(scope="module")
def api(pages):
    """The anchors of the reference."""
    return {
        each
        for name, page in pages.items()
        if name.startswith("reference/api/")
        for each in page.ids
    }


def test_every_page_is_in_the_navigation(documents, root):
    _, _, nav = (root / "mkdocs.yml").read_text().partition("\nnav:\n")
    listed = {f"docs/{each}" for each in re.findall(r"([\w./-]+\.md)$", nav, re.MULTILINE)}

    missing = {
        name
        for name in documents
        if name.startswith("docs/") and not re.match(rf"{LISTED}(?!README)", name)
    } - listed
    assert not missing, f"add {', '.join(sorted(missing))} to the nav of mkdocs.yml"


def test_a_page_links_to_pages_that_are_there(pages, site):
    """What the build does not look at: links to what stands outside of docs/ in a checkout."""
    lost = [
        (name, link)
        for name, page in pages.items()
        for link in page.links
        if not re.match(r"[a-z]+:|#|$|/", link)
        and not (site / name).parent.joinpath(link.partition("#")[0]).exists()
    ]
    assert lost == []


def test_a_pipe_in_a_table_is_shown_without_what_keeps_it_in_its_cell(site):
    text = (site / "guide/sagas-and-entities/index.html").read_text()

    assert "<code>account: Account | None</code>" in text
    assert "\\|" not in text


def test_the_search_shows_guides_before_the_api_and_decisions(site):
    found = json.loads((site / "search/search_index.json").read_text())["docs"]
    weights = {each["location"]: each.get("boost", 1) for each in found}

    decision = next(each for each in weights if each.startswith("adr/0013"))
    assert weights["guide/dead-letters/"] > weights["reference/api/sourceflow/"] > weights[decision]


def test_readers_may_choose_light_or_dark(site):
    text = (site / "index.html").read_text()

    schemes = re.findall(r'data-md-color-media="([^"]*)" data-md-color-scheme="(\w+)"', text)
    assert dict(schemes) == {
        "(prefers-color-scheme)": "default",
        "(prefers-color-scheme: light)": "default",
        "(prefers-color-scheme: dark)": "slate",
    }
    assert text.count('class="md-header__button md-icon" title="Switch to') == len(schemes)


def test_nothing_is_loaded_from_elsewhere(pages):
    loaded = {each for page in pages.values() for each in page.loaded if each}

    assert loaded
    assert {each for each in loaded if re.match(r"(?:https?:)?//", each)} == set()


def test_the_reference_shows_every_public_name(api, root):
    tree = ast.parse((root / "tests/unit/test_public_names.py").read_text())
    (frozen,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "FROZEN"
    ]
    # A name of several packages is shown once, where most programs import it from.
    repeat = {"sourceflow.domain", "sourceflow.messages"}
    shown = {name for package in ("sourceflow", "sourceflow.bus.ports") for name in frozen[package]}
    assert [
        f"{package}.{name}"
        for package, names in frozen.items()
        for name in names
        if not {f"{package}.{name}", f"sourceflow.messages.{name}.{name}"} & api
        and not (package in repeat and name in shown)
    ] == []


@pytest.mark.parametrize(
    "member",
    [
        "sourceflow.App.find",
        "sourceflow.App.rebuild",
        "sourceflow.Saga.send",
        "sourceflow.errors.CircuitOpenError",
        "sourceflow.stores.sql.SqlStores.migrate",
        "sourceflow.testing.LocalAws.refuse",
        "sourceflow.transports.aws.AwsTransport.circuits",
    ],
)
def test_the_reference_shows_members_own_and_inherited(api, member):
    assert member in api
