from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, ClassVar
from uuid import UUID

import msgspec
import pytest
from msgspec.structs import replace

from sourceflow import Command, Entity, Event, Key, ViewModel
from sourceflow.errors import InvalidMessageError
from sourceflow.messages import validate
from sourceflow.messages.meta import options_of, scrub

SECRET = "s3cr3t"


class Colour(Enum):
    RED = "red"


class Part(msgspec.Struct):
    weight: float


class Order(Command):
    unit: ClassVar[str] = "kg"

    order_id: Key[str]
    total: Decimal = Decimal(0)
    count: int = 0
    at: datetime | None = None
    token: UUID | None = None
    colour: Colour | None = None
    small: Annotated[int, msgspec.Meta(le=3, examples=[[1]])] = 0
    parts: list[Part] = msgspec.field(default_factory=list)
    prices: dict[str, Decimal] = msgspec.field(default_factory=dict)
    anything: Any = None


class Short(Command):
    code: Annotated[Key[str], msgspec.Meta(max_length=3)]


class Plain(Event):
    order_id: Key[int]
    total: Decimal
    note: str | None = None


BASES = pytest.mark.parametrize("base", [Command, Event, Entity, ViewModel])


@BASES
def test_a_class_is_frozen(base):
    class Thing(base):
        id: Key[str]

    with pytest.raises(AttributeError, match="immutable"):
        Thing(id="a").id = "b"


@BASES
def test_a_class_takes_keywords_only(base):
    class Thing(base):
        id: Key[str]

    with pytest.raises(TypeError, match=r"Thing takes its fields by name: Thing\(id=…\)"):
        Thing("a")


@BASES
@pytest.mark.parametrize("setting", ["frozen", "kw_only"])
def test_what_every_class_is_cannot_be_turned_off(base, setting):
    with pytest.raises(TypeError, match=f"Thing is always {setting}"):

        class Thing(base, **{setting: False}):
            id: Key[str]


@BASES
def test_an_unknown_option_is_refused(base):
    with pytest.raises(TypeError, match="nme"):

        class Thing(base, nme="thing"):
            id: Key[str]


@pytest.mark.parametrize(
    ("base", "options"),
    [
        (Command, {"indexes": ("id",)}),
        (Event, {"indexes": ("id",)}),
        (Entity, {"indexes": ("id",)}),
        (Entity, {"version": 2}),
        (Entity, {"aliases": ("thing",)}),
        (ViewModel, {"version": 2}),
        (ViewModel, {"aliases": ("thing",)}),
    ],
)
def test_an_option_that_means_nothing_to_a_class_is_refused(base, options):
    with pytest.raises(TypeError, match=f"Thing: {next(iter(options))}= means nothing here"):

        class Thing(base, **options):
            id: Key[str]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"name": 1}, TypeError),
        ({"name": ""}, ValueError),
        ({"name": "  "}, ValueError),
        ({"name": "a\nb"}, ValueError),
        ({"name": "n" * 256}, ValueError),
        ({"version": 0}, ValueError),
        ({"version": True}, ValueError),
        ({"version": "1"}, ValueError),
        ({"aliases": "old"}, TypeError),
        ({"aliases": ("old", 1)}, TypeError),
        ({"aliases": ("",)}, ValueError),
    ],
)
def test_an_option_that_cannot_be_used_is_refused_at_the_class(options, error):
    with pytest.raises(error, match="Thing"):

        class Thing(Command, **options):
            id: Key[str]


def test_options_are_not_inherited():
    class Base(Command, name="base", version=3, aliases=("old",)):
        id: Key[str]

    class Derived(Base):
        more: int = 0

    assert options_of(Derived).name is None
    assert options_of(Derived).version == 1
    assert options_of(Derived).aliases == ()


