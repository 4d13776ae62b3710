"""What commands raise, and how they end."""

from __future__ import annotations

import pytest
import typer

from sourceflow.errors import (
    AwsConfigurationError,
    DependencyError,
    InvalidMessageError,
    StoreConfigurationError,
    WiringError,
)
from sourceflow.host.cli.exits import WrongInputError, exits


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (WrongInputError("the text"), 2),
        (InvalidMessageError("the text"), 2),
        (StoreConfigurationError("the text"), 2),
        (DependencyError("the text"), 1),
        (AwsConfigurationError("the text", code="NotProvisioned"), 1),
        (TimeoutError("the text"), 1),
        (FileNotFoundError("the text"), 1),
    ],
)
def test_an_error_is_a_line_and_a_code(error, code, capsys):
    with pytest.raises(typer.Exit) as caught, exits():
        raise error

    assert caught.value.exit_code == code
    assert capsys.readouterr().err == f"error: {error}\n"


def test_all_faults_of_the_wiring_are_told(capsys):
    with pytest.raises(typer.Exit) as caught, exits():
        raise WiringError(["one", "two"])

    assert caught.value.exit_code == 2
    assert capsys.readouterr().err == "error: 2 fault(s) in the wiring:\n  - one\n  - two\n"


def test_an_interruption_has_a_code_of_its_own(capsys):
    with pytest.raises(typer.Exit) as caught, exits():
        raise KeyboardInterrupt

    assert caught.value.exit_code == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize("error", [typer.Exit(1), BrokenPipeError(), ZeroDivisionError()])
def test_other_ends_stay_as_they_are(error):
    with pytest.raises(type(error)) as caught, exits():
        raise error

    assert caught.value is error


def test_a_command_that_is_done_ends_as_it_is(capsys):
    with exits():
        pass

    assert capsys.readouterr() == ("", "")
