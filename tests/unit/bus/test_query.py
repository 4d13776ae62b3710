from __future__ import annotations

from decimal import Decimal

import pytest

from sourceflow import Command, Entity, Key, ViewModel, field
from sourceflow.bus.query import Place, Query
from sourceflow.bus.resolution import MAX_DEPTH, MAX_VALUES
from sourceflow.domain.conditions import (
    And,
    Comparison,
    Condition,
    IsIn,
    IsNone,
    Not,
    Or,
    StartsWith,
)


class Parcel(ViewModel, indexes=("weight", "country")):
    id: Key[str]
    weight: Decimal = Decimal(0)
    country: str | None = None
    notes: tuple[str, ...] = ()


class Other(ViewModel):
    id: Key[str]


class Keyless(ViewModel, indexes=("name",)):
    name: str


class Order(Entity):
    id: Key[str]


class Pay(Command):
    order_id: Key[str]


weight, country = field("weight"), field("country")


def where(condition):
    return Query.of(Parcel, where=condition).where


def test_a_query_knows_its_order_and_its_place():
    query = Query.of(Parcel, order_by="-weight", limit=5, after=Parcel(id="a", weight=Decimal(3)))
    assert (query.order.name, query.descending, query.limit) == ("weight", True, 5)
    assert query.after == Place(Decimal(3), "a")
    assert query.key.name == "id"


def test_rows_come_by_key_where_nothing_is_asked_for():
    query = Query.of(Parcel)
    assert (query.order.name, query.descending, query.where, query.limit) == (
        "id",
        False,
        None,
        None,
    )


def test_a_mapping_is_a_condition_of_equal_values():
    assert where({"weight": 5, "country": None}) == And(
        (Comparison("weight", "==", Decimal(5)), IsNone("country"))
    )
    assert where({}) is None


@pytest.mark.parametrize(
    ("condition", "resolved"),
    [
        (weight != 5, Not(Comparison("weight", "==", Decimal(5)))),
        (~(weight != 5), Comparison("weight", "==", Decimal(5))),
        (~~(weight < 5), Comparison("weight", "<", Decimal(5))),
        (
            ~((weight < 5) & (country == "Peru")),
            Or((Not(Comparison("weight", "<", Decimal(5))), Not(Comparison("country", "==", "Peru")))),
        ),
        (
            ~((weight < 5) | country.is_none()),
            And((Not(Comparison("weight", "<", Decimal(5))), Not(IsNone("country")))),
        ),
        (country.in_(["Peru", None]), Or((IsIn("country", ("Peru",)), IsNone("country")))),
        (
            country.startswith("Pe"),
            And((Comparison("country", ">=", "Pe"), Comparison("country", "<", "Pf"))),
        ),
        (country.startswith("\ud7ff"), And((Comparison("country", ">=", "\ud7ff"),
                                            Comparison("country", "<", "\ue000")))),
        (country.startswith(""), And((Comparison("country", ">=", ""),))),
        (~country.startswith(""), Or((Not(Comparison("country", ">=", "")),))),
        (country.startswith("a\U0010ffff"), And((Comparison("country", ">=", "a\U0010ffff"),
                                                 Comparison("country", "<", "b")))),
    ],
)  # fmt: skip
def test_a_condition_is_brought_to_what_every_store_can_answer(condition, resolved):
    assert where(condition) == resolved


def test_chains_of_conditions_stay_flat():
    chain = (weight < 1) | (weight > 2) | (weight == 3)
    assert isinstance(chain, Or)
    assert len(chain.parts) == 3
    chain = (weight < 1) & (weight > 2) & (weight == 3)
    assert isinstance(chain, And)
    assert len(chain.parts) == 3


@pytest.mark.parametrize("row_type", [Order, Pay])
def test_only_view_models_are_queried(row_type):
    with pytest.raises(TypeError, match=f"{row_type.__name__} is no ViewModel"):
        Query.of(row_type)