def test_other_settings_of_structs_reach_them():
    class Thing(Command, rename="camel", forbid_unknown_fields=True):
        thing_id: Key[str]

    assert msgspec.json.encode(Thing(thing_id="a")) == b'{"thingId":"a"}'
    assert Thing.__struct_config__.forbid_unknown_fields


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("order_id", 1),
        ("order_id", None),
        ("order_id", b"o-1"),
        ("total", "1.5"),
        ("total", 1),
        ("total", 1.5),
        ("count", 1.0),
        ("count", True),
        ("count", "1"),
        ("at", "2026-07-01T12:00:00Z"),
        ("at", 0),
        ("token", "0" * 32),
        ("colour", "blue"),
        ("small", 4),
        ("parts", [{"weight": "1"}]),
        ("parts", None),
        ("prices", {"a": "1"}),
        ("prices", {1: Decimal(1)}),
        ("anything", object()),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_at_construction(field, value):
    with pytest.raises(InvalidMessageError, match="Order"):
        Order(**{"order_id": "o-1", field: value})


@pytest.mark.parametrize("field", ["total", "note"])
def test_a_class_of_plain_fields_is_checked_as_well(field):
    with pytest.raises(InvalidMessageError, match=rf"Plain: Expected .* - at `\$\.{field}`"):
        Plain(**{"order_id": 1, "total": Decimal(1), field: 1.5})


def test_right_values_are_kept_as_they_are():
    values = {
        "order_id": "o-1",
        "total": Decimal("1.50"),
        "token": UUID(int=1),
        "colour": Colour.RED,
        "parts": [Part(1.5)],
        "prices": {"a": Decimal(1)},
        "anything": {"a": [1, None]},
    }
    made = Order(**values)

    assert {name: getattr(made, name) for name in values} == values
    assert made.parts[0] is values["parts"][0]


def test_a_constraint_of_the_key_is_checked():
    assert Short(code="abc").code == "abc"
    with pytest.raises(InvalidMessageError, match="length <= 3"):
        Short(code="abcd")


@pytest.mark.parametrize("missing", ["order_id", "total"])
def test_a_missing_field_is_named(missing):
    values = {"order_id": 1, "total": Decimal(1)}
    del values[missing]

    with pytest.raises(TypeError, match=missing):
        Plain(**values)


@BASES
@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (float, Decimal("1.5")),
        (float | None, Decimal("1.5")),
        (list[float], [1.0, Decimal(2)]),
        (dict[str, float], {"a": Decimal(2)}),
    ],
)
def test_a_decimal_is_no_float(base, hint, value):
    """Its document would be a text, which no float is read from."""

    class Thing(base):
        id: Key[str]
        size: hint

    with pytest.raises(InvalidMessageError, match=r"size.* is a Decimal where a float belongs"):
        Thing(id="a", size=value)


@BASES
def test_an_empty_key_is_refused(base):
    class Thing(base):
        id: Key[str]

    with pytest.raises(InvalidMessageError, match="Thing: the key id is empty"):
        Thing(id="")


@BASES
@pytest.mark.parametrize("key", ["x" * 1_001, "€" * 334, "\0" * 501, "é" * 501])
def test_a_key_that_no_index_could_hold_is_refused(base, key):
    class Thing(base):
        id: Key[str]

    with pytest.raises(
        InvalidMessageError, match=r"the key id takes 1,00\d bytes; 1,000 are the most"
    ):
        Thing(id=key)


@BASES
@pytest.mark.parametrize("key", ["x" * 1_000, "€" * 333, "\0" * 500, "x"])
def test_a_long_key_is_taken(base, key):
    class Thing(base):
        id: Key[str]

    assert Thing(id=key).id == key


@pytest.mark.parametrize("key", [2**63, -(2**63) - 1])
def test_a_key_over_64_bits_is_refused(key):
    with pytest.raises(InvalidMessageError, match="the key order_id takes more than 64 bits"):
        Plain(order_id=key, total=Decimal(1))


@pytest.mark.parametrize("key", [2**63 - 1, -(2**63), 0])
def test_a_key_of_64_bits_is_taken(key):
    assert Plain(order_id=key, total=Decimal(1)).order_id == key


