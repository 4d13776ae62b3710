"""``MODULE:APP``, as people type it and mistype it."""

from __future__ import annotations

import sys

import pytest

from sourceflow import App
from sourceflow.host.cli.exits import WrongInputError
from sourceflow.host.cli.target import load_app

SERVICE = """
from sourceflow import App

app = App([], name="shop")
other = 3


class Holder:
    inner = app


def make():
    return App([], name="made")


def make_wrong():
    return "shop"


def make_of(name):
    return App([], name=name)


async def make_later():
    return app


def make_none():
    raise ValueError("no database")
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The folder that the command is called in; what is imported from it is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def service(folder):
    (folder / "shop_service.py").write_text(SERVICE)


def refusal(target):
    with pytest.raises(WrongInputError) as caught:
        load_app(target)
    return str(caught.value)


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    ("path", "name"), [("app", "shop"), ("Holder.inner", "shop"), ("make", "made")]
)
def test_an_app_or_what_returns_one_is_found_beside_the_caller(path, name):
    app = load_app(f"shop_service:{path}")

    assert isinstance(app, App)
    assert app.name == name


def test_a_module_in_a_package_is_found(folder):
    (folder / "shop_package").mkdir()
    (folder / "shop_package" / "service.py").write_text(SERVICE)

    assert load_app("shop_package.service:app").name == "shop"


@pytest.mark.parametrize("name", [".shop", "..", "my shop", "shop.1"])
def test_what_cannot_be_the_name_of_a_module_is_told(name):
    assert refusal(f"{name}:app") == (
        f"{name!r} is no name of a module: give the module and the App in it, as in "
        "'shop.service:app'"
    )


@pytest.mark.usefixtures("service")
def test_what_a_module_prints_is_kept_from_standard_output_unless_it_is_its_own(folder, capsys):
    (folder / "shop_loud.py").write_text("from shop_service import app\nprint('loud')\n")
    (folder / "shop_louder.py").write_text("from shop_service import app\nprint('loud')\n")

    load_app("shop_loud:app")
    assert capsys.readouterr() == ("", "loud\n")
    load_app("shop_louder:app", may_print=True)
    assert capsys.readouterr() == ("loud\n", "")


@pytest.mark.parametrize("target", ["shop", "shop:", ":app", ""])
def test_the_form_is_shown_to_who_misses_it(target):
    assert refusal(target) == (
        f"{target!r} names no App: give the module and the App in it, as in 'shop.service:app'"
    )


@pytest.mark.parametrize("path", ["shop/service.py", "./shop/service.py"])
def test_a_path_is_turned_into_the_module_that_was_meant(path):
    assert refusal(f"{path}:app").endswith("name its module, 'shop.service:app'")


@pytest.mark.usefixtures("service")
def test_a_missing_module_is_named_with_one_that_is_near(folder):
    text = refusal("shop_servise:app")

    assert text.startswith("there is no module 'shop_servise', did you mean 'shop_service'?")
    assert str(folder) in text


def test_a_missing_module_of_a_package_is_named_with_one_that_is_near(folder):
    (folder / "shop_package").mkdir()
    (folder / "shop_package" / "service.py").write_text(SERVICE)

    assert "did you mean 'shop_package.service'?" in refusal("shop_package.servise:app")


def test_a_missing_module_without_a_near_one_is_named():
    assert refusal("nothing_here:app").startswith("there is no module 'nothing_here': it is looked")


def test_a_missing_package_is_named():
    assert refusal("nothing_here.service:app").startswith("there is no module 'nothing_here': it")


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("shop_service:ap", "shop_service has no 'ap', did you mean 'app'?"),
        ("shop_service:zzz", "shop_service has no 'zzz': the App there is 'app'"),
        ("shop_service:Holder.iner", "shop_service: type has no 'iner', did you mean 'inner'?"),
        (
            "shop_service:other",
            "'shop_service:other' is of the type int, neither an App nor a function",
        ),
        ("shop_service:Holder", "'shop_service:Holder' takes arguments, or is a class: name an"),
        ("shop_service:make_of", "'shop_service:make_of' takes arguments, or is a class: name an"),
        ("shop_service:App", "'shop_service:App' takes arguments, or is a class: name an"),
        ("shop_service:make_later", "'shop_service:make_later' is an async function: make the"),
        ("shop_service:make_wrong", "'shop_service:make_wrong' returned a str, not an App"),
        ("shop_service:make_none", "'shop_service:make_none' made no App: ValueError: no database"),
        ("shop_service:make_none", " (shop_service.py, line 29)"),
    ],
)
def test_what_is_no_app_is_refused_with_what_to_do(target, text):
    assert text in refusal(target)


def test_a_module_without_an_app_is_told_the_form(folder):
    (folder / "shop_empty.py").write_text("")

    assert refusal("shop_empty:app").startswith("shop_empty has no 'app': give the module and")


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("x = 1\nraise RuntimeError('no key')", "RuntimeError: no key (shop_bad.py, line 2)"),
        ("import missing_thing", "ModuleNotFoundError: No module named 'missing_thing' (shop_bad"),
        ("import json\n\njson.loads('{')", "JSONDecodeError: Expecting property name enclosed"),
        ("import json\n\njson.loads('{')", "(shop_bad.py, line 3)"),
        ("def (", "SyntaxError: invalid syntax (shop_bad.py, line 1)"),
        ("import sys\nsys.exit(3)", "SystemExit: 3 (shop_bad.py, line 2)"),
        ("raise ValueError", "ValueError (shop_bad.py, line 1)"),
        (
            "from sourceflow import App\nApp([], name='a b')",
            "ValueError: the App's name 'a b' must be 1 to 64 letters",
        ),
        ("from sourceflow import App\nApp([], name='a b')", "queue's name (shop_bad.py, line 2)"),
    ],
)
def test_what_a_module_raises_is_told_with_its_line_and_no_stack(folder, code, what):
    (folder / "shop_bad.py").write_text(code)
    text = refusal("shop_bad:app")

    assert text.startswith("'shop_bad' cannot be imported: ")
    assert what in text
    assert "Traceback" not in text


def test_an_interruption_of_the_import_is_one(folder):
    (folder / "shop_stopped.py").write_text("raise KeyboardInterrupt")

    with pytest.raises(KeyboardInterrupt):
        load_app("shop_stopped:app")
