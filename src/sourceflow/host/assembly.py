"""Puts an App's components together, and names every fault it finds on the way."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sourceflow.bus.wiring import Wiring
from sourceflow.domain.aggregate import Aggregate
from sourceflow.domain.binding import Handler, handlers_of, state_type_of
from sourceflow.domain.entity import Entity
from sourceflow.domain.saga import Saga
from sourceflow.domain.view import View
from sourceflow.domain.view_model import ViewModel
from sourceflow.errors import WiringError
from sourceflow.host.checks import Checks
from sourceflow.host.mentions import messages_named_in
from sourceflow.host.names import shown
from sourceflow.host.services import constructor_arguments
from sourceflow.messages import Registry, is_message, is_upcaster, state_info, type_info

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

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
    components: Sequence[type[Any] | Callable[..., Any]],
    *,
    name: str,
    routes: Routes,
    services: Sequence[object],
) -> Assembly:
    """Bind an App's components and check the whole.

    Args:
        components: Sagas, aggregates and views; message types that the App sends may stand among
            them, so that each is checked to have a handler or a route, and so may upcasters.
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
        self._commands: dict[type[Any], Handler] = {}
        self._events: dict[type[Any], list[Handler]] = {}
        self._arguments: dict[type[Component], dict[str, Any]] = {}
        self._states: dict[str, type[Any]] = {}
        self._sent: dict[type[Any], str] = {}
        self._raised: dict[type[Any], str] = {}
        self._upcasters: list[Callable[..., Any]] = []

    def run(self, components: Sequence[type[Any] | Callable[..., Any]]) -> Assembly:
        parts: dict[Any, None] = dict.fromkeys(components)
        for component in parts:
            if is_upcaster(component):
                self._upcasters.append(component)
            elif is_message(component):
                self._sent.setdefault(component, f"the App {self._name!r}")
            else:
                self._add(component)
        registry = self._registry()
        checks = Checks(
            routes=self._routes,
            commands=self._commands,
            events=self._events,
            sent=self._sent,
            raised=self._raised,
        )
        wiring = Wiring(
            app=self._name,
            registry=registry,
            commands=self._commands,
            events={event: tuple(handlers) for event, handlers in self._events.items()},
            arguments=self._arguments,
        )
        return Assembly(
            wiring=wiring,
            faults=tuple(dict.fromkeys((*self._faults, *checks.faults()))),
            warnings=tuple(dict.fromkeys(checks.warnings())),
        )

    def _add(self, component: Any) -> None:
        kind = _kind_of(component)
        if kind is None:
            self._faults.append(_strange(component))
            return
        self._refuse_upcasters_in(component)
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
        self._arguments[component] = constructor_arguments(component, self._services, self._faults)
        self._note_mentions(component, kind)

    def _refuse_upcasters_in(self, component: type[Any]) -> None:
        """Name upcasters among a component's methods: nobody would use them there."""
        for name in dir(component):
            method = inspect.getattr_static(component, name)
            if is_upcaster(getattr(method, "__func__", method)):
                self._faults.append(
                    f"{component.__qualname__}.{name} is marked @upcasts: make it a function, and "
                    "list it among the App's components"
                )

    def _note_mentions(self, component: type[Component], kind: _Kind) -> None:
        """Note what a saga or an aggregate sends, and what a saga raises."""
        for message, where in messages_named_in(component):
            if type_info(message).kind == "event":
                if kind.base is Saga:
                    self._raised.setdefault(message, where)
            elif kind.base is not View:
                self._sent.setdefault(message, where)

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
                f"{shown(known)} and {shown(state_type)} share the name {info.name!r}: "
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

    def _registry(self) -> Registry:
        types = {
            **dict.fromkeys(self._commands),
            **dict.fromkeys(self._events),
            **dict.fromkeys(self._routes.commands),
            **dict.fromkeys(self._routes.events),
            **dict.fromkeys(self._sent),
            **dict.fromkeys(self._raised),
        }
        usable: list[type[Any]] = []
        for message_type in types:
            try:
                info = type_info(message_type)
            except TypeError as error:
                self._faults.append(f"a route names {shown(message_type)}: {error}")
                continue
            self._faults += [f"{info.name}: {fault}" for fault in info.faults]
            usable.append(message_type)
        self._check_route_kinds(usable)
        registry = Registry(usable, self._upcasters)
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


def _strange(component: object) -> str:
    """Say what is wrong with what is no component."""
    if _kind_of(type(component)) is not None:
        return f"{type(component).__name__}(…) is an object: list the class, without parentheses"
    unmarked = ", nor marked @upcasts" if inspect.isfunction(component) else ""
    return f"{shown(component)} is neither a Saga, an Aggregate nor a View{unmarked}"


def _kind_of(component: object) -> _Kind | None:
    if not isinstance(component, type):
        return None
    for kind in _KINDS:
        if issubclass(component, kind.base):
            return kind
    return None