def test_an_error_names_the_field_and_never_its_value():
    with pytest.raises(InvalidMessageError) as caught:
        Order(order_id="o-1", anything={SECRET: SECRET + "\ufffe"})

    assert str(caught.value) == (
        "Order: anything holds a character that is no text (U+FFFE, U+FFFF or a surrogate)"
    )


def test_a_type_that_json_does_not_know_is_named():
    with pytest.raises(
        InvalidMessageError, match="Order cannot be written: Encoding objects of type complex"
    ):
        Order(order_id="o-1", anything=1j)


def test_a_value_that_holds_itself_is_refused():
    loop: list[Any] = []
    loop.append(loop)

    with pytest.raises(InvalidMessageError, match="Order cannot be written: RecursionError"):
        Order(order_id="o-1", anything=loop)


def test_a_float_that_is_out_of_range_is_refused():
    class Weight(Command):
        id: Key[str]
        weight: float

    with pytest.raises(InvalidMessageError, match="Weight"):
        Weight(id="a", weight=10**400)


def test_what_a_class_itself_raises_stays_as_it_is():
    class Positive(Command):
        id: Key[str]
        amount: int

        def __post_init__(self):
            if self.amount <= 0:
                raise ValueError("the amount must be positive")

    with pytest.raises(ValueError, match="the amount must be positive") as caught:
        Positive(id="a", amount=0)

    assert not isinstance(caught.value, InvalidMessageError)


def test_validate_sees_what_replace_let_through():
    with pytest.raises(InvalidMessageError):
        validate(replace(Plain(order_id=1, total=Decimal(1)), total=1))


def test_decoding_does_not_construct():
    # decoders check by themselves; a message that arrives is not checked twice
    assert msgspec.json.decode(b'{"order_id":1,"total":"NaN"}', type=Plain).total.is_nan()


def test_hints_of_types_made_in_a_function_resolve():
    class Inner(msgspec.Struct):
        value: int

    class Outer(Command):
        id: Key[str]
        inner: Inner

    assert Outer(id="a", inner=Inner(1)).inner == Inner(1)
    with pytest.raises(InvalidMessageError):
        Outer(id="a", inner=1)


def test_hints_of_types_made_in_a_class_in_a_function_resolve():
    class Space:
        class Inner(msgspec.Struct):
            value: int

        class Outer(Command):
            id: Key[str]
            inner: Inner  # noqa: F821 - the class body around is searched too

    assert Space.Outer(id="a", inner=Space.Inner(1)).inner == Space.Inner(1)


class Tagged(Command, tag="tagged"):
    id: Key[str]


class Strict(Command, forbid_unknown_fields=True):
    id: Key[str]
    colour: Colour = Colour.RED


class Ruled(Command):
    id: Key[str]

    def __post_init__(self):
        raise ValueError(f"{self.id} is taken - at `$.name`")


@pytest.mark.parametrize(
    ("cls", "data", "text"),
    [
        (Tagged, {"type": SECRET, "id": "a"}, "Invalid value - at `$.type`"),
        (Tagged, {"type": f"{SECRET} - at `$.x`", "id": "a"}, "Invalid value - at `$.type`"),
        (Tagged, {"type": f"{SECRET}\n{SECRET}", "id": "a"}, "Invalid value - at `$.type`"),
        (Strict, {"id": "a", SECRET: 1}, "Object contains unknown field"),
        (Strict, {"id": "a", "colour": SECRET}, "Invalid enum value - at `$.colour`"),
        (Strict, {"id": 1}, "Expected `str`, got `int` - at `$.id`"),
        (Strict, {}, "Object missing required field `id`"),
        (Ruled, {"id": SECRET}, "a check of its own class refuses it - at `$.name`"),
    ],
)
def test_what_is_said_of_wrong_data_holds_no_value(cls, data, text):
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(msgspec.json.encode(data), type=cls)

    assert scrub(caught.value) == text
