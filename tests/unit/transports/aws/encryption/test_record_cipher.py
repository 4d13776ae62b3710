from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from datetime import timedelta

import pytest

from sourceflow.errors import DecryptionFailedError, KeyUnavailableError
from sourceflow.testing.clock import settle
from sourceflow.transports.aws import AwsOptions
from sourceflow.transports.aws.client import StaticCredentials
from sourceflow.transports.aws.encryption import open_record_cipher

PLACE = ("entity", "Account", "a-1")
RECORD = b'{"id":"a-1","holder":"Johanna"}'


@pytest.fixture
def opened(keys, clock):
    """Opens what encrypts for one App: a later run of it, or one that has other options."""

    def opened(*, app="shop", encrypt=True, keys=keys, **options):
        return open_record_cipher(
            AwsOptions(region="us-east-1", encrypt_at_rest=encrypt, **options),
            keys,
            credentials=StaticCredentials("test", "test"),
            app=app,
            clock=clock,
        )

    return opened


@pytest.fixture
async def cipher(opened):
    async with opened() as cipher:
        yield cipher


async def sealed(cipher, record=RECORD, place=PLACE):
    return (await cipher.sealing())(place, record)


async def test_a_record_comes_back_at_its_place(cipher):
    record = await sealed(cipher)
    assert b"Johanna" not in b64decode(record[1:-1])
    assert await cipher.opened([(PLACE, record)]) == [RECORD]
    assert cipher.opened_at_hand([(PLACE, record)]) == [RECORD]


async def test_a_record_is_refused_at_any_other_place(cipher):
    record = await sealed(cipher)
    others = [
        ("row", *PLACE[1:]),
        ("entity", "Account", "a-2"),
        (*PLACE, ""),
        ("entity", "Accounta-1"),
    ]
    found = await cipher.opened([(place, record) for place in others])
    assert [type(each) for each in found] == [DecryptionFailedError] * len(others)
    assert "another place" in str(found[0])


async def test_no_byte_of_a_record_can_be_changed(cipher):
    raw = b64decode((await sealed(cipher))[1:-1])
    changed = [raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :] for at in range(len(raw))]
    found = await cipher.opened([(PLACE, b'"%b"' % b64encode(each)) for each in changed])
    assert all(isinstance(each, DecryptionFailedError) for each in found)


async def test_however_many_records_cost_one_call_on_each_side(cipher, opened, keys, clock):
    records = [(PLACE, await sealed(cipher)) for _ in range(1_000)]
    assert (len(keys.generated), len(keys.decrypted)) == (1, 0)
    assert keys.generated == [{"source": "/shop", "destination": "stores"}]
    async with opened() as later:
        assert await later.opened(records) == [RECORD] * 1_000
        assert await later.opened(records[:1]) == [RECORD]
    assert keys.decrypted == keys.generated


async def test_a_year_of_records_costs_a_call_for_each_day_to_read(cipher, opened, keys, clock):
    records = []
    for _ in range(30):
        for _ in range(4):
            records.append((PLACE, await sealed(cipher)))
            await clock.advance(timedelta(hours=6))
    assert len(keys.generated) == 30
    keys.decrypted.clear()
    async with opened() as later:
        assert await later.opened(records) == [RECORD] * len(records)
    assert len(keys.decrypted) == 30


async def test_all_who_begin_at_the_same_time_share_one_call(cipher, opened, keys):
    keys.open.clear()
    writers = [asyncio.create_task(sealed(cipher)) for _ in range(32)]
    await settle()
    keys.open.set()
    records = await asyncio.gather(*writers)
    assert len(keys.generated) == 1
    async with opened() as later:
        keys.open.clear()
        readers = [asyncio.create_task(later.opened([(PLACE, each)])) for each in records]
        await settle()
        keys.open.set()
        assert await asyncio.gather(*readers) == [[RECORD]] * 32
    assert len(keys.decrypted) == 1


async def test_nobody_is_asked_for_what_must_be_at_hand(cipher, opened, keys):
    record = (PLACE, await sealed(cipher))
    async with opened() as later:
        assert later.opened_at_hand([record]) is None
        assert keys.decrypted == []
        await later.opened([record])
        assert later.opened_at_hand([record]) == [RECORD]


async def test_a_key_that_is_away_is_an_error_for_each_record_and_passes(
    cipher, opened, keys, clock
):
    record = (PLACE, await sealed(cipher))
    async with opened() as later:
        keys.switch_off()
        for found in (await later.opened([record]), later.opened_at_hand([record])):
            assert isinstance(found[0], KeyUnavailableError)
        assert len(keys.decrypted) == 1
        keys.fault = None
        await clock.advance(timedelta(seconds=1))
        assert await later.opened([record]) == [RECORD]


async def test_a_key_that_never_opens_a_record_is_not_asked_for_again_and_again(
    cipher, opened, keys
):
    record = (PLACE, await sealed(cipher))
    stranger = type(keys)()
    async with opened(keys=stranger) as other:
        for _ in range(5):
            (found,) = await other.opened([record])
            assert isinstance(found, DecryptionFailedError)
        assert isinstance(other.opened_at_hand([record])[0], DecryptionFailedError)
    assert len(stranger.decrypted) == 1


async def test_one_record_that_cannot_be_read_keeps_no_other_from_being_read(cipher):
    good = (PLACE, await sealed(cipher))
    bad = (PLACE, b'"no record at all"')
    first, second, third = await cipher.opened([good, bad, good])
    assert (first, third) == (RECORD, RECORD)
    assert isinstance(second, DecryptionFailedError)


async def test_while_the_key_is_away_nothing_is_encrypted(cipher, keys):
    keys.switch_off()
    with pytest.raises(KeyUnavailableError):
        await cipher.sealing()


async def test_a_disabled_key_ends_writing_within_the_life_of_a_data_key(cipher, keys, clock):
    await sealed(cipher)
    keys.switch_off()
    await sealed(cipher)
    await clock.advance(timedelta(minutes=5))
    with pytest.raises(KeyUnavailableError):
        await cipher.sealing()


@pytest.mark.parametrize(("lifetime", "asked"), [(10, 2), (60, 1)])
async def test_the_lifetime_of_data_keys_is_that_of_the_options(
    opened, keys, clock, lifetime, asked
):
    """Who writes asks for a data key once in each lifetime, and so does who reads."""
    options = {"data_key_lifetime": timedelta(minutes=lifetime)}
    async with opened(**options) as writer:
        record = (PLACE, await sealed(writer))
        await clock.advance(timedelta(minutes=10))
        await sealed(writer)
        assert len(keys.generated) + len(keys.decrypted) == asked
    keys.decrypted.clear()
    async with opened(**options) as reader:
        await reader.opened([record])
        await clock.advance(timedelta(minutes=10))
        await reader.opened([record])
    assert len(keys.decrypted) == asked


async def test_what_was_encrypted_is_read_where_nothing_is_encrypted_any_more(cipher, opened):
    record = (PLACE, await sealed(cipher))
    async with opened(encrypt=False) as later:
        assert cipher.encrypts
        assert not later.encrypts
        assert await later.opened([record]) == [RECORD]


async def test_another_app_with_the_key_reads_what_this_one_wrote(cipher, opened):
    record = (PLACE, await sealed(cipher))
    async with opened(app="other") as other:
        assert await other.opened([record]) == [RECORD]


async def test_without_a_key_there_is_no_cipher(opened):
    async with opened(keys=None, encrypt=False) as cipher:
        assert cipher is None