def test_a_view_model_without_a_key_is_not_queried():
    with pytest.raises(TypeError, match="Keyless has no key"):
        Query.of(Keyless)


@pytest.mark.parametrize(
    "options",
    [
        {"order_by": "notes"},
        {"order_by": "-notes"},
        {"where": {"notes": []}},
        {"where": field("notes") == []},
        {"where": ~(field("notes").is_none() & (weight < 1))},
        {"where": field("notes").in_([[]])},
        {"where": field("notes").startswith("a")},
    ],
)
def test_a_field_that_is_no_index_is_refused_with_what_to_do(options):
    with pytest.raises(ValueError, match=r"Parcel cannot be queried by 'notes'.*indexes="):
        Query.of(Parcel, **options)


def test_an_empty_order_is_no_order():
    with pytest.raises(ValueError, match="cannot be queried by ''"):
        Query.of(Parcel, order_by="")


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"limit": -1}, ValueError, "0 or more, not -1"),
        ({"limit": 1.5}, TypeError, "not float"),
        ({"limit": True}, TypeError, "not bool"),
        ({"after": Other(id="a")}, TypeError, "a row of Parcel, not Other"),
        ({"where": "weight"}, TypeError, "a mapping or a condition, not str"),
        ({"where": [weight < 1]}, TypeError, "not list"),
        ({"where": Condition()}, TypeError, "Condition is no condition of this library"),
        ({"where": weight < "1"}, TypeError, r"Parcel.weight is compared with Decimal or int, not str"),
        ({"where": weight.startswith("1")}, TypeError, r"Parcel.weight is no text"),
        ({"where": country.startswith(1)}, TypeError, r"Parcel.country is compared with str, not int"),
        ({"where": {"country": "\ud800"}}, ValueError, r"Parcel.country holds a character"),
        ({"where": weight > Decimal("NaN")}, ValueError, r"Parcel.weight is not a finite number"),
        ({"where": {1: 2}}, ValueError, "cannot be queried by 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(options, error, told):
    with pytest.raises(error, match=told):
        Query.of(Parcel, **options)


def test_a_query_takes_so_many_values_and_no_more():
    Query.of(Parcel, where=weight.in_(range(MAX_VALUES)))
    with pytest.raises(ValueError, match="at most 500 values"):
        Query.of(Parcel, where=weight.in_(range(MAX_VALUES + 1)))
    many = weight == 0
    for number in range(MAX_VALUES):
        many |= weight == number
    with pytest.raises(ValueError, match="at most 500 values"):
        Query.of(Parcel, where=many)


def test_conditions_stand_in_so_many_others_and_no_more():
    condition = weight < 1
    for _ in range(MAX_DEPTH):
        condition = ~condition
    Query.of(Parcel, where=condition)
    with pytest.raises(ValueError, match="at most 20 others"):
        Query.of(Parcel, where=~condition)


@pytest.mark.parametrize(
    "use",
    [
        lambda: (weight > 1) and (weight < 2),
        lambda: 1 < weight < 2,
        lambda: not (weight > 1),
        lambda: bool(weight),
        lambda: country in ("Peru", "Chile"),
    ],
)
def test_a_condition_is_not_true_or_false_by_itself(use):
    with pytest.raises(TypeError, match=r"&, \| and ~|field\('weight'\) == True"):
        use()


@pytest.mark.parametrize(
    "use",
    [
        lambda: (weight > 1) & True,
        lambda: (weight > 1) | {"country": "Peru"},
        lambda: weight < None,
        lambda: country.in_("Peru"),
        lambda: {weight},
    ],
)
def test_what_makes_no_condition_is_refused(use):
    with pytest.raises(TypeError):
        use()


def test_comparing_with_none_asks_for_none():
    assert (country == None) == IsNone("country")  # noqa: E711 - what is tested
    assert (country != None) == Not(IsNone("country"))  # noqa: E711 - what is tested
    assert country.startswith("a") == StartsWith("country", "a")
