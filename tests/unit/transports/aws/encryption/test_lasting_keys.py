from __future__ import annotations

from datetime import timedelta

import pytest

from sourceflow.errors import DecryptionFailedError, KeyUnavailableError
from sourceflow.transports.aws.encryption import lasting_keys
from sourceflow.transports.aws.encryption.lasting_keys import LastingKeys

CONTEXT = {"source": "/shop", "destination": "stores"}


@pytest.fixture
def lasting(keys, clock):
    return LastingKeys(keys, clock)


async def test_one_data_key_serves_for_a_day_and_is_asked_for_every_time(lasting, keys, clock):
    first = await lasting.generate(CONTEXT)
    for _ in range(3):
        assert await lasting.generate(CONTEXT) == first
    assert (len(keys.generated), len(keys.decrypted)) == (1, 3)
    await clock.advance(timedelta(hours=24))
    assert (await lasting.generate(CONTEXT)).encrypted != first.encrypted
    assert len(keys.generated) == 2


async def test_a_data_key_is_not_given_out_so_often_that_nonces_could_meet(
    lasting, keys, monkeypatch
):
    monkeypatch.setattr(lasting_keys, "MOST_USES", 3)
    made = [(await lasting.generate(CONTEXT)).encrypted for _ in range(6)]
    assert len(set(made[:3])) == len(set(made[3:])) == 1
    assert made[0] != made[3]


def test_all_uses_of_a_data_key_together_are_far_fewer_than_nist_allows():
    assert lasting_keys.MOST_USES * 2**20 <= 2**32 // 4


async def test_a_key_that_is_away_gives_none_and_a_new_one_afterwards(lasting, keys):
    first = await lasting.generate(CONTEXT)
    keys.switch_off()
    with pytest.raises(KeyUnavailableError):
        await lasting.generate(CONTEXT)
    keys.fault = None
    assert (await lasting.generate(CONTEXT)).encrypted != first.encrypted


async def test_one_that_cannot_be_decrypted_any_more_is_replaced(lasting, keys, monkeypatch):
    first = await lasting.generate(CONTEXT)

    async def refuse(*_):
        raise DecryptionFailedError("its key is not one that is allowed here")

    monkeypatch.setattr(keys, "decrypt", refuse)
    assert (await lasting.generate(CONTEXT)).encrypted != first.encrypted


async def test_data_keys_of_others_are_decrypted(lasting, keys):
    made = await keys.generate(CONTEXT)
    assert await lasting.decrypt(made.key_id, made.encrypted, CONTEXT) == made.plaintext
