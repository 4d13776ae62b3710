"""From the data of older versions of messages to that of the current one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from sourceflow.errors import MalformedError
from sourceflow.messages.type_info import is_message, type_info

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sourceflow.messages.type_info import TypeInfo

__all__ = ("Upcasters", "is_upcaster", "upcasts")

UpcasterT = TypeVar("UpcasterT", bound=Callable[[dict[str, Any]], dict[str, Any]])

_MARK: Final = "__sourceflow_upcast__"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """What the decorator leaves on a function.

    Attributes:
        message_type: The message whose data it takes.
        from_version: The version it takes; it returns the next one.
    """

    message_type: type[Any]
    from_version: int


def upcasts(message_type: type[Any], *, from_version: int) -> Callable[[UpcasterT], UpcasterT]:
    """Mark a function that brings a message's data from one version to the next.

    It takes the data as a ``dict`` of what JSON knows, and returns that of the next version; the
    ``dict`` is its own, to change or to keep. Decimals, times and UUIDs are texts there. A number
    that no ``float`` holds exactly is a ``Decimal``. List it among the App's components: it is
    used for every message that is read, stored or received.

    Args:
        message_type: The message.
        from_version: The version whose data it takes.

    Raises:
        TypeError: The first is no message, or what is marked is no plain function.
        ValueError: The version is not a whole number from 1.
    """
    if not is_message(message_type):
        raise TypeError(f"@upcasts names a message, not {message_type!r}")
    if not isinstance(from_version, int) or isinstance(from_version, bool) or from_version < 1:
        raise ValueError(f"from_version is a whole number from 1, not {from_version!r}")
    mark = _Mark(message_type=message_type, from_version=from_version)

    def put(function: UpcasterT) -> UpcasterT:
        marked: object = function
        if not inspect.isfunction(marked) or inspect.iscoroutinefunction(marked):
            raise TypeError("@upcasts marks plain functions: (data: dict) -> dict")
        setattr(marked, _MARK, mark)
        return function

    return put


def is_upcaster(value: object) -> bool:
    """Whether a thing is a function marked ``@upcasts``."""
    return inspect.isfunction(value) and hasattr(value, _MARK)


def _exact(text: str) -> float | Decimal:
    """Return a number as a float, or as a Decimal where a float would change it."""
    number = float(text)
    try:
        exact = Decimal(text)
    except ArithmeticError:  # its exponent is beyond what a Decimal holds
        raise ValueError("a number is out of range") from None
    return number if Decimal(repr(number)) == exact else exact


_READER: Final = msgspec.json.Decoder(dict[str, Any], float_hook=_exact)
_WRITER: Final = msgspec.json.Encoder(decimal_format="number", uuid_format="canonical")


class Upcasters:
    """The upcasters of an App.

    Invariant, kept by the wiring check: a type that has any has one for each of its older
    versions, so that every one of them leads to the current one, and none is skipped by mistake.

    Args:
        functions: Functions marked ``@upcasts``.
        known: The message types of the App.

    Attributes:
        faults: Upcasters that are no use, that are there twice, and those that are missing.
    """

    __slots__ = ("_chains", "faults")

    def __init__(self, functions: Iterable[Callable[..., Any]], known: Iterable[TypeInfo]) -> None:
        self._chains: dict[type[Any], dict[int, Callable[..., Any]]] = {}
        types = {info.type for info in known}
        faults: list[str] = []
        for function in dict.fromkeys(functions):
            fault = self._add(function, types)
            if fault is not None:
                faults.append(fault)
        self.faults = (*faults, *self._gaps())

    def _add(self, function: Callable[..., Any], known: set[type[Any]]) -> str | None:
        mark: _Mark = getattr(function, _MARK)
        info, version = type_info(mark.message_type), mark.from_version
        what = f"{function.__qualname__} upcasts {info.name} from version {version}"
        if info.type not in known:
            return f"{what}, and no component or route of the App names that message"
        if version >= info.version:
            return f"{what}, and {info.version} is its current version"
        other = self._chains.setdefault(info.type, {}).setdefault(version, function)
        return None if other is function else f"{what}, and so does {other.__qualname__}"

    def _gaps(self) -> Iterator[str]:
        for message_type, chain in self._chains.items():
            info = type_info(message_type)
            for version in range(1, info.version):
                if version not in chain:
                    yield (
                        f"no function upcasts {info.name} from version {version}: "
                        f"there are some from {', '.join(map(str, sorted(chain)))}, and each of "
                        "its older versions needs one"
                    )

    def take(self, info: TypeInfo, version: int) -> bool:
        """Whether the data of a version has to be brought up to the current one."""
        return version < info.version and info.type in self._chains

    def upcast(self, info: TypeInfo, version: int, data: bytes) -> bytes:
        """Bring data up to the current version.

        Raises:
            MalformedError: An upcaster failed; says which, and where in it.
            MsgspecError: It is no JSON object.
        """
        values: Any = _READER.decode(data)
        for older in range(version, info.version):
            values = _run(self._chains[info.type][older], values)
        try:
            return _WRITER.encode(values)
        except (TypeError, ValueError, RecursionError, OverflowError) as error:
            raise MalformedError(
                f"the upcasters of {info.name} made data that cannot be written "
                f"({type(error).__name__})"
            ) from None


def _run(function: Callable[..., Any], values: dict[str, Any]) -> dict[str, Any]:
    """Run one upcaster; what its error says may hold a value of the message, and is left out."""
    try:
        upcast = function(values)
    except Exception as error:  # noqa: BLE001 - users' own code may raise anything
        raise MalformedError(
            f"the upcaster {function.__qualname__} raised {type(error).__name__}{_line_of(error)}"
        ) from None
    if not isinstance(upcast, dict):
        raise MalformedError(
            f"the upcaster {function.__qualname__} returned {type(upcast).__name__}, no dict"
        )
    return upcast


def _line_of(error: Exception) -> str:
    """Return where an upcaster was when something was raised."""
    frame = error.__traceback__ and error.__traceback__.tb_next
    return "" if frame is None else f" in line {frame.tb_lineno}"
