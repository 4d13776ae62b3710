from __future__ import annotations

import collections
import dataclasses
import enum
import io
import json
import logging
import pprint
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, NamedTuple, NewType, TypedDict, TypeVar

import attrs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.pretty import pretty_repr

from sourceflow import (
    CARD,
    EMAIL,
    NAME,
    PASSWORD,
    Command,
    Entity,
    Envelope,
    Event,
    Key,
    Masked,
    Sensitive,
    ViewModel,
    command,
    masked,
    redacted,
)
from sourceflow.messages import Codec, Registry, masking, type_info

Secret = Annotated[str, Sensitive()]
Named = NewType("Named", Annotated[str, Sensitive(NAME)])
ItemT = TypeVar("ItemT")
HIDDEN = "***REDACTED***"


class Box(msgspec.Struct, Generic[ItemT], frozen=True):
    item: ItemT


class Person(msgspec.Struct, frozen=True):
    city: str = "Bergen"
    name: Named = Named("John Doe")


class Nobody(msgspec.Struct, frozen=True):
    city: str = "Bergen"


class Spy(Nobody, frozen=True):
    code: Secret = "007-secret"


class ByCard(msgspec.Struct, frozen=True, tag="card", tag_field="by"):
    number: Annotated[str, Sensitive(CARD)]


class ByCash(msgspec.Struct, frozen=True, tag="cash", tag_field="by"):
    amount: int


@dataclass(frozen=True)
class Login:
    user: str
    password: Annotated[str, Sensitive(PASSWORD)]


class Pair(NamedTuple):
    shown: str
    hidden: Secret


class Members(TypedDict):
    shown: str
    hidden: typing.NotRequired[Secret]


class Tree(msgspec.Struct, frozen=True):
    value: Secret
    below: list[Tree] = []


class SecretBox(Box[Secret], frozen=True):
    pass


class Boxes(Box[list[ItemT]], Generic[ItemT], frozen=True):
    count: int = 1


class GenericPair(NamedTuple, Generic[ItemT]):
    item: ItemT


class GenericMembers(TypedDict, Generic[ItemT]):
    item: ItemT


@attrs.frozen
class Attrs:
    code: Secret
    city: str = "Bergen"


class Size(enum.StrEnum):
    SMALL = "s3cret"


class Plain(Command):
    id: Key[str]
    note: str | None = None


class Hold(Command, rename="camel"):
    id: Key[str]
    held_value: Any


def holding(hint):
    """Return a type of message with one field of a type."""
    return msgspec.defstruct("Holding", [("id", str), ("value", hint)], frozen=True)


def shown(hint, value):
    return json.loads(masked(holding(hint)("i", value)))["value"]


