"""Everything public is described, and stands in the reference."""

from __future__ import annotations

import ast
import re

import griffe
import pytest

#: Functions that have the name of their module: pages show them one by one.
NAMESAKES = ("command", "event", "type_info")


@pytest.fixture(scope="module")
def frozen(root):
    """The public packages and their names, as the test that freezes them lists them."""
    tree = ast.parse((root / "tests/unit/test_public_names.py").read_text())
    (table,) = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "FROZEN"
    ]
    return ast.literal_eval(table)


@pytest.fixture(scope="module")
def source(root):
    """The package as the reference reads it: without importing it."""
    loader = griffe.GriffeLoader(search_paths=[root / "src"], docstring_parser="google")
    package = loader.load("sourceflow")
    loader.resolve_aliases(implicit=True, external=False)
    return package


@pytest.fixture(scope="module")
def public(frozen, source):
    """Every public object by its path, however many packages it is exported from."""
    found = [
        target(at(source, package).members[name])
        for package, names in frozen.items()
        for name in names
    ]
    # A function that has the name of its module hides behind it.
    objects = [each.members[each.name] if each.is_module else each for each in found]
    return {each.path: each for each in objects}


def target(each):
    """Return what an imported name stands for."""
    return each.final_target if each.is_alias else each


def at(source, dotted):
    """Return a package by its name."""
    _, _, rest = dotted.partition(".")
    return source[rest] if rest else source


def members(public):
    """Yield what the public classes have, inherited from ours or not, and the class.

    The tests of a suite are left out: their names say what they demand.
    """
    for each in public.values():
        if each.is_class:
            for name, member in each.all_members.items():
                if not name.startswith(("_", "test_")):
                    yield each, name, target(member)


def sections(each):
    """Return what the docstring of a class says of its attributes and parameters."""
    if each.docstring is None:
        return set()
    parsed = each.docstring.parse("google")
    told = [section for section in parsed if section.kind.value in {"attributes", "parameters"}]
    return {item.name for section in told for item in section.value}


def test_every_public_object_has_a_docstring(public):
    assert [path for path, each in public.items() if not each.docstring] == []


def test_every_method_and_attribute_of_a_public_class_is_described(public):
    told = {path: sections(each) for path, each in public.items() if each.is_class}

    assert [
        f"{owner.path}.{name}"
        for owner, name, member in members(public)
        if not member.docstring
        and name not in told[owner.path]
        and name not in sections(member.parent)
    ] == []


def test_docstrings_are_markdown(public):
    """The reference would show the colons that announce a block in other markup."""
    described = [*public.values(), *(member for _, _, member in members(public))]

    assert {
        each.path
        for each in described
        if each.docstring and re.search(r"::$|:\w+:`", each.docstring.value, re.MULTILINE)
    } == set()


def test_a_docstring_that_lists_arguments_lists_each_of_them_and_no_other(public):
    wrong = []
    for path, each in public.items():
        if not each.is_function or not each.docstring:
            continue
        told = sections(each)
        taken = {parameter.name.lstrip("*") for parameter in each.parameters}
        if told and {name.lstrip("*") for name in told} != taken:
            wrong.append(path)
    assert wrong == []


def test_the_reference_has_a_page_for_every_public_package(documents, frozen):
    pages = [each for name, each in documents.items() if name.startswith("docs/reference/api/")]
    shown = [
        package
        for page in pages
        for package in re.findall(r"^::: (\S+)$", page.text, re.MULTILINE)
        if package.rpartition(".")[2] not in NAMESAKES
    ]

    assert len(shown) == len(set(shown))
    # All of sourceflow.domain is in sourceflow too.
    assert set(shown) == set(frozen) - {"sourceflow.domain"}
    assert set(frozen["sourceflow.domain"]) <= set(frozen["sourceflow"])


def test_the_page_for_extending_lists_what_no_other_page_has(documents, frozen):
    page = documents["docs/reference/api/extending.md"]
    listed = re.findall(r"^ {8}- (\w+)$", page.text, re.MULTILINE)

    elsewhere = {*frozen["sourceflow"], *frozen["sourceflow.bus.ports"]}
    assert listed == [
        each for each in frozen["sourceflow.messages"] if each not in {*elsewhere, *NAMESAKES}
    ]


def test_the_list_of_packages_is_the_one_contributors_are_told(documents, frozen):
    told = documents["CONTRIBUTING.md"].prose.partition("Public is what")[2].partition("\n\n")[0]

    assert set(re.findall(r"`(sourceflow[a-z.]*)`", told)) == set(frozen)
