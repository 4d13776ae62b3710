from __future__ import annotations

from sourceflow.transports.aws import attempts
from sourceflow.transports.aws.attempts import Attempts, Tally


def test_a_message_that_comes_again_keeps_its_tally():
    seen = Attempts()
    seen.count("m", asked=False)
    seen.count("m", asked=True)

    assert seen.count("m", asked=False) == Tally(failed=2, asked=1)
    assert seen.handled("m") == 3
    assert seen.handled("other") == 0
    assert len(seen) == 1


def test_a_settled_message_is_forgotten():
    seen = Attempts()
    seen.count("m", asked=False)
    seen.forget("m")
    seen.forget("never seen")

    assert seen.handled("m") == 0
    assert len(seen) == 0


def test_the_oldest_are_forgotten_first(monkeypatch):
    monkeypatch.setattr(attempts, "REMEMBERED", 3)
    seen = Attempts()
    for message_id in ("a", "b", "c"):
        seen.count(message_id, asked=False)
    seen.count("a", asked=False)  # seen again: the youngest now
    seen.count("d", asked=False)

    assert len(seen) == 3
    assert seen.handled("b") == 0
    assert seen.handled("a") == 2
