from __future__ import annotations

import builtins
import inspect
import re
from datetime import timedelta

import pytest

from sourceflow import errors

LINE = re.compile(r"^([│ ]*)[├└]── (\w+)(?: .*?)?(?:\((\w+)\))?$")


def drawn():
    """The tree in the docstring: class, its parent, the built-in it derives from too."""
    parents = ["SourceflowError"]
    for line in errors.__doc__.splitlines():
        found = LINE.match(line.removeprefix("    "))
        if found:
            depth = len(found[1]) // 4 + 1
            parents = [*parents[:depth], found[2]]
            yield found[2], parents[depth - 1], found[3]


TREE = list(drawn())


def test_the_tree_in_the_docstring_is_complete():
    classes = {name for name in errors.__all__ if issubclass(getattr(errors, name), Exception)}
    settlements = {"Settlement", "Retry", "Reject", "Discard"}

    assert {name for name, _, _ in TREE} == classes - settlements - {"SourceflowError"}


@pytest.mark.parametrize(("name", "parent", "builtin"), TREE)
def test_a_class_stands_in_the_tree_where_it_is_drawn(name, parent, builtin):
    cls = getattr(errors, name)

    assert cls.__bases__[0] is getattr(errors, parent)
    assert builtin is None or issubclass(cls, getattr(builtins, builtin))


def test_every_error_is_exported():
    defined = {
        name
        for name, each in vars(errors).items()
        if inspect.isclass(each) and each.__module__ == errors.__name__
    }

    assert defined == set(errors.__all__)


def test_settlements_are_no_errors_of_ours():
    # a handler that catches SourceflowError must not swallow what it raised itself
    assert not issubclass(errors.Settlement, errors.SourceflowError)
    for signal in (errors.Retry, errors.Reject, errors.Discard):
        assert issubclass(signal, errors.Settlement)


@pytest.mark.parametrize(
    ("error", "attributes", "text"),
    [
        (
            errors.WiringError(["a is wrong", "b is wrong"]),
            {"faults": ("a is wrong", "b is wrong")},
            "2 fault(s) in the wiring:\n  - a is wrong\n  - b is wrong",
        ),
        (
            errors.MessageTooLargeError(size=2_000_000, limit=1_048_576, destination="a.fifo"),
            {"size": 2_000_000, "limit": 1_048_576, "destination": "a.fifo"},
            "the message takes 2,000,000 bytes; a.fifo takes 1,048,576",
        ),
        (
            errors.UnknownTypeError("Place"),
            {"type_name": "Place", "version": None},
            "no message type 'Place' is known",
        ),
        (
            errors.UnknownTypeError("Place", 2),
            {"type_name": "Place", "version": 2},
            "no message type 'Place' is known in version 2",
        ),
        (
            errors.NotFoundError("Order", "o-1"),
            {"type_name": "Order", "key": "o-1"},
            "Order 'o-1' does not exist",
        ),
        (
            errors.AlreadyExistsError("Order", 7),
            {"type_name": "Order", "key": 7},
            "Order 7 exists already",
        ),
        (
            errors.HandlerEndedError("PayOrder"),
            {},
            (
                "PayOrder came after its handler had ended, and would be lost: await everything "
                "inside the handler"
            ),
        ),
        (errors.RejectedError("too late"), {"reason": "too late"}, "too late"),
        (
            errors.ReplayError("it is gone", position=3, type_name="Place"),
            {"position": 3, "type_name": "Place"},
            "at position 3 (Place): it is gone",
        ),
        (
            errors.CircuitOpenError("a.fifo", timedelta(seconds=1.5)),
            {"destination": "a.fifo", "retry_after": timedelta(seconds=1.5)},
            "calls to a.fifo are suspended; try again in 1.5 s",
        ),
        (
            errors.MissingExtraError("aws", "aiohttp"),
            {"extra": "aws", "name": "aiohttp"},
            "aiohttp is not installed: pip install 'sourceflow[aws]'",
        ),
        (
            errors.AwsError("slow down", code="Throttling", status=400, operation="SendMessage"),
            {"code": "Throttling", "status": 400, "operation": "SendMessage"},
            "SendMessage: Throttling: slow down",
        ),
        (errors.AwsError("", code="Gone"), {"code": "Gone", "status": 0, "operation": ""}, "Gone"),
        (errors.Retry(), {"delay": None, "reason": ""}, "retry"),
        (
            errors.Retry(timedelta(seconds=3), reason="busy"),
            {"delay": timedelta(seconds=3), "reason": "busy"},
            "busy",
        ),
        (errors.Reject("no"), {"reason": "no"}, "no"),
        (errors.Discard("old"), {"reason": "old"}, "old"),
    ],
)
def test_an_error_carries_what_a_program_needs_and_says_it(error, attributes, text):
    assert {name: getattr(error, name) for name in attributes} == attributes
    assert str(error) == text


def test_a_failed_send_of_many_names_each_and_shows_the_first():
    first, second = ValueError("too large"), TimeoutError("no answer")
    error = errors.SendManyError({"m-1": first, "m-2": second})

    assert error.failed == {"m-1": first, "m-2": second}
    assert str(error) == "2 message(s) were not sent; the first: too large"


def test_a_send_inside_a_handler_says_what_to_use_instead():
    assert "use self.send" in str(errors.UseSelfSendError())


def test_credentials_are_a_dependency():
    # listeners pause for those, and hand their messages back
    assert issubclass(errors.AwsCredentialsError, errors.DependencyError)
