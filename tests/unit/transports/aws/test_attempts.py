from __future__ import annotations

from sourceflow.transports.aws import attempts
from sourceflow.transports.aws.attempts import Attempts, Tally


def test_a_message_that_comes_again_keeps_its_tally():
    seen = Attempts()
    seen.keep("m", Tally(failed=2, asked=1))

    assert seen.of("m") == Tally(failed=2, asked=1)
    assert seen.of("m").handled == 3
    assert seen.of("other") == Tally()


def test_a_settled_message_is_forgotten():
    seen = Attempts()
    seen.keep("m", Tally(failed=2))
    seen.forget("m")
    seen.forget("never seen")

    assert seen.of("m") == Tally()
    assert len(seen) == 0


def test_the_oldest_are_forgotten_first(monkeypatch):
    monkeypatch.setattr(attempts, "REMEMBERED", 3)
    seen = Attempts()
    for message_id in ("a", "b", "c"):
        seen.keep(message_id, Tally(failed=1))
    seen.keep("a", Tally(failed=2))  # seen again: the youngest now
    seen.keep("d", Tally(failed=1))

    assert len(seen) == 3
    assert seen.of("b") == Tally()
    assert seen.of("a") == Tally(failed=2)