@pytest.mark.parametrize(
    ("hint", "value", "expected"),
    [
        (Secret, "s3cret", HIDDEN),
        (Secret | None, "s3cret", HIDDEN),
        (Secret | None, None, None),
        (Annotated[str | None, Sensitive(EMAIL)], "jo@example.com", "***@example.com"),
        (int | Secret, "s3cret", HIDDEN),
        (int | Secret, 7, 7),
        (Annotated[Secret, msgspec.Meta(max_length=9)], "s3cret", HIDDEN),
        (Annotated[str, Sensitive(NAME), Sensitive(CARD)], "John", "*" * 16),
        (Named, "John Doe", "J*** D**"),
        (list[Secret], ["a1", "b2"], [HIDDEN, HIDDEN]),
        (Sequence[Secret], ["a1"], [HIDDEN]),
        (tuple[Secret, ...], ("a1", "b2"), [HIDDEN, HIDDEN]),
        (tuple[int, Secret], (1, "b2"), [1, HIDDEN]),
        (set[Secret], {"a1"}, [HIDDEN]),
        (frozenset[Secret], frozenset({"a1"}), [HIDDEN]),
        (Annotated[list[str], Sensitive()], ["a1", "b2"], [HIDDEN, HIDDEN]),
        (Annotated[dict[str, Any], Sensitive()], {"a1": [{"b2": 3}]}, {HIDDEN: [{HIDDEN: HIDDEN}]}),
        (dict[str, Secret], {"k": "a1"}, {"k": HIDDEN}),
        (Mapping[str, list[Secret]], {"k": ["a1"]}, {"k": [HIDDEN]}),
        (dict[Secret, int], {"a1": 1, "b2": 2}, {HIDDEN: 1, f"{HIDDEN} (2)": 2}),
        (Person, Person(), {"city": "Bergen", "name": "J*** D**"}),
        (list[Person], [Person()], [{"city": "Bergen", "name": "J*** D**"}]),
        (Nobody, Spy(), {"city": "Bergen", "code": HIDDEN}),
        (Any, Spy(), {"city": "Bergen", "code": HIDDEN}),
        (Any, {"k": [Spy()]}, {"k": [{"city": "Bergen", "code": HIDDEN}]}),
        (list, [Spy()], [{"city": "Bergen", "code": HIDDEN}]),
        (ByCard | ByCash, ByCard("4111111111111234"), {"by": "card", "number": "************1234"}),
        (ByCard | ByCash, ByCash(3), {"by": "cash", "amount": 3}),
        (Login, Login("jo", "pw"), {"user": "jo", "password": "********"}),
        (Annotated[Login, Sensitive()], Login("jo", "pw"), HIDDEN),
        (Pair, Pair("a", "b2"), {"shown": "a", "hidden": HIDDEN}),
        (Members, {"shown": "a", "hidden": "b2"}, {"shown": "a", "hidden": HIDDEN}),
        (Box[Secret], Box("a1"), {"item": HIDDEN}),
        (Box[list[Secret]], Box(["a1"]), {"item": [HIDDEN]}),
        (Box[str], Box("a1"), {"item": "a1"}),
        (
            Tree,
            Tree("a", [Tree("b")]),
            {"value": HIDDEN, "below": [{"value": HIDDEN, "below": []}]},
        ),
        (typing.Literal["a"], "a", "a"),
        (typing.Literal["a"] | list[Secret], "a", "a"),
        (SecretBox, SecretBox("a1"), {"item": HIDDEN}),
        (Box[int], SecretBox("a1"), {"item": HIDDEN}),
        (Boxes[Secret], Boxes(["a1"]), {"item": [HIDDEN], "count": 1}),
        (Boxes[str], Boxes(["a1"]), {"item": ["a1"], "count": 1}),
        (GenericPair[Secret], GenericPair("a1"), {"item": HIDDEN}),
        (GenericMembers[Secret], {"item": "a1"}, {"item": HIDDEN}),
        (Attrs, Attrs("a1"), {"code": HIDDEN, "city": "Bergen"}),
        (Annotated[str, Sensitive], "a1", HIDDEN),
        (Any | Secret, "a1", HIDDEN),
        (Annotated[Size, Sensitive()], Size.SMALL, HIDDEN),
        (Size, Size.SMALL, "s3cret"),
        (Box[Annotated[str, {}, Sensitive()]], Box("a1"), {"item": HIDDEN}),
        (typing.Final[Secret], "a1", HIDDEN),
        (collections.deque[Secret], collections.deque(["a1"]), [HIDDEN]),
        (dict[Pair, int], {Pair("a", "b2"): 1}, {f"Pair(shown='a', hidden='{HIDDEN}')": 1}),
    ],
)
def test_what_is_sensitive_is_masked_wherever_it_is(hint, value, expected):
    assert shown(hint, value) == expected


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (list[Secret], "s3cret"),
        (list[Secret], {"s3cret": 1}),
        (tuple[int, Secret], ("s3cret",)),
        (dict[str, Secret], "s3cret"),
        (dict[str, Secret], ["s3cret"]),
        (Person, "s3cret"),
        (Person | None, {"name": "s3cret"}),
        (Secret | None, 17.25),
        (Secret | int, b"s3cret"),
        (Members, "s3cret"),
        (Pair, ("s3cret",)),
        (typing.Literal["a"] | list[Secret], 17.25),
    ],
)
def test_what_has_another_shape_than_its_type_says_is_hidden(hint, value):
    made = masked(holding(hint)("i", value))

    assert HIDDEN in made
    assert "s3cret" not in made
    assert "17.25" not in made


@pytest.mark.parametrize(
    "value", [object(), "\ud800", 2j, {(1, 2): 3}, float("nan"), {b"k": 1}, type]
)
def test_it_is_json_also_where_a_part_cannot_be_written(value):
    document = json.loads(masked(Person(city=value)))

    assert document["name"] == "J*** D**"
    assert set(document) == {"city", "name"}


def test_it_is_json_also_of_what_never_ends():
    endless = []
    endless.append(endless)

    assert json.loads(masked(Box(endless))) == HIDDEN
    assert json.loads(masked(endless)) == HIDDEN
    assert redacted("s3cret", endless) == HIDDEN


def test_a_document_has_the_names_of_the_wire():
    document = json.loads(masked(Hold(id="1", held_value=Spy())))

    assert document == {"id": "1", "heldValue": {"city": "Bergen", "code": HIDDEN}}


def test_what_was_not_given_stays_away():
    class Patch(msgspec.Struct):
        name: Secret | msgspec.UnsetType = msgspec.UNSET
        note: str = "n"

    assert json.loads(masked(Patch())) == {"note": "n"}
    assert json.loads(masked(Patch(name="x"))) == {"name": HIDDEN, "note": "n"}


