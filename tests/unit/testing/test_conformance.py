"""The suites that are shipped for the stores of others."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sourceflow.stores.memory import MemoryStores
from sourceflow.testing import ManualClock
from sourceflow.testing.conformance import (
    IdempotencyConformance,
    KeyProviderConformance,
    StoresConformance,
)
from sourceflow.testing.conformance.stores.backend import Backend
from sourceflow.testing.conformance.stores.sample_types import Paid, Pay, Refunded
from sourceflow.testing.conformance.stores.shop import Shop


@pytest.mark.parametrize(
    "suite", [IdempotencyConformance, KeyProviderConformance, StoresConformance]
)
def test_no_part_of_a_suite_hides_a_test_of_another(suite):
    named = [
        (name, part) for part in suite.__mro__ for name in vars(part) if name.startswith("test_")
    ]

    assert len(named) > 10
    assert len(dict(named)) == len(named)


class Faulty(MemoryStores):
    """Stores that take over what was left with a fault."""

    def __init__(self, fault):
        super().__init__()
        self._fault = fault

    async def open(self, context):
        await super().open(context)
        outbox, fault = super().outbox, self._fault

        class Outbox(type(outbox)):
            __slots__ = ()

            async def take(self):
                return fault(await super().take())

        outbox.__class__ = Outbox


@pytest.mark.parametrize(
    ("fault", "passes"),
    [
        (lambda rows: rows, True),
        (lambda rows: rows[1:], False),
        (lambda rows: rows[:-1], False),
        (lambda rows: rows[::-1], False),
        (lambda rows: (*rows, *rows[:1]), False),
    ],
    ids=["right", "the first is lost", "the last is lost", "wrong order", "one comes twice"],
)
async def test_what_is_taken_over_must_be_complete_and_in_order(fault, passes):
    kept = Faulty(fault)
    backend = Backend(lambda: kept, ManualClock())
    shop = Shop(backend, await backend.open("shop", (Pay, Paid, Refunded)), "shop")
    suite = StoresConformance()
    try:
        await suite.test_a_later_run_takes_over_what_was_left_once_and_in_its_order(shop)
    except AssertionError:
        assert not passes
    else:
        assert passes
    finally:
        await backend.aclose()


@pytest.mark.parametrize("missing", ["pytest", "pytest_asyncio"])
def test_what_the_suites_need_is_told(missing):
    """pytest is no dependency of the package: who imports the suites without it is told."""
    program = (
        f"import sys; sys.modules[{missing!r}] = None\nimport sourceflow.testing.conformance\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert ran.returncode == 1
    distribution = missing.replace("_", "-")
    assert ran.stderr.splitlines()[-1] == (
        f"ModuleNotFoundError: {distribution} is not installed, and the conformance suites need "
        "it: pip install pytest pytest-asyncio"
    )
