"""Puts an App's components together, and names every fault it finds on the way."""

from __future__ import annotations

import inspect
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sourceflow.bus.router import is_inline
from sourceflow.bus.wiring import Wiring, is_view
from sourceflow.domain.aggregate import Aggregate
from sourceflow.domain.binding import Handler, handlers_of, state_type_of
from sourceflow.domain.entity import Entity
from sourceflow.domain.saga import Saga
from sourceflow.domain.view import View
from sourceflow.domain.view_model import ViewModel
from sourceflow.errors import WiringError
from sourceflow.host.mentions import commands_named_in
from sourceflow.messages import Registry, is_message, state_info, type_info

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sourceflow.bus.routes import Routes
    from sourceflow.domain.component import Component

__all__ = ("Assembly", "assemble")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """What the wiring check has made and found.

    Attributes:
        wiring: Who handles what.
        faults: What keeps the App from starting.
        warnings: What works, but maybe not as meant.
    """

    wiring: Wiring
    faults: tuple[str, ...]
    warnings: tuple[str, ...]

    def raise_faults(self) -> None:
        """Raise all faults in one error.

        Raises:
            WiringError: There are some.
        """
        if self.faults:
            raise WiringError(self.faults)


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of component: its base, its decorator, and what it may be of."""

    base: type[Any]
    decorator: str
    message: str
    state: type[Any]


_KINDS = (
    _Kind(Saga, "handles", "command", Entity),
    _Kind(Aggregate, "subscribes", "event", Entity),
    _Kind(View, "projects", "event", ViewModel),
)


def assemble(
    components: Sequence[type[Component]], *, name: str, routes: Routes, services: Sequence[object]
) -> Assembly:
    """Bind an App's components and check the whole.

    Args:
        components: Sagas, aggregates and views; message types that the App sends may stand among
            them, so that each is checked to have a handler or a route.
        name: The App's name.
        routes: What its transport was told.
        services: What constructors may ask for.
    """
    return _Assembler(name, routes, services).run(components)


class _Assembler:
    def __init__(self, name: str, routes: Routes, services: Sequence[object]) -> None:
        self._name = name
        self._routes = routes
        self._services = services
        self._faults: list[str] = []
        self._warnings: list[str] = []
        self._commands: dict[type[Any], Handler] = {}
        self._events: dict[type[Any], list[Handler]] = {}
        self._arguments: dict[type[Component], dict[str, Any]] = {}
        self._states: dict[str, type[Any]] = {}
        self._sent: dict[type[Any], str] = {}

    def run(self, components: Sequence[type[Component]]) -> Assembly:
        for component in dict.fromkeys(components):
            if is_message(component):
                self._sent.setdefault(component, f"the App {self._name!r}")
            else:
                self._add(component)
        registry = self._registry()
        self._check_subscriber_names()
        self._check_commands()
        self._check_events()
        self._check_keys()
        self._check_queues()
        wiring = Wiring(
            app=self._name,
            registry=registry,
            commands=self._commands,
            events={event: tuple(handlers) for event, handlers in self._events.items()},
            arguments=self._arguments,
        )
        return Assembly(
            wiring=wiring,
            faults=tuple(dict.fromkeys(self._faults)),
            warnings=tuple(dict.fromkeys(self._warnings)),
        )

    def _add(self, component: type[Component]) -> None:
        kind = _kind_of(component)
        if kind is None:
            self._faults.append(f"{_shown(component)} is neither a Saga, an Aggregate nor a View")
            return
        try:
            state_type = state_type_of(component, kind.base)
        except TypeError as error:
            self._faults.append(str(error))
            return
        self._add_state(component, kind, state_type)
        is_aggregate = kind.base is Aggregate
        handlers = handlers_of(
            component, None if is_aggregate else state_type, kind.decorator, self._faults
        )
        for handler in handlers:
            self._add_handler(handler, kind)
        if not handlers and not is_aggregate:
            self._faults.append(f"{component.__qualname__} has no method marked @{kind.decorator}")
        self._arguments[component] = self._constructor(component)
        for command, where in commands_named_in(component):
            self._sent.setdefault(command, where)

    def _add_state(
        self, component: type[Component], kind: _Kind, state_type: type[Any] | None
    ) -> None:
        where = f"{component.__qualname__}({kind.base.__name__}[…])"
        if state_type is None:
            if kind.base is View:
                self._faults.append(f"{where}: a view is of a view model")
            return
        if not issubclass(state_type, kind.state):
            self._faults.append(f"{where}: {state_type.__name__} is no {kind.state.__name__}")
            return
        info = state_info(state_type)
        self._faults += [f"{state_type.__name__}: {fault}" for fault in info.faults]
        known = self._states.setdefault(info.name, state_type)
        if known is not state_type:
            self._faults.append(
                f"{_shown(known)} and {_shown(state_type)} share the name {info.name!r}: "
                "give one of them name=…"
            )

    def _add_handler(self, handler: Handler, kind: _Kind) -> None:
        info = type_info(handler.message_type)
        if info.kind != kind.message:
            self._faults.append(
                f"{handler.name} takes the {info.kind} {info.name}; "
                f"@{kind.decorator} takes {kind.message}s"
            )
            return
        if info.kind == "event":
            self._events.setdefault(handler.message_type, []).append(handler)
            return
        other = self._commands.setdefault(handler.message_type, handler)
        if other is not handler:
            self._faults.append(
                f"two sagas handle {info.name}: {other.name} and {handler.name}; "
                "a command is handled by exactly one"
            )

    def _constructor(self, component: type[Component]) -> dict[str, Any]:
        if component.__init__ is object.__init__:
            return {}
        try:
            hints = typing.get_type_hints(component.__init__)
        except NameError as error:
            self._faults.append(f"{component.__qualname__}.__init__: {error}")
            return {}
        arguments: dict[str, Any] = {}
        for parameter in list(inspect.signature(component.__init__).parameters.values())[1:]:
            if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
                continue
            found = self._service(component, parameter, hints.get(parameter.name))
            if found is not _NOTHING:
                arguments[parameter.name] = found
        return arguments

    def _service(
        self, component: type[Component], parameter: inspect.Parameter, hint: Any
    ) -> object:
        where = f"{component.__qualname__}.__init__: parameter {parameter.name!r}"
        wanted = typing.get_origin(hint) or hint
        if not isinstance(wanted, type):
            self._faults.append(f"{where} needs a class as its type hint, to find a service by")
            return _NOTHING
        found = [service for service in self._services if _fits(service, wanted)]
        if len(found) == 1:
            return found[0]
        if not found and parameter.default is not parameter.empty:
            return _NOTHING
        problem = "none" if not found else f"{len(found)}"
        self._faults.append(
            f"{where} asks for a {wanted.__name__}; {problem} of the App's services is one"
            if not found
            else f"{where} asks for a {wanted.__name__}; {problem} of the App's services are"
        )
        return _NOTHING

    def _registry(self) -> Registry:
        types = {
            **dict.fromkeys(self._commands),
            **dict.fromkeys(self._events),
            **dict.fromkeys(self._routes.commands),
            **dict.fromkeys(self._routes.events),
            **dict.fromkeys(self._sent),
        }
        usable: list[type[Any]] = []
        for message_type in types:
            try:
                info = type_info(message_type)
            except TypeError as error:
                self._faults.append(f"a route names {_shown(message_type)}: {error}")
                continue
            self._faults += [f"{info.name}: {fault}" for fault in info.faults]
            usable.append(message_type)
        self._check_route_kinds(usable)
        registry = Registry(usable)
        self._faults += registry.faults
        return registry

    def _check_route_kinds(self, usable: Iterable[type[Any]]) -> None:
        known = set(usable)
        for routes, kind, place in (
            (self._routes.commands, "command", "queue"),
            (self._routes.events, "event", "topic"),
        ):
            for message_type, name in routes.items():
                if message_type in known and type_info(message_type).kind != kind:
                    self._faults.append(
                        f"the {place} {name!r} is a route for {kind}s; "
                        f"{message_type.__name__} is none"
                    )

    def _check_subscriber_names(self) -> None:
        for event, handlers in self._events.items():
            names = [handler.name for handler in handlers]
            for name in {name for name in names if names.count(name) > 1}:
                self._faults.append(
                    f"two subscribers of {type_info(event).name} are named {name!r}: "
                    "give one of them name=…"
                )

    def _check_commands(self) -> None:
        for command, where in self._sent.items():
            if type_info(command).kind != "command":
                continue
            if command not in self._commands and command not in self._routes.commands:
                self._faults.append(
                    f"{where} sends {_shown(command)}, which has neither a handler here nor a "
                    "route to a queue"
                )
        listened = set(self._routes.listens)
        for command, queue in self._routes.commands.items():
            if queue in listened and command not in self._commands:
                self._faults.append(
                    f"{_shown(command)} goes to the queue {queue!r}, which this App listens to, "
                    "and no saga handles it"
                )

    def _check_events(self) -> None:
        for event in self._routes.events:
            if self._routes.arrives(event) and not self._events.get(event):
                self._warnings.append(f"nobody here listens to {_shown(event)}, which arrives here")
        for event, handlers in self._events.items():
            for handler in handlers:
                self._check_inline(event, handler)

    def _check_inline(self, event: type[Any], handler: Handler) -> None:
        if not is_inline(handler):
            return
        if self._routes.arrives(event):
            self._warnings.append(
                f"{handler.name} is inline, but {_shown(event)} reaches it through the topic "
                f"{self._routes.events[event]!r}: its rows follow later "
                '(say lifecycle="async" to show it)'
            )
        elif handler.mark.keys is not None:
            self._warnings.append(
                f"{handler.name} is inline and names its own rows with key=: commands of many "
                'entities will race for one row; lifecycle="async" avoids that'
            )

    def _check_keys(self) -> None:
        types: dict[type[Any], dict[type[Any], list[str]]] = {}
        for command, handler in self._commands.items():
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
                self._faults.append(f"keys of {entity.__name__} are of several types: {listed}")

    def _check_queues(self) -> None:
        self._check_listened()
        queues: dict[type[Any], dict[str, None]] = {}
        for command, queue in self._routes.commands.items():
            handler = self._commands.get(command)
            if handler is not None and handler.state_type is not None:
                queues.setdefault(handler.state_type, {})[queue] = None
        for entity, names in queues.items():
            if len(names) > 1:
                self._warnings.append(
                    f"commands of {entity.__name__} go to several queues "
                    f"({', '.join(names)}): they may overtake each other"
                )
            for queue in names:
                if not queue.endswith(".fifo"):
                    self._warnings.append(
                        f"commands of {entity.__name__} go to the standard queue {queue!r}: "
                        "they may overtake each other; a .fifo queue keeps their order"
                    )

    def _check_listened(self) -> None:
        fed = {
            queue for command, queue in self._routes.commands.items() if command in self._commands
        }
        local = [command for command in self._commands if command not in self._routes.commands]
        for queue in self._routes.listens:
            if queue not in fed and not local:
                self._faults.append(
                    f"the App listens to the command queue {queue!r}, and no saga here handles "
                    "any command of it"
                )


_NOTHING: Any = object()


def _kind_of(component: object) -> _Kind | None:
    if not isinstance(component, type):
        return None
    for kind in _KINDS:
        if issubclass(component, kind.base):
            return kind
    return None


def _fits(service: object, wanted: type[Any]) -> bool:
    try:
        return isinstance(service, wanted)
    except TypeError:  # a Protocol that is not @runtime_checkable
        return False


def _shown(value: object) -> str:
    return getattr(value, "__qualname__", repr(value))


def views_of(wiring: Wiring) -> set[type[Component]]:
    """Return the views of an App."""
    return {
        handler.component
        for handlers in wiring.events.values()
        for handler in handlers
        if is_view(handler)
    }