class Payment(Command):
    id: Key[str]
    card: Annotated[str, Sensitive(CARD)]
    people: tuple[Person, ...] = ()


class PaymentMade(Event):
    id: Key[str]
    card: Annotated[str, Sensitive(CARD)]


class Account(Entity):
    id: Key[str]
    card: Annotated[str, Sensitive(CARD)]


class AccountRow(ViewModel):
    id: Key[str]
    card: Annotated[str, Sensitive(CARD)]


@command
@dataclass(frozen=True, kw_only=True)
class PlainPayment:
    id: Key[str]
    card: Annotated[str, Sensitive(CARD)]


@dataclass(frozen=True, kw_only=True)
class DerivedPayment(PlainPayment):
    pin: Secret


NUMBER = "4111-1111-1111-1234"


@pytest.mark.parametrize("cls", [Payment, PaymentMade, Account, AccountRow, PlainPayment])
def test_nothing_that_python_prints_of_it_shows_the_value(cls):
    made = cls(id="1", card=NUMBER)

    for text in (repr(made), str(made), f"{made}", f"{made!r}", repr([made])):
        assert f"{cls.__name__}(id='1', card='************1234'" in text
    for text in (pprint.pformat(made), pprint.pformat({"a": [made] * 9}), pretty_repr(made)):
        assert "************1234" in text
        assert "4111" not in text


def test_an_envelope_shows_its_message_masked():
    envelope = Envelope(
        message=Payment(id="1", card=NUMBER),
        id="m-1",
        source="/shop",
        time=datetime(2026, 1, 1, tzinfo=UTC),
        correlation_id="m-1",
    )

    assert "4111" not in repr(envelope)
    assert json.loads(masked(envelope))["message"]["card"] == "************1234"
    assert json.loads(masked(envelope))["id"] == "m-1"


def test_a_dataclass_that_is_derived_from_a_message_is_masked_once_it_is_known():
    type_info(DerivedPayment)

    made = DerivedPayment(id="1", card=NUMBER, pin="9876")
    assert repr(made).endswith(
        "DerivedPayment(id='1', card='************1234', pin='***REDACTED***')"
    )
    type_info(DerivedPayment)
    assert "9876" not in pprint.pformat(made)


def test_a_type_without_sensitive_fields_is_printed_as_ever():
    made = Plain(id="1", note="x")

    assert repr(made) == msgspec.Struct.__repr__(made) == "Plain(id='1', note='x')"
    assert pretty_repr(made) == "Plain(id='1', note='x')"


def test_a_repr_that_never_ends_is_redacted():
    endless = []
    endless.append(endless)
    made = Hold(id="1", held_value=None)
    msgspec.structs.force_setattr(made, "held_value", endless)

    assert repr(made) == "Hold(***REDACTED***)"
    assert made.__rich_repr__() == [("fields", HIDDEN)]


def test_a_repr_leaves_out_what_the_dataclass_leaves_out():
    @command
    @dataclass
    class Quiet:
        id: Key[str]
        code: Secret
        long: str = dataclasses.field(default="...", repr=False)

    made = Quiet("1", "a1")
    assert repr(made) == f"Quiet(id='1', code='{HIDDEN}')"
    assert json.loads(masked(made)) == {"id": "1", "code": HIDDEN, "long": "..."}
    del made.long
    made.__class__.long = msgspec.UNSET
    assert json.loads(masked(made)) == {"id": "1", "code": HIDDEN}


def test_a_field_that_was_never_set_is_left_out():
    made = dataclasses.make_dataclass("Part", [("code", Secret), ("note", str)], init=False)()
    made.code = "a1"

    assert json.loads(masked(made)) == {"code": HIDDEN}


def test_types_that_cannot_be_known_show_nothing():
    cls = dataclasses.make_dataclass("Odd", [("name", "Unheard[str]")])

    assert json.loads(masked(cls("s3cret"))) == {"name": HIDDEN}


def test_the_wire_and_the_stores_have_the_value():
    codec = Codec(Registry([Payment]))
    made = Payment(id="1", card=NUMBER, people=(Person(),))

    data = codec.encode_data(made)
    assert json.loads(data)["card"] == NUMBER
    assert json.loads(data)["people"] == [{"city": "Bergen", "name": "John Doe"}]
    assert codec.decode_data("Payment", 1, data) == made


def test_nothing_is_paid_for_a_text_that_nobody_reads(monkeypatch):
    asked = []
    monkeypatch.setattr("sourceflow.messages.masking.show", lambda *_: asked.append(1))

    lazy = Masked(Payment(id="1", card=NUMBER))
    assert asked == []
    assert str(lazy) == repr(lazy) == "null"
    assert asked == [1, 1]


