from __future__ import annotations

import pytest

from sourceflow import Command, Event, Key
from sourceflow.transports.aws import AwsOptions, AwsTransport, LocalKeyProvider
from sourceflow.transports.aws.bus import configure_bus
from sourceflow.transports.aws.encryption import encrypted_destinations, requires_encryption


class Pay(Command):
    id: Key[str]


class Ship(Command):
    id: Key[str]


class Paid(Event):
    id: Key[str]


def encrypted(configure, **options):
    options = AwsOptions(region="us-east-1", **options)
    return {str(each) for each in encrypted_destinations(options, configure_bus(configure))}


def transport(configure, *, keys=None, **options):
    return AwsTransport(AwsOptions(region="us-east-1", **options), configure, keys=keys)


def everything(bus):
    return (
        bus.send.command(Pay, queue="pay")
        .command(Ship, queue="ship", encrypt=False)
        .raise_.event(Paid, topic="paid")
        .listen.to.command_queue("pay")
        .command_queue("ship", require_encryption=False)
    )


def test_the_options_encrypt_everything_whose_route_says_nothing():
    assert encrypted(everything, enable_encryption=True, kms_key_id="k") == {
        "queue:pay",
        "topic:paid",
    }
    assert encrypted(everything) == set()


def test_a_route_encrypts_its_destination_for_all_types():
    def configure(bus):
        return (
            bus.send.command(Pay, queue="work", encrypt=True)
            .command(Ship, queue="work")
            .raise_.event(Paid, topic="paid", encrypt=True)
        )

    assert encrypted(configure, kms_key_id="k") == {"queue:work", "topic:paid"}


def test_two_routes_that_say_otherwise_are_refused():
    with pytest.raises(ValueError, match="queue:work says encrypt=True, another encrypt=False"):
        configure_bus(
            lambda bus: bus.send.command(Pay, queue="work", encrypt=True).command(
                Ship, queue="work", encrypt=False
            )
        )


def test_a_queue_overrides_what_the_options_require():
    options = AwsOptions(region="us-east-1", require_encryption=True, kms_key_id="k")
    pay, ship = configure_bus(everything).command_queues
    assert requires_encryption(options, pay)
    assert not requires_encryption(options, ship)
    assert requires_encryption(options, None)


@pytest.mark.parametrize(
    "given",
    [
        {"enable_encryption": True, "kms_key_id": "alias/orders"},
        {"enable_encryption": True, "keys": LocalKeyProvider()},
        {"require_encryption": True, "decrypt_key_ids": ("alias/orders",)},
        {"encrypt_at_rest": True, "kms_key_id": "alias/orders"},
        {"encrypt_at_rest": True, "keys": LocalKeyProvider()},
        {"kms_key_id": "alias/orders"},
        {},
    ],
)
def test_one_key_service_is_enough(given):
    assert transport(everything, **given)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"enable_encryption": True}, "no key to encrypt queue:pay, topic:paid with"),
        ({"enable_encryption": True, "decrypt_key_ids": ("k",)}, "no key to encrypt"),
        ({"require_encryption": True}, "pay is required to be encrypted, and there is no key"),
        ({"encrypt_at_rest": True}, "encrypt_at_rest has no key to encrypt the stores with"),
        ({"encrypt_at_rest": True, "decrypt_key_ids": ("k",)}, "encrypt_at_rest has no key"),
        ({"keys": LocalKeyProvider(), "kms_key_id": "k"}, "either `keys` or AWS KMS"),
        ({"keys": LocalKeyProvider(), "decrypt_key_ids": ("k",)}, "either `keys` or AWS KMS"),
    ],
)
def test_none_and_two_are_refused(given, text):
    with pytest.raises(ValueError, match=text):
        transport(everything, **given)


def test_encryption_without_a_route_needs_a_key_too():
    with pytest.raises(ValueError, match="no key to encrypt what is sent with"):
        transport(lambda bus: bus, enable_encryption=True)
    with pytest.raises(ValueError, match="what is received is required to be encrypted"):
        transport(lambda bus: bus, require_encryption=True)


def test_a_route_that_encrypts_without_a_key_is_refused():
    with pytest.raises(ValueError, match="queue:pay"):
        transport(lambda bus: bus.send.command(Pay, queue="pay", encrypt=True))


def test_a_transport_tells_what_it_encrypts():
    described = transport(everything, enable_encryption=True, kms_key_id="k").describe()
    assert described["encrypts"] == ["queue:pay", "topic:paid"]
    assert not described["encrypts_at_rest"]
    described = transport(everything, encrypt_at_rest=True, kms_key_id="k").describe()
    assert described["encrypts"] == []
    assert described["encrypts_at_rest"]
