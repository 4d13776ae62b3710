"""What one version of an App has written, read by the next one."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from sourceflow import Command, Entity, Event, Key, upcasts
from sourceflow.bus.changes import Changes
from sourceflow.errors import MalformedError, ReplayError
from sourceflow.testing.conformance.stores.stores_tests import StoresTests

if TYPE_CHECKING:
    from sourceflow.testing.conformance.stores.shop import Shop


class Pay(Command, version=2):
    order_id: Key[str]
    amount: Decimal
    currency: str


class Paid(Event, version=2):
    order_id: Key[str]
    amount: Decimal
    currency: str


class Compensated(Event, aliases=("Refunded",)):
    order_id: Key[str]


class Order(Entity):
    id: Key[str]
    paid: Decimal = Decimal(0)
    notes: list[str] = []  # noqa: RUF012 - msgspec copies it
    country: str = "Chile"


class StrictOrder(Entity, name="Order"):
    id: Key[str]
    country: str


@upcasts(Pay, from_version=1)
def pay_in_euro(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "currency": "EUR"}


@upcasts(Paid, from_version=1)
def paid_in_euro(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "currency": "EUR"}


@upcasts(Pay, from_version=1)
def spoiled(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "currency": data["money"]}


class EvolutionConformance(StoresTests):
    """What one version of an App has written, read by the next one."""

    @pytest_asyncio.fixture
    async def written(self, shop: Shop):
        """Two commands, and of the second an event of each type."""
        entity = shop.Order(id="o-1", paid=Decimal("1.5"), notes=["a"])
        refunded = shop.envelope(shop.Refunded(order_id="o-1"))
        events = [(shop.paid(), shop.stream()), (refunded, shop.stream())]
        await shop.commit(shop.handled(0))
        await shop.commit(shop.handled(1, entity=entity, events=events))
        return shop

    async def test_stored_commands_and_events_are_brought_up_to_the_current_version(
        self, written
    ) -> None:
        before = await written.commands(), await written.events()
        later = await written.as_app(
            "shop", types=(Pay, Paid, Compensated), upcasters=(pay_in_euro, paid_in_euro)
        )
        commands, events = await later.commands(), await later.events()
        pay, paid = Pay(order_id="o-1", amount=Decimal("1.5"), currency="EUR"), events[0]
        assert [each.envelope.message for each in commands] == [pay, pay]
        assert paid.envelope.message == Paid(order_id="o-1", amount=Decimal("1.5"), currency="EUR")
        for old, new in zip((*before[0], *before[1]), (*commands, *events), strict=True):
            assert (old.position, old.stream) == (new.position, new.stream)
            assert (old.envelope.id, old.envelope.time) == (new.envelope.id, new.envelope.time)

    async def test_events_stored_under_an_old_name_are_read_as_their_type(self, written) -> None:
        later = await written.as_app("shop", types=(Compensated,))
        (read,) = await later.events(types={"Compensated", "Refunded"})
        assert read.envelope.message == Compensated(order_id="o-1")

    @pytest.mark.parametrize(
        ("upcasters", "field", "told"),
        [
            ((), "currency", "missing required field `currency`"),
            ((spoiled,), None, "the upcaster spoiled raised KeyError"),
        ],
    )
    async def test_a_command_that_no_longer_fits_is_named_with_position_type_version_and_field(
        self, written, upcasters, field, told
    ) -> None:
        later = await written.as_app("shop", types=(Pay,), upcasters=upcasters)
        with pytest.raises(ReplayError, match=told) as raised:
            await later.commands(after=1)
        error = raised.value
        assert (error.position, error.type_name, error.version, error.field) == (2, "Pay", 1, field)

    async def test_an_event_that_no_longer_fits_is_named_with_position_type_version_and_field(
        self, written
    ) -> None:
        later = await written.as_app("shop", types=(Paid,))
        with pytest.raises(ReplayError, match="missing required field `currency`") as raised:
            await later.events(types={"Paid"})
        error = raised.value
        assert (error.position, error.type_name) == (1, "Paid")
        assert (error.version, error.field) == (1, "currency")

    async def test_a_field_that_an_entity_has_gained_takes_its_default(self, written) -> None:
        later = await written.as_app("shop")
        wanted = Order(id="o-1", paid=Decimal("1.5"), notes=["a"], country="Chile")
        assert await later.stores.load(later.stream(), Order) == wanted
        async with later.stores.begin() as uow:
            assert (await uow.head(later.stream(), Order, None)).entity == wanted

    async def test_an_entity_that_no_longer_fits_is_named_and_its_number_can_still_be_read(
        self, written
    ) -> None:
        later = await written.as_app("shop")
        with pytest.raises(
            MalformedError, match=r"StrictOrder does not fit: .* `country`"
        ) as raised:
            await later.stores.load(later.stream(), StrictOrder)
        assert raised.value.field == "country"
        async with later.stores.begin() as uow:
            with pytest.raises(MalformedError):
                await uow.head(later.stream(), StrictOrder, None)
            assert await uow.number(later.stream()) == 2
            assert await uow.number(later.stream("nobody")) == 0

    async def test_the_version_of_a_row_is_read_without_the_row(self, shop: Shop) -> None:
        await shop.commit(Changes(rows=[shop.put(shop.Listing(id="o-1"))]))
        async with shop.stores.begin() as uow:
            row = await uow.row(shop.Listing, "o-1")
            assert await uow.version(shop.Listing, "o-1") == row.version > 0
            assert await uow.version(shop.Listing, "nobody") == 0