@pytest.mark.parametrize(("level", "lines"), [(logging.INFO, 0), (logging.DEBUG, 1)])
def test_a_line_of_the_log_is_masked_only_if_it_is_written(monkeypatch, level, lines):
    asked, show, written = [], masking.show, io.StringIO()
    monkeypatch.setattr(masking, "show", lambda *given: asked.append(1) or show(*given))
    log = logging.Logger("shop", level)  # noqa: LOG001 - nobody else shall have it
    log.addHandler(logging.StreamHandler(written))

    log.debug("handles %s", Masked(Payment(id="1", card=NUMBER)))

    assert len(asked) == written.getvalue().count("************1234") == lines
    assert "4111" not in written.getvalue()


def test_a_sensitive_key_is_a_fault():
    class Bad(Command):
        email: Annotated[Key[str], Sensitive(EMAIL)]

    class AlsoBad(Command):
        email: Key[Annotated[str, Sensitive(EMAIL)]]

    for cls in (Bad, AlsoBad):
        assert "its key email is sensitive" in type_info(cls).faults[0]


@pytest.mark.parametrize(
    "text",
    [
        NUMBER,
        f"no such card: {NUMBER}!",
        repr({"name": 'Zo"\u00eb\\ \n Li'}),
        json.dumps({"name": 'Zo"\u00eb\\ \n Li'}),
        json.dumps({"name": 'Zo"\u00eb\\ \n Li'}, ensure_ascii=False),
        'Zo"\u00eb\\ \n Li',
    ],
)
def test_a_text_about_a_message_loses_its_sensitive_values(text):
    made = Payment(id="1", card=NUMBER, people=(Person(name='Zo"\u00eb\\ \n Li'), Person()))

    told = redacted(text, made)
    assert HIDDEN in told
    assert "Zo" not in told
    assert "4111" not in told


def test_the_longer_of_two_values_goes_first():
    made = holding(list[Secret])("i", ["abc", "abcdef"])

    assert redacted("abcdef abc", made) == f"{HIDDEN} {HIDDEN}"


def test_a_text_loses_the_parts_of_a_list_that_is_of_another_shape():
    made = holding(dict[str, Secret])("i", ["abc", {"def"}])

    assert redacted("abc def", made) == f"{HIDDEN} {HIDDEN}"


def test_parts_of_whatever_is_sensitive_are_taken_out_too():
    value = {"k1": (b"by\xfftes", 17.25, Login("jo1", "pw1"), None, True)}
    made = holding(Annotated[Any, Sensitive()])("i", value)

    told = redacted("k1 17.25 jo1 pw1 Ynn/dGVz True None", made)
    assert told.split() == [HIDDEN] * 5 + ["True", "None"]
    assert redacted("all is well", made) == "all is well"
    assert redacted("s3cret", None) == "s3cret"
    assert redacted("s3cret", Plain(id="1")) == "s3cret"


secrets = st.text(min_size=1, max_size=30).map(lambda text: f"QZ{text}ZQ")
hidden = st.sampled_from(
    ["card", "email", "phone", "ssn", "name", "ip_address", "password", "custom"]
)


@st.composite
def nested(draw, secret):
    """Draw a type that holds a secret somewhere, and a value of it."""
    hint, value = Annotated[str, Sensitive(draw(hidden))], secret
    for _ in range(draw(st.integers(0, 5))):
        hint, value = draw(
            st.sampled_from(
                [
                    (list[hint], [value, value]),
                    (tuple[int, hint], (1, value)),
                    (dict[str, hint], {'"k\\': value}),
                    (hint | None, value),
                    (hint | int, value),
                    (Box[hint], Box(value)),
                    (holding(hint), holding(hint)("i", value)),
                    (Any, holding(hint)("i", value)),
                    (Annotated[hint, Sensitive()], value),
                ]
            )
        )
    return holding(hint)("i", value)


@settings(max_examples=40, deadline=None)  # each makes a few classes
@given(st.data(), secrets)
def test_a_secret_is_in_no_document_and_in_no_text(data, secret):
    made = data.draw(nested(secret))
    entity = Hold(id="1", held_value=None)
    msgspec.structs.force_setattr(entity, "held_value", made)  # it need not be one that can be sent

    for text in (masked(made), masked([made]), masked(entity), repr(entity)):
        assert secret not in text
        assert json.dumps(secret)[1:-1] not in text
        assert repr(secret)[1:-1] not in text
    json.loads(masked(made))
    json.loads(masked(entity))
    assert secret not in redacted(f"it is {secret}, {secret!r}", made)
