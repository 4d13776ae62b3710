"""Which calls meet a fault, and which one: drawn at random, the same again for the same seed."""

from __future__ import annotations

import os
from collections import Counter
from enum import Enum
from random import Random, SystemRandom
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ("BATCHES", "HOT", "Fault", "FaultPlan", "seed_of_this_run")

SEED: Final = "SOURCEFLOW_TEST_SEED"
"""The environment variable that repeats the draws of an earlier run."""


class Fault(Enum):
    """What may become of a call."""

    DROPPED_BEFORE = "the connection is reset, the request takes no effect"
    DROPPED_AFTER = "the request takes effect, the connection is reset instead of an answer"
    CUT_SHORT = "the request takes effect, the connection is reset in the middle of the answer"
    CLOSED_AFTERWARDS = "the answer is whole; the connection is closed behind it, unannounced"
    INTERNAL_ERROR = "the request takes effect, the answer is 500"
    UNAVAILABLE = "503 from a load balancer, in no protocol of AWS"
    THROTTLED_400 = "400 ThrottlingException"
    THROTTLED_403 = "403 RequestThrottled"
    THROTTLED_429 = "429 with nothing in it"
    LATE = "the answer takes a while"
    SOME_FAILED_BEFORE = "some entries of a batch take no effect, and are said to have failed"
    SOME_FAILED_AFTER = "some entries of a batch take effect, and are said to have failed"
    NEVER = "the request takes effect, no answer comes: the client's time-out ends it"
    SKEWED_CLOCK = "AWS's clock and ours are an hour apart, or together again"
    EXPIRED_TOKEN = "the session token has expired"
    AWAY = "nothing listens at AWS's address for a while, all connections are reset"


BATCHES: Final = frozenset(
    {
        "SendMessageBatch",
        "PublishBatch",
        "DeleteMessageBatch",
        "ChangeMessageVisibilityBatch",
    }
)
"""Operations whose entries may fail one by one."""

SENDS: Final = frozenset({"SendMessageBatch", "PublishBatch"})
"""Operations that send messages."""

HOT: Final = BATCHES | {"ReceiveMessage"}
"""Operations that carry messages: only these meet faults."""

RARE: Final = {Fault.NEVER: 3, Fault.SKEWED_CLOCK: 4, Fault.EXPIRED_TOKEN: 4, Fault.AWAY: 20}
"""Faults that concern many calls at a time, or take long: in so many decks there is one of each."""

_ENTRIES_ONLY: Final = frozenset({Fault.SOME_FAILED_BEFORE, Fault.SOME_FAILED_AFTER})


def seed_of_this_run() -> int:
    """Return the seed that the environment gives, or a new one."""
    given = os.environ.get(SEED)
    return SystemRandom().randrange(2**32) if given is None else int(given)


class FaultPlan:
    """Faults dealt from shuffled decks, so that each kind has its turn.

    Args:
        seed: Where the draws begin.
        share: The part of the hot calls that meet a fault.
        without: Kinds that are left out.
        twice: The part of the sends whose messages come twice.

    Attributes:
        calls: How many hot calls there were.
        doubled: How many sends came twice.
        met: How often each fault was dealt.
    """

    def __init__(
        self, *, seed: int, share: float, without: Collection[Fault] = (), twice: float = 0.0
    ) -> None:
        self.seed = seed
        self.share = share
        self.twice = twice
        self.kinds = tuple(kind for kind in Fault if kind not in without)
        self.calls = 0
        self.doubled = 0
        self.met: Counter[Fault] = Counter()
        self.random = Random(seed)
        self._deck: list[Fault] = []
        self._decks = 0

    def draw(self, operation: str) -> Fault | None:
        """Return what becomes of the next call of an operation; None lets it pass."""
        if operation not in HOT:
            return None
        self.calls += 1
        if self.random.random() >= self.share:
            return None
        fault = self._deal(operation)
        self.met[fault] += 1
        return fault

    def doubles(self, operation: str) -> bool:
        """Return whether what the next call of an operation sends comes twice."""
        doubles = operation in SENDS and self.random.random() < self.twice
        self.doubled += doubles
        return doubles

    def _deal(self, operation: str) -> Fault:
        fits = operation in BATCHES
        while True:
            for place, fault in enumerate(self._deck):
                if fits or fault not in _ENTRIES_ONLY:
                    return self._deck.pop(place)
            self._shuffle()

    def _shuffle(self) -> None:
        deck = [kind for kind in self.kinds if self._decks % RARE.get(kind, 1) == 0]
        self.random.shuffle(deck)
        self._deck += deck
        self._decks += 1

    def __str__(self) -> str:
        faults = sum(self.met.values())
        return (
            f"{SEED}={self.seed}: {faults} faults in {self.calls} calls, share {self.share}; "
            f"{self.doubled} sent twice"
        )
