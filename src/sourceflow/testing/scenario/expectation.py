"""What must follow, checked against what did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sourceflow.domain import Entity, ViewModel
from sourceflow.messages import is_message, key_of_state, state_info, type_info
from sourceflow.testing.scenario.absence import Absence
from sourceflow.testing.scenario.difference import difference, kind_of
from sourceflow.testing.scenario.likeness import Likeness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sourceflow.testing.scenario.stage import Stage

__all__ = ("Expectation", "named")


class Expectation:
    """What ``then`` was told.

    Args:
        expected: Events, commands, entities, rows and absences, in any mixture.

    Raises:
        TypeError: Something cannot follow.
    """

    def __init__(self, expected: Sequence[Any]) -> None:
        self._events: list[Any] = []
        self._commands: list[Any] = []
        self._states: list[Any] = []
        self._absences: list[Absence] = []
        for each in expected:
            self._list_for(each).append(each)

    def _list_for(self, each: object) -> list[Any]:
        if isinstance(each, Absence):
            return self._absences
        kind = kind_of(each)
        if issubclass(kind, (Entity, ViewModel)):
            return self._states
        if is_message(kind):
            return self._events if type_info(kind).kind == "event" else self._commands
        raise TypeError(
            "then takes events, commands, entities, rows, like(...) and absent(...), "
            f"not {f'like({kind.__name__})' if isinstance(each, Likeness) else named(each)}"
        )

    async def check(self, stage: Stage, events: Sequence[Any], commands: Sequence[Any]) -> None:
        """Compare.

        Raises:
            AssertionError: It differs; says how.
        """
        __tracebackhide__ = True
        faults = [*self._messages("events raised", self._events, events)]
        if self._commands:
            faults += self._messages("commands sent", self._commands, commands)
        for state in self._states:
            kind = kind_of(state)
            found = await stage.state(kind, _key_of(state))
            if not state == found:  # noqa: SIM201 - the side that is expected compares
                came = [] if found is None else [found]
                faults.append(_told(kind.__name__, [state], came))
        for absence in self._absences:
            found = await stage.state(absence.kind, absence.key)
            if found is not None:
                faults.append(_told(f"{absence.kind.__name__} that should be absent", [], [found]))
        if faults:
            raise AssertionError("\n".join(["something else followed", *faults]))

    @staticmethod
    def _messages(what: str, expected: Sequence[Any], came: Sequence[Any]) -> list[str]:
        return [] if list(expected) == list(came) else [_told(what, expected, came)]


def named(value: object) -> str:
    """Say what somebody has given, without its value: a class in place of an object often."""
    if isinstance(value, type):
        return f"the class {value.__name__}: give an object of it"
    return f"a value of type {type(value).__name__}"


def _told(what: str, expected: Sequence[Any], came: Sequence[Any]) -> str:
    return f"{what} (- expected, + came):\n{difference(expected, came)}"


def _key_of(state: Any) -> Any:
    """Return the key of an entity or a row that is expected.

    Raises:
        TypeError: It is not named.
    """
    if not isinstance(state, Likeness):
        return key_of_state(state)
    key_field = state_info(state.kind).key_field
    if key_field not in state.fields:
        raise TypeError(f"{state!r} does not name its key: {key_field}=")
    return state.fields[key_field]
