"""A codec whose work is counted, and that tells the span of a message what the message is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from sourceflow.messages import Codec, Envelope, Kind, Registry
from sourceflow.telemetry import names
from sourceflow.telemetry.otel.arrival import arriving

if TYPE_CHECKING:
    from collections.abc import Callable

    from sourceflow.telemetry.otel.instruments import Instruments

__all__ = ("FollowedCodec",)

ResultT = TypeVar("ResultT")
StateT = TypeVar("StateT")


class FollowedCodec(Codec):
    """Does what ``Codec`` does, and counts it.

    Args:
        registry: The types that may be read.
        instruments: Count.
        monotonic: The time in seconds; None where no details are asked for, and nothing is timed.
    """

    def __init__(
        self,
        registry: Registry,
        instruments: Instruments,
        monotonic: Callable[[], float] | None,
    ) -> None:
        super().__init__(registry)
        counter = instruments.counter(names.SERIALIZATIONS)
        self._cells = {each: counter.cell(each) for each in ("encode", "decode")}
        self._durations = instruments.histogram(names.SERIALIZATION_DURATION)
        self._monotonic = monotonic

    def encode(self, envelope: Envelope[Any]) -> bytes:
        """Write a message."""
        return self._count("encode", super().encode, envelope)

    def encode_data(self, message: Any) -> bytes:
        """Write a message without its metadata, or a state."""
        return self._count("encode", super().encode_data, message)

    def decode(
        self, body: bytes, *, type_hint: str | None = None, kind: Kind | None = None
    ) -> Envelope[Any]:
        """Read a message."""
        envelope = self._count("decode", super().decode, body, type_hint=type_hint, kind=kind)
        arrival = arriving.get()
        if arrival is not None:
            arrival.read(envelope)
        return envelope

    def decode_data(self, name: str, version: int, data: bytes) -> Any:
        """Read a message without its metadata."""
        return self._count("decode", super().decode_data, name, version, data)

    def decode_state(self, state_type: type[StateT], data: bytes) -> StateT:
        """Read an entity or a row."""
        state: StateT = self._count("decode", super().decode_state, state_type, data)
        return state

    def _count(
        self, operation: str, work: Callable[..., ResultT], *args: Any, **kwargs: Any
    ) -> ResultT:
        if self._monotonic is None:
            done = work(*args, **kwargs)
        else:
            began = self._monotonic()
            done = work(*args, **kwargs)
            self._durations.record(self._monotonic() - began, operation)
        self._cells[operation].count += 1
        return done
