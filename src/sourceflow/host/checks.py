"""The wiring check: what keeps an App from working, and what may not be meant as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sourceflow.bus.router import is_inline
from sourceflow.host.names import shown
from sourceflow.messages import state_info, type_info

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sourceflow.bus.routes import Routes
    from sourceflow.domain.binding import Handler

__all__ = ("Checks",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """Looks at an App's handlers and routes together.

    Attributes:
        routes: What the transport was told.
        commands: Command type to the saga's method.
        events: Event type to its subscribers.
        sent: Commands that are sent, and where.
        raised: Events that are raised, and where.
    """

    routes: Routes
    commands: Mapping[type[Any], Handler]
    events: Mapping[type[Any], Sequence[Handler]]
    sent: Mapping[type[Any], str]
    raised: Mapping[type[Any], str]

    def faults(self) -> Iterator[str]:
        """Return what keeps the App from starting."""
        yield from self._subscribers_of_one_name()
        yield from self._commands_without_a_taker()
        yield from self._queues_nobody_handles()
        yield from self._mixed_keys()

    def warnings(self) -> Iterator[str]:
        """Return what works, but maybe not as meant."""
        yield from self._events_nobody_hears()
        yield from self._inline_views()
        yield from self._commands_out_of_order()

    def _subscribers_of_one_name(self) -> Iterator[str]:
        for event, handlers in self.events.items():
            names = [handler.name for handler in handlers]
            for name in dict.fromkeys(name for name in names if names.count(name) > 1):
                yield (
                    f"two subscribers of {type_info(event).name} are named {name!r}: "
                    "give one of them name=…"
                )

    def _commands_without_a_taker(self) -> Iterator[str]:
        for command, where in self.sent.items():
            if type_info(command).kind != "command":
                continue
            if command not in self.commands and command not in self.routes.commands:
                yield (
                    f"{where} sends {shown(command)}, which has neither a handler here nor a "
                    "route to a queue"
                )

    def _queues_nobody_handles(self) -> Iterator[str]:
        for command, queue in self.routes.commands.items():
            if queue in self.routes.listens and command not in self.commands:
                yield (
                    f"{shown(command)} goes to the queue {queue!r}, which this App listens to, "
                    "and no saga handles it"
                )
        fed = {queue for command, queue in self.routes.commands.items() if command in self.commands}
        sent_by_others = self.commands.keys() - self.routes.commands.keys()
        for queue in self.routes.listens:
            if queue not in fed and not sent_by_others:
                yield (
                    f"the App listens to the command queue {queue!r}, and no saga here handles "
                    "any command of it"
                )

    def _mixed_keys(self) -> Iterator[str]:
        types: dict[type[Any], dict[type[Any], list[str]]] = {}
        for command, handler in self.commands.items():
            info = type_info(command)
            if handler.state_type is None or info.key_type is None:
                continue
            uses = types.setdefault(handler.state_type, {})
            uses.setdefault(info.key_type, []).append(info.name)
        for entity, uses in types.items():
            own = state_info(entity).key_type
            if own is not None:
                uses.setdefault(own, []).append(entity.__name__)
            if len(uses) > 1:
                listed = "; ".join(
                    f"{key.__name__} in {', '.join(names)}" for key, names in uses.items()
                )
                yield f"keys of {entity.__name__} are of several types: {listed}"

    def _events_nobody_hears(self) -> Iterator[str]:
        for event in self.routes.events:
            if self.routes.arrives(event) and not self.events.get(event):
                yield f"nobody here listens to {shown(event)}, which arrives here"
        for event, where in self.raised.items():
            if event not in self.routes.events and not self.events.get(event):
                yield f"nobody listens to {shown(event)}, which {where} raises"

    def _inline_views(self) -> Iterator[str]:
        for event, handlers in self.events.items():
            for handler in handlers:
                if not is_inline(handler):
                    continue
                if self.routes.arrives(event):
                    yield (
                        f"{handler.name} is inline, but {shown(event)} reaches it through the "
                        f"topic {self.routes.events[event]!r}: its rows follow later "
                        '(say lifecycle="async" to show it)'
                    )
                elif handler.mark.keys is not None:
                    yield (
                        f"{handler.name} is inline and names its own rows with key=: commands of "
                        'many entities will race for one row; lifecycle="async" avoids that'
                    )

    def _commands_out_of_order(self) -> Iterator[str]:
        queues: dict[type[Any], dict[str, None]] = {}
        for command, queue in self.routes.commands.items():
            handler = self.commands.get(command)
            if handler is not None and handler.state_type is not None:
                queues.setdefault(handler.state_type, {})[queue] = None
        for entity, names in queues.items():
            if len(names) > 1:
                yield (
                    f"commands of {entity.__name__} go to several queues "
                    f"({', '.join(names)}): they may overtake each other"
                )
            for queue in names:
                if not queue.endswith(".fifo"):
                    yield (
                        f"commands of {entity.__name__} go to the standard queue {queue!r}: "
                        "they may overtake each other; a .fifo queue keeps their order"
                    )
