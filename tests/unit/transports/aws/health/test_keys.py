from __future__ import annotations

from datetime import timedelta

import pytest

from sourceflow.bus.ports import HealthStatus
from sourceflow.errors import AwsKeyError, AwsThrottledError
from sourceflow.transports.aws.encryption import GeneratedKey, KeySection
from sourceflow.transports.aws.health.keys import KeyHealth, KeyUse

HEALTHY, DEGRADED, UNHEALTHY = HealthStatus
OTHERS = KeySection("key-9", b"sealed by another", "/billing", "arn:q")


class Keys:
    """A key service without dry runs."""

    def __init__(self):
        self.current = "key-1"
        self.disabled = set()
        self.fault = None
        self.calls = []

    async def generate(self, context):
        self._call("generate", self.current, context)
        return GeneratedKey(self.current, b"k" * 32, b"sealed")

    async def decrypt(self, key_id, encrypted, context):
        self._call("decrypt", key_id, context)
        return b"k" * 32

    def _call(self, operation, key_id, context):
        self.calls.append((operation, key_id, context["source"], context["destination"]))
        if self.fault is not None:
            raise self.fault
        if key_id in self.disabled:
            raise AwsKeyError(f"{key_id} is disabled", code="DisabledException")

    def taken(self):
        """Return the operations since the last call of this."""
        calls, self.calls = self.calls, []
        return [operation for operation, *_ in calls]


class Checked(Keys):
    """A key service with dry runs."""

    async def check_generate(self, context):
        self._call("check_generate", self.current, context)

    async def check_decrypt(self, key_id, encrypted, context):
        self._call("check_decrypt", key_id, context)


@pytest.fixture
def checked():
    return Checked()


@pytest.fixture
def plain():
    return Keys()


def use(*, encrypts=(), decrypts=(), latest=None):
    return KeyUse(source="/shop", encrypts=encrypts, decrypts=decrypts, latest=lambda: latest)


BOTH = use(encrypts=("arn:t", "arn:q"), decrypts=("arn:q", "arn:x"))
ONLY_SENDS = use(encrypts=("arn:q",))
ONLY_RECEIVES = use(decrypts=("arn:q",), latest=OTHERS)


class TestDryRuns:
    async def test_a_data_key_is_made_once_and_only_looked_at_from_then_on(self, checked, clock):
        health = KeyHealth(checked, clock)

        assert (await health.look(BOTH)).status is HEALTHY
        assert checked.calls == [
            ("check_generate", "key-1", "/shop", "arn:q"),
            ("generate", "key-1", "/shop", "arn:q"),
            ("check_decrypt", "key-1", "/shop", "arn:q"),
        ]
        checked.taken()
        await clock.advance(timedelta(seconds=299))
        await health.look(BOTH)
        assert checked.taken() == ["check_generate", "check_decrypt"]
        await clock.advance(timedelta(seconds=1))
        await health.look(BOTH)
        assert checked.taken() == ["check_generate", "generate", "check_decrypt"]

    async def test_who_only_sends_is_asked_for_no_decrypting(self, checked, clock):
        found = await KeyHealth(checked, clock).look(ONLY_SENDS)

        assert found == (HEALTHY, "it can encrypt")
        assert checked.taken() == ["check_generate"]

    async def test_who_only_receives_looks_at_the_data_key_decrypted_last(self, checked, clock):
        found = await KeyHealth(checked, clock).look(ONLY_RECEIVES)

        assert found == (HEALTHY, "it can decrypt")
        assert checked.calls == [("check_decrypt", "key-9", "/billing", "arn:q")]

    async def test_before_the_first_message_there_is_nothing_to_decrypt(self, checked, clock):
        found = await KeyHealth(checked, clock).look(use(decrypts=("arn:q",)))

        assert found.status is HEALTHY
        assert "as soon as a message has been decrypted" in found.detail
        assert checked.calls == []

    async def test_a_key_that_is_disabled_raises_at_once(self, checked, clock):
        health = KeyHealth(checked, clock)
        await health.look(BOTH)

        checked.disabled = {"key-1"}
        with pytest.raises(AwsKeyError):
            await health.look(BOTH)
        checked.disabled = set()
        assert (await health.look(BOTH)).status is HEALTHY

    async def test_an_alias_that_has_moved_is_followed_within_one_look(self, checked, clock):
        health = KeyHealth(checked, clock)
        await health.look(BOTH)

        checked.current, checked.disabled = "key-2", {"key-1"}

        assert (await health.look(BOTH)).status is HEALTHY

    async def test_a_key_of_others_that_is_disabled_is_no_reason_to_make_one(self, checked, clock):
        checked.disabled = {"key-9"}

        with pytest.raises(AwsKeyError):
            await KeyHealth(checked, clock).look(ONLY_RECEIVES)
        assert checked.taken() == ["check_decrypt"]


class TestProbes:
    async def test_a_service_without_dry_runs_is_probed_once_a_minute(self, plain, clock):
        health = KeyHealth(plain, clock)

        assert (await health.look(BOTH)).status is HEALTHY
        assert plain.taken() == ["generate", "decrypt"]
        await clock.advance(timedelta(seconds=59))
        assert (await health.look(BOTH)).status is HEALTHY
        assert plain.taken() == []
        await clock.advance(timedelta(seconds=1))
        await health.look(BOTH)
        assert plain.taken() == ["generate", "decrypt"]

    async def test_while_it_fails_each_look_probes_so_that_it_is_green_at_once(self, plain, clock):
        health = KeyHealth(plain, clock)
        plain.disabled = {"key-1"}
        for _ in range(2):
            with pytest.raises(AwsKeyError):
                await health.look(BOTH)

        plain.disabled = set()
        assert (await health.look(BOTH)).status is HEALTHY

    async def test_who_only_sends_decrypts_nothing(self, plain, clock):
        assert (await KeyHealth(plain, clock).look(ONLY_SENDS)) == (HEALTHY, "it can encrypt")
        assert plain.taken() == ["generate"]

    async def test_who_only_receives_makes_nothing(self, plain, clock):
        assert (await KeyHealth(plain, clock).look(ONLY_RECEIVES)) == (HEALTHY, "it can decrypt")
        assert plain.taken() == ["decrypt"]


@pytest.mark.parametrize("made", [Keys, Checked])
async def test_a_service_that_asks_to_slow_down_degrades(made, clock):
    keys = made()
    keys.fault = AwsThrottledError("slow", code="ThrottlingException")

    assert (await KeyHealth(keys, clock).look(BOTH)).status is DEGRADED
